package pipeline

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/test/peers"
	"onoma/zone"
	"onoma/zone/sign"
)

// Two nodes on one PostgreSQL take changes of one zone at the same time: no version
// and no serial number is given out twice, and both come to the same zone.
func TestTwoNodes(t *testing.T) {
	if !peers.HasPostgres() {
		t.Skip("needs the Debian package postgresql")
	}
	url := peers.StartPostgres(t).Database(t)
	spec := ZoneSpec{ID: exampleID}
	var nodes [2]*rig
	for i := range nodes {
		nodes[i] = &rig{t: t, dir: t.TempDir(), url: url, now: time.Now}
		nodes[i].start(spec)
		defer func() { nodes[i].stop() }()
	}
	nodes[0].must(replace(version(t, "example.", 1)))
	waitFor(t, nodes[1], 1)

	const each = 100
	var mu sync.Mutex
	seen := map[uint64]uint32{1: 1}
	told := map[uint64]int{}
	nodes[1].Listen(func(r zone.Receipt) {
		mu.Lock()
		defer mu.Unlock()
		told[r.Version]++
	})
	var wg sync.WaitGroup
	for i, n := range nodes {
		for j := range 4 {
			wg.Go(func() {
				for k := range each / 4 {
					r := n.must(add(exampleID, fmt.Sprintf("n%d-%d-%d.example. 300 IN A 192.0.2.1", i, j, k)))
					mu.Lock()
					if _, twice := seen[r.Version]; twice {
						t.Errorf("version %d was given out twice", r.Version)
					}
					seen[r.Version] = r.Serial
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	const all = 2*each + 1
	for n := uint64(2); n <= all; n++ {
		if !zone.IsNewer(seen[n], seen[n-1]) {
			t.Errorf("version %d has the serial %d, and the one before %d", n, seen[n], seen[n-1])
		}
	}
	for i, n := range nodes {
		waitFor(t, n, all)
		if got := strings.Count(n.text(exampleID), "192.0.2.1"); got != 2*each {
			t.Errorf("node %d has %d records, expected %d", i, got, 2*each)
		}
	}
	if a, b := nodes[0].text(exampleID), nodes[1].text(exampleID); a != b {
		t.Error("the nodes have different zones")
	}
	mu.Lock()
	defer mu.Unlock()
	for n := uint64(2); n <= all; n++ {
		if told[n] != 1 {
			t.Errorf("node 1 told its listeners %d times of version %d", told[n], n)
		}
	}
}

// Two nodes that sign one zone: what one has made the other takes as it is, and signs
// its own changes on top of it.
func TestTwoNodesSign(t *testing.T) {
	if !peers.HasPostgres() {
		t.Skip("needs the Debian package postgresql")
	}
	url := peers.StartPostgres(t).Database(t)
	var nodes [2]*rig
	var signers [2]*planSigner
	for i := range nodes {
		signers[i] = newSigner(planOf(sign.Denial{Kind: sign.NSEC3}))
		nodes[i] = &rig{t: t, dir: t.TempDir(), url: url, now: time.Now}
		nodes[i].start(ZoneSpec{ID: exampleID, Signer: signers[i]})
		defer func() { nodes[i].stop() }()
	}
	nodes[0].must(replace(version(t, "example.", 1)))
	nodes[0].must(add(exampleID, "www.example. 300 IN A 192.0.2.1"))
	waitFor(t, nodes[1], 2)
	if n := signers[1].calls + signers[1].whole; n != 0 {
		t.Errorf("the other node has signed %d times what was signed", n)
	}
	const each = 20
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() {
			for k := range each {
				n.must(add(exampleID, fmt.Sprintf("n%d-%d.example. 300 IN A 192.0.2.1", i, k)))
			}
		})
	}
	wg.Wait()
	for _, n := range nodes {
		waitFor(t, n, 2+2*each)
		n.verified("after changes by both")
	}
	if a, b := nodes[0].text(exampleID), nodes[1].text(exampleID); a != b {
		t.Error("the nodes have different zones")
	}
}

// waitFor waits until a node serves a version.
func waitFor(t *testing.T, r *rig, number uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		n, _, _ := r.Head(exampleID)
		if n >= number {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("version %d is served, expected %d", n, number)
		}
	}
}

// A database that goes away for a moment refuses changes, and takes them again.
func TestDatabaseGoesAndComes(t *testing.T) {
	if !peers.HasPostgres() {
		t.Skip("needs the Debian package postgresql")
	}
	pg := peers.StartPostgres(t)
	r := &rig{t: t, dir: t.TempDir(), url: pg.Database(t), now: time.Now}
	r.start(ZoneSpec{ID: exampleID})
	defer func() { r.stop() }()
	r.must(replace(version(t, "example.", 1)))
	pg.Kill()
	_, err := r.submit(add(exampleID, "a.example. 300 IN A 192.0.2.1"))
	if err == nil {
		t.Fatal("a change was acknowledged by a database that is dead")
	}
	if r.text(exampleID) == "" || strings.Contains(r.text(exampleID), "192.0.2.1") {
		t.Errorf("meanwhile there is served:\n%s", r.text(exampleID))
	}
	if err := pg.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, err = r.submit(add(exampleID, "b.example. 300 IN A 192.0.2.1"))
		if err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
