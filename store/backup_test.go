package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// populate makes a database with something of everything, and returns what it contains in words.
func populate(t testing.TB, s *Store) {
	t.Helper()
	var zones []Zone
	for i := range 20 {
		z, err := s.AddZone(t.Context(), []string{"", "inside"}[i%2], fmt.Sprintf("z%d.example.", i))
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, z)
	}
	for i, z := range zones {
		commit(t, s, z.ID, 1, uint64(i))
	}
	big := version(zones[0].ID, 1)
	big.Delta, big.Staged = nil, stage(t, s, pattern(2*partSize+3, 9))
	if _, err := s.Commit(t.Context(), 1<<60, always(big)); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{5, 19} {
		err := s.WriteCheckpoint(t.Context(), zones[i].ID, 4, func(w io.Writer) error { _, err := w.Write(pattern(700_000*i%partSize+partSize, 2)); return err })
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Prune(t.Context(), zones[19].ID, 3); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveZone(t.Context(), zones[7].ID); err != nil {
		t.Fatal(err)
	}
	err := s.SetState(t.Context(), []ZoneState{{zones[1].ID, "timers", []byte{1, 0, 2}}, {zones[2].ID, "timers", []byte{}}, {zones[2].ID, "file", []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
}

// contents tells all that a caller can see of a database.
func contents(t testing.TB, s *Store) []string {
	t.Helper()
	ctx := t.Context()
	last, err := s.LastCommit(ctx)
	out := []string{fmt.Sprintf("last commit %d", last)}
	if err != nil {
		t.Fatal(err)
	}
	zones, err := s.Zones(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, z := range zones {
		z.stream = 0
		n, r, err := s.Checkpoint(ctx, z.ID)
		out = append(out, fmt.Sprintf("zone %+v checkpoint %d %x", z, n, sumPart(0, 0, readAll(t, r, err))))
	}
	vs, err := s.Since(ctx, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vs {
		r, err := s.OpenDelta(ctx, v)
		out = append(out, fmt.Sprintf("version %+v delta %x", v, sumPart(0, 0, readAll(t, r, err))))
	}
	for _, what := range []string{"timers", "file"} {
		states, err := s.States(ctx, what)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %v", what, states))
	}
	return out
}

func TestBackupsRestoreIntoEither(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		populate(t, s)
		want := contents(t, s)
		backup := filepath.Join(t.TempDir(), "backup")
		for range 2 { // the second replaces the first
			if err := s.Backup(t.Context(), backup); err != nil {
				t.Fatal(err)
			}
		}
		if files, err := os.ReadDir(filepath.Dir(backup)); len(files) != 1 || err != nil {
			t.Errorf("beside the backup there are %v, %v", files, err)
		}
		for _, target := range databases {
			t.Run("into "+target.name, func(t *testing.T) {
				url := target.url(t)
				if err := Restore(t.Context(), backup, url); err != nil {
					t.Fatal(err)
				}
				r := open(t, url)
				if d := cmp.Diff(want, contents(t, r)); d != "" {
					t.Errorf("(-before +after):\n%s", d)
				}
				if said, err := r.Check(t.Context()); len(said) > 0 || err != nil {
					t.Errorf("the check finds %q, %v", said, err)
				}
				if z := addZone(t, r, "new."); z.ID <= 20 {
					t.Errorf("a new zone gets the number %d", z.ID)
				}
				if id := stage(t, r, []byte("x")); id <= 3 {
					t.Errorf("a new stream gets the number %d", id)
				}
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
				wantError(t, Restore(t.Context(), backup, url), ErrNotEmpty)
			})
		}
	})
}

func TestBackupIsOneStateWhileOthersCommit(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		zones := []Zone{addZone(t, s, "a."), addZone(t, s, "b.")}
		ctx, stop := context.WithCancel(t.Context())
		var work sync.WaitGroup
		begun := make(chan struct{})
		work.Go(func() {
			for n := uint64(1); ctx.Err() == nil; n++ {
				if _, err := s.Commit(t.Context(), n-1, always(version(zones[0].ID, n), version(zones[1].ID, n))); err != nil {
					t.Error(err)
				}
				if n == 20 {
					close(begun)
				}
			}
		})
		<-begun
		backup := filepath.Join(t.TempDir(), "backup")
		err := s.Backup(t.Context(), backup)
		stop()
		work.Wait()
		if err != nil {
			t.Fatal(err)
		}
		b, err := Open(t.Context(), backup, Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		got, err := b.Zones(t.Context())
		if err != nil || got[0].Head != got[1].Head || got[0].Head < 20 {
			t.Errorf("the heads are %d and %d, %v", got[0].Head, got[1].Head, err)
		}
		if said, err := b.Check(t.Context()); len(said) > 0 || err != nil {
			t.Errorf("the check finds %q, %v", said, err)
		}
	})
}

func TestBackupIntoItselfIsRefused(t *testing.T) {
	url := sqliteURL(t)
	s := open(t, url)
	before, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), s.path); err == nil {
		t.Error("it was done")
	}
	if after, err := os.ReadFile(s.path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the database has changed, %v", err)
	}
}

func TestCheckTellsWhatIsWrong(t *testing.T) {
	damages := map[string]string{
		"Version 2 of zone 3 does not match its checksum.":                           "UPDATE versions SET serial = serial + 1 WHERE zone = 3 AND number = 2",
		"Zone z9.example.: of versions 1 to 9, 1 are missing.":                       "DELETE FROM versions WHERE zone = 10 AND number = 4",
		"Zone z9.example.: its newest version should be 9, but is 8.":                "DELETE FROM versions WHERE zone = 10 AND number = 9",
		"Zone z9.example.: its oldest version should be 1, but is 2.":                "DELETE FROM versions WHERE zone = 10 AND number = 1",
		"Zone z8.example.: version 8 has serial number 1008, and the zone 7.":        "UPDATE zones SET serial = 7 WHERE id = 9",
		"Zone z5.example.: the checkpoint of version 4 is not there as a whole.":     "DELETE FROM streams WHERE zone = 6",
		"The checkpoint or delta of version 4 of zone 6 has lost some of its parts.": "DELETE FROM parts WHERE part = 1 AND stream = (SELECT stream FROM zones WHERE id = 6)",
		"Version 1 of zone 1 refers to a large delta that is not there as a whole.":  "UPDATE streams SET zone = 0 WHERE zone = 1",
		"A version has commit number 20, but the last commit is 3.":                  "UPDATE log SET last = 3",
		"The state \"file\" of zone 3 does not match its checksum.":                  "UPDATE states SET zone = 3, sum = sum + 1 WHERE what = 'file'",
	}
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		populate(t, s)
		if said, err := s.Check(t.Context()); len(said) > 0 || err != nil {
			t.Fatalf("the check of a sound database finds %q, %v", said, err)
		}
		for want, damage := range damages {
			t.Run(want, func(t *testing.T) {
				x, err := s.writer.BeginTx(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := x.Rollback(); err != nil {
						t.Error(err)
					}
				}()
				if _, err := x.ExecContext(t.Context(), damage); err != nil {
					t.Fatal(err)
				}
				c := checker{t: tx{s.dialect, x}}
				if err := c.run(t.Context()); err != nil {
					t.Fatal(err)
				}
				found := false
				for _, text := range c.said {
					found = found || text == want
				}
				if !found {
					t.Errorf("it finds %q", c.said)
				}
			})
		}
	})
}
