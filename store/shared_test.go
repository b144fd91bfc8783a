package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"onoma/test/peers"
)

// node is one of several that share a database: it knows of each zone what it has committed itself or was told.
type node struct {
	s    *Store
	last uint64
	head map[int64]uint64
	seen []Version
}

// learn takes what others have committed, and finds gaps in it.
func (n *node) learn(missed []Version) error {
	for _, v := range missed {
		if v.Number != n.head[v.Zone]+1 {
			return fmt.Errorf("zone %d: version %d after %d", v.Zone, v.Number, n.head[v.Zone])
		}
		if string(v.Delta) != string(version(v.Zone, v.Number).Delta) {
			return fmt.Errorf("zone %d: version %d has delta %q", v.Zone, v.Number, v.Delta)
		}
		n.head[v.Zone] = v.Number
		n.seen = append(n.seen, v)
	}
	return nil
}

// commit puts a version on top of each zone, on what others have done.
func (n *node) commit(ctx context.Context, zones []int64) error {
	var mine []Version
	commit, err := n.s.Commit(ctx, n.last, func(missed []Version) ([]Version, error) {
		if err := n.learn(missed); err != nil {
			return nil, err
		}
		for _, z := range zones {
			mine = append(mine, version(z, n.head[z]+1))
		}
		return mine, nil
	})
	if err != nil {
		return err
	}
	n.last = commit
	return n.learn(mine)
}

func newNode(t testing.TB, url string) *node {
	return &node{s: open(t, url), head: make(map[int64]uint64)}
}

// TestNodesInterleave has two nodes commit to the same zones in any order: no number is used twice, and what
// a node is told to have missed is complete and in order.
func TestNodesInterleave(t *testing.T) {
	url := postgresURL(t)
	a, b := newNode(t, url), newNode(t, url)
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		var zones []int64
		for i := range 3 {
			zones = append(zones, addZone(t, a.s, fmt.Sprintf("r%d-z%d.", round, i)).ID)
		}
		for range rapid.IntRange(1, 8).Draw(r, "commits") {
			n := rapid.SampledFrom([]*node{a, b}).Draw(r, "node")
			some := zones[:rapid.IntRange(0, 3).Draw(r, "zones")]
			if err := n.commit(t.Context(), some); err != nil {
				r.Fatal(err)
			}
		}
	})
	compareNodes(t, a, b)
}

// compareNodes has both learn the rest, and finds out whether they have seen the same.
func compareNodes(t *testing.T, nodes ...*node) {
	t.Helper()
	all, err := nodes[0].s.Since(t.Context(), 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if err := n.commit(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if len(n.seen) != len(all) {
			t.Fatalf("a node has seen %d versions of %d", len(n.seen), len(all))
		}
		for i := range all {
			if n.seen[i].Zone != all[i].Zone || n.seen[i].Number != all[i].Number || n.seen[i].Commit != all[i].Commit {
				t.Fatalf("a node has seen %+v, and there is %+v", n.seen[i], all[i])
			}
		}
	}
	if said, err := nodes[0].s.Check(t.Context()); len(said) > 0 || err != nil {
		t.Errorf("the check finds %q, %v", said, err)
	}
}

func TestNodesUnderLoad(t *testing.T) {
	url := postgresURL(t)
	nodes := []*node{newNode(t, url), newNode(t, url), newNode(t, url)}
	zones := []int64{addZone(t, nodes[0].s, "a.").ID, addZone(t, nodes[1].s, "b.").ID}
	var work sync.WaitGroup
	for i, n := range nodes {
		work.Go(func() {
			for range 60 {
				if err := n.commit(t.Context(), zones[i%2:]); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	compareNodes(t, nodes...)
}

func TestZonesAreAddedByBothAtOnce(t *testing.T) {
	url := postgresURL(t)
	var stores [4]*Store
	var ids [4]int64
	var work sync.WaitGroup
	for i := range stores {
		work.Go(func() { // they migrate at the same time, too
			s, err := Open(t.Context(), url, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			z, err := s.AddZone(t.Context(), "", "same.")
			if err != nil {
				t.Error(err)
			}
			ids[i] = z.ID
		})
	}
	work.Wait()
	if ids[0] == 0 || ids != [4]int64{ids[0], ids[0], ids[0], ids[0]} {
		t.Errorf("the zone has the numbers %v", ids)
	}
}

func TestWatchTellsOfOthers(t *testing.T) {
	url := postgresURL(t)
	a, b := newNode(t, url), newNode(t, url)
	z := addZone(t, a.s, "a.").ID
	ctx, stop := context.WithCancel(t.Context())
	watch := a.s.Watch(ctx)
	for range 3 {
		if err := b.commit(t.Context(), []int64{z}); err != nil {
			t.Fatal(err)
		}
		<-watch
		got, err := a.s.Since(t.Context(), a.last, 10)
		if err != nil || len(got) != 1 {
			t.Fatalf("after a notification there are %d versions, %v", len(got), err)
		}
		if err := a.commit(t.Context(), nil); err != nil { // learns, and commits nothing
			t.Fatal(err)
		}
		a.last = b.last
	}
	stop()
	for range watch { // until it is closed
	}
}

// TestServerIsKilled kills PostgreSQL while nodes commit: they go on when it is back, and what was acknowledged is there.
func TestServerIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a PostgreSQL of its own")
	}
	p := peers.StartPostgres(t)
	s := open(t, p.Database(t))
	z := addZone(t, s, "a.").ID
	watch := s.Watch(t.Context())
	acknowledged, unknown := make(chan uint64, 1), 0
	done := make(chan struct{})
	stop, cancel := context.WithCancel(t.Context())
	n := &node{s: s, head: make(map[int64]uint64)}
	var top uint64
	go func() {
		defer close(done)
		for stop.Err() == nil {
			err := n.commitKnowing(t.Context(), z)
			switch {
			case err == nil:
				top = n.head[z]
				select {
				case acknowledged <- top:
				default:
				}
			case errors.Is(err, ErrUnknownOutcome):
				unknown++
			case !errors.Is(err, ErrUnavailable):
				t.Errorf("while the server is away: %v", err)
				return
			}
		}
	}()
	for range 2 {
		for range 20 {
			<-acknowledged
		}
		p.Kill()
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		<-acknowledged
	}
	cancel()
	<-done
	got := collect(t, s, z, 1, 1<<40)
	if uint64(len(got)) < top {
		t.Errorf("%d versions were acknowledged, and %d are there", top, len(got))
	}
	if said, err := s.Check(t.Context()); len(said) > 0 || err != nil {
		t.Errorf("the check finds %q, %v", said, err)
	}
	t.Logf("%d versions, %d of unknown outcome", len(got), unknown)

	other := open(t, s.where)
	if _, err := other.Commit(t.Context(), 1<<60, always(version(z, uint64(len(got)+1)))); err != nil {
		t.Fatal(err)
	}
	select {
	case <-watch:
	case <-time.After(20 * time.Second):
		t.Error("Watch does not come back after the server does")
	}
}

// commitKnowing commits one version, and takes its own as missed where it could not know its outcome.
func (n *node) commitKnowing(ctx context.Context, zone int64) error {
	var mine Version
	known := n.head[zone]
	commit, err := n.s.Commit(ctx, n.last, func(missed []Version) ([]Version, error) {
		known = n.head[zone]
		for _, v := range missed {
			if v.Number != known+1 {
				return nil, fmt.Errorf("version %d after %d", v.Number, known)
			}
			known = v.Number
		}
		mine = version(zone, known+1)
		return []Version{mine}, nil
	})
	if err == nil {
		n.last, n.head[zone] = commit, known+1
	}
	return err
}
