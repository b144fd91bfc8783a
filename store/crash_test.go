package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// crashURL is the variable of the environment by which TestMain becomes the process that is killed.
const crashURL = "ONOMA_STORE_CRASH"

// commitForever commits to two zones at once, with large deltas and checkpoints between, and prints what was acknowledged.
func commitForever(url string) {
	err := func() error {
		ctx := context.Background()
		s, err := Open(ctx, url, Options{})
		if err != nil {
			return err
		}
		zones, err := s.AddZones(ctx, []Zone{{Name: "a."}, {Name: "b."}})
		if err != nil {
			return err
		}
		for n := zones[0].Head + 1; ; n++ {
			a, b := version(zones[0].ID, n), version(zones[1].ID, n)
			if n%8 == 0 {
				if err := stageBig(ctx, s, &a); err != nil {
					return err
				}
			}
			if _, err := s.Commit(ctx, 1<<60, always(a, b)); err != nil {
				return err
			}
			fmt.Println(n)
			if n%16 == 0 {
				err = s.WriteCheckpoint(ctx, zones[1].ID, n, func(w io.Writer) error { _, err := w.Write(pattern(2*partSize, byte(n))); return err })
			}
			if err != nil {
				return err
			}
		}
	}()
	fmt.Println("failed:", err)
	os.Exit(1)
}

func stageBig(ctx context.Context, s *Store, v *Version) error {
	g, err := s.Stage(ctx)
	if err != nil {
		return err
	}
	if _, err := g.Write(pattern(partSize+7, byte(v.Number))); err != nil {
		return err
	}
	v.Delta = nil
	v.Staged, err = g.Close()
	return err
}

// TestKill kills a process while it commits, again and again: what it has acknowledged is there, and nothing is half there.
func TestKill(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		rounds := 5
		if testing.Short() {
			rounds = 2
		}
		total := uint64(0)
		for range rounds {
			acknowledged := killOne(t, url, time.Duration(10+rand.IntN(80))*time.Millisecond)
			s := open(t, url)
			head := checkAfterKill(t, s)
			if head < max(acknowledged, total) {
				t.Fatalf("version %d was acknowledged, and %d is the newest", acknowledged, head)
			}
			total = head
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%d commits, %d kills", total, rounds)
	})
}

// killOne starts the process, and kills it some time after its first commit.
func killOne(t *testing.T, url string, after time.Duration) (acknowledged uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashURL+"="+url)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for first := true; lines.Scan(); first = false {
		if strings.HasPrefix(lines.Text(), "failed") {
			t.Error(lines.Text())
		}
		if _, err := fmt.Sscan(lines.Text(), &acknowledged); err != nil {
			break // the kill cut the line
		}
		if first {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
	}
	_ = cmd.Wait() // it was killed
	return acknowledged
}

func checkAfterKill(t *testing.T, s *Store) (head uint64) {
	t.Helper()
	if said, err := s.Check(t.Context()); len(said) > 0 || err != nil {
		t.Fatalf("the check finds %q, %v", said, err)
	}
	zones, err := s.Zones(t.Context())
	if err != nil || zones[0].Head != zones[1].Head || zones[0].Commit != zones[1].Commit {
		t.Fatalf("one zone has what the other has not: %+v, %v", zones, err)
	}
	log, err := s.Log(t.Context(), zones[0].ID, 0, 9)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range log {
		r, err := s.OpenDelta(t.Context(), v)
		if got := readAll(t, r, err); v.Staged != 0 && string(got) != string(pattern(partSize+7, byte(v.Number))) {
			t.Errorf("the delta of version %d is another", v.Number)
		}
	}
	n, r, err := s.Checkpoint(t.Context(), zones[1].ID)
	if got := readAll(t, r, err); n > 0 && string(got) != string(pattern(2*partSize, byte(n))) {
		t.Errorf("the checkpoint of version %d is another", n)
	}
	return zones[0].Head
}
