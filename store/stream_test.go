package store

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// pattern returns octets that differ at each place.
func pattern(n int, seed byte) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i) ^ byte(i>>8)*7 ^ byte(i>>16)*13 ^ seed
	}
	return out
}

// stage writes a delta in odd portions.
func stage(t testing.TB, s *Store, content []byte) int64 {
	t.Helper()
	g, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for rest := content; len(rest) > 0; {
		n := min(len(rest), 70_001)
		if _, err := g.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	id, err := g.Close()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func readAll(t testing.TB, r io.ReadCloser, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// count returns a number that a query gives.
func count(t testing.TB, s *Store, query string) (n int) {
	t.Helper()
	if err := s.read().row(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestLargeDeltasAreStaged(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		z := addZone(t, s, "large.")
		for i, size := range []int{0, 1, partSize, 3*partSize + 17} {
			content := pattern(size, byte(i))
			v := version(z.ID, uint64(i+1))
			v.Delta, v.Staged = nil, stage(t, s, content)
			vs := []Version{v}
			if _, err := s.Commit(t.Context(), uint64(i), always(vs...)); err != nil {
				t.Fatal(err)
			}
			log, err := s.Log(t.Context(), z.ID, 0, 1)
			if err != nil || log[0].Octets != int64(size) || log[0].Parts != (size+partSize-1)/partSize {
				t.Fatalf("the log says %+v, %v", log, err)
			}
			r, err := s.OpenDelta(t.Context(), log[0])
			if got := readAll(t, r, err); !bytes.Equal(got, content) {
				t.Errorf("%d octets came back as %d others", size, len(got))
			}
		}
		v := version(z.ID, 5)
		v.Staged = 2
		_, err := s.Commit(t.Context(), 4, always(v))
		wantError(t, err, ErrGone) // it belongs to another version already
		commit(t, s, z.ID, 5, 5)
		log, err := s.Log(t.Context(), z.ID, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.OpenDelta(t.Context(), log[0])
		if got := readAll(t, r, err); string(got) != string(version(z.ID, 5).Delta) {
			t.Errorf("a small delta came as %q", got)
		}
	})
}

func TestSmallCommitsGoOnBesideLargeOnes(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		z := addZone(t, s, "a.")
		number := uint64(0)
		err := s.WriteCheckpoint(t.Context(), z.ID, 3, func(w io.Writer) error {
			for range 3 {
				if _, err := w.Write(pattern(partSize, 1)); err != nil {
					return err
				}
				number++
				commit(t, s, z.ID, number, number)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestCheckpoints(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		z := addZone(t, s, "a.")
		commit(t, s, z.ID, 1, 10)
		write := func(number uint64, content []byte, fail error) error {
			return s.WriteCheckpoint(t.Context(), z.ID, number, func(w io.Writer) error {
				if _, err := w.Write(content); err != nil {
					return err
				}
				return fail
			})
		}
		want := func(number uint64, content []byte) {
			t.Helper()
			n, r, err := s.Checkpoint(t.Context(), z.ID)
			if got := readAll(t, r, err); n != number || !bytes.Equal(got, content) {
				t.Errorf("the checkpoint is of version %d with %d octets", n, len(got))
			}
		}
		want(0, nil)
		large, small := pattern(2*partSize+1, 3), pattern(1000, 4)
		if err := write(4, large, nil); err != nil {
			t.Fatal(err)
		}
		want(4, large)
		broken := errors.New("broken")
		wantError(t, write(5, large, broken), broken)
		if err := write(11, small, nil); err == nil {
			t.Error("a checkpoint of a version to come was taken")
		}
		if err := write(3, small, nil); err != nil {
			t.Fatal(err)
		}
		want(4, large)

		_, reader, err := s.Checkpoint(t.Context(), z.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reader.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if err := write(8, small, nil); err != nil {
			t.Fatal(err)
		}
		want(8, small)
		_, err = io.ReadAll(reader)
		wantError(t, err, ErrGone)
		if n := count(t, s, "SELECT COUNT(*) FROM parts"); n != 1 {
			t.Errorf("%d parts are kept, and not 1", n)
		}
		zones, err := s.Zones(t.Context())
		if err != nil || zones[0].Checkpoint != 8 || zones[0].Pending != int64(len(version(z.ID, 9).Delta)+len(version(z.ID, 10).Delta)) {
			t.Errorf("the zone is %+v, %v", zones, err)
		}
	})
}

func TestWhatIsAbandonedIsDeleted(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		z := addZone(t, s, "a.")
		g, err := s.Stage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Write(pattern(2*partSize, 1)); err != nil {
			t.Fatal(err)
		}
		if err := g.Discard(); err != nil {
			t.Fatal(err)
		}
		if n := count(t, s, "SELECT COUNT(*) FROM parts"); n != 0 {
			t.Errorf("%d parts are left of what was discarded", n)
		}
		fresh, old := stage(t, s, pattern(100, 1)), stage(t, s, pattern(40*partSize, 2))
		used := version(z.ID, 1)
		used.Staged = stage(t, s, pattern(100, 3))
		if _, err := s.Commit(t.Context(), 0, always(used)); err != nil {
			t.Fatal(err)
		}
		err = s.write(t.Context(), func(x tx) error {
			_, err := x.exec(t.Context(), "UPDATE streams SET made = {now} - 90000000 WHERE id <> ?", fresh)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		ids, err := s.read().numbers(t.Context(), "SELECT DISTINCT stream FROM parts ORDER BY stream")
		if err != nil || len(ids) != 2 || ids[0] != fresh || ids[1] != used.Staged {
			t.Errorf("kept are %v, without %d, %v", ids, old, err)
		}
	})
}

func TestPrune(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		z := addZone(t, s, "a.")
		v := version(z.ID, 1)
		v.Delta, v.Staged = nil, stage(t, s, pattern(100, 1))
		if _, err := s.Commit(t.Context(), 0, always(v)); err != nil {
			t.Fatal(err)
		}
		commit(t, s, z.ID, 2, 2500)
		prune := func(below uint64, want int) {
			t.Helper()
			if n, err := s.Prune(t.Context(), z.ID, below); n != want || err != nil {
				t.Errorf("%d were pruned and not %d, %v", n, want, err)
			}
		}
		checkpoint := func(number uint64) {
			t.Helper()
			err := s.WriteCheckpoint(t.Context(), z.ID, number, func(w io.Writer) error { _, err := w.Write([]byte("x")); return err })
			if err != nil {
				t.Fatal(err)
			}
		}
		prune(2000, 0) // the content is made of them all
		checkpoint(2100)
		prune(2001, 2000)
		prune(2001, 0)
		prune(1<<60, 100)
		versions, octets, oldest, err := s.HistorySize(t.Context(), z.ID)
		if err != nil || versions != 400 || octets < 400*10 || !oldest.Equal(version(z.ID, 2101).At) {
			t.Errorf("the history has %d versions of %d octets since %v, %v", versions, octets, oldest, err)
		}
		var last error
		for _, err := range s.Versions(t.Context(), z.ID, 2100, 2500) {
			last = err
		}
		wantError(t, last, ErrGone)
		for _, err := range s.Versions(t.Context(), z.ID, 2500, 2100) {
			last = err
		}
		wantError(t, last, ErrGone)
		checkpoint(2500)
		prune(1<<60, 399) // the newest stays
		if said, err := s.Check(t.Context()); len(said) > 0 || err != nil {
			t.Errorf("the check finds %q, %v", said, err)
		}
		if n := count(t, s, "SELECT COUNT(*) FROM streams"); n != 1 {
			t.Errorf("there are %d streams, and not that of the checkpoint alone", n)
		}
	})
}
