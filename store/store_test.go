package store

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func collect(t testing.TB, s *Store, zone int64, from, to uint64) []Version {
	t.Helper()
	var out []Version
	for v, err := range s.Versions(t.Context(), zone, from, to) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func numbersOf(vs []Version) []uint64 {
	var out []uint64
	for _, v := range vs {
		out = append(out, v.Number)
	}
	return out
}

// span returns the numbers from a to b, downward where a is the larger one.
func span(a, b uint64) []uint64 {
	out := []uint64{a}
	for a != b {
		if a < b {
			a++
		} else {
			a--
		}
		out = append(out, a)
	}
	return out
}

func TestVersionsComeBackAsTheyWere(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		a, b := addZone(t, s, "a.example."), addZone(t, s, "b.example.")
		rows := []Version{version(a.ID, 1), version(b.ID, 1), version(a.ID, 2)}
		rows[1].Comment, rows[1].Author = "nul \x00 and \xff, ünïcödé ✓", ""
		rows[2].Delta = nil
		n, err := s.Commit(t.Context(), 0, always(rows...))
		if err != nil || n != 1 {
			t.Fatalf("commit %d, %v", n, err)
		}
		commit(t, s, b.ID, 2, 100)

		got, err := s.Since(t.Context(), 0, 2)
		if err != nil {
			t.Fatal(err)
		}
		want := []Version{version(a.ID, 1), version(a.ID, 2), version(b.ID, 1)}
		want[1].Delta = nil
		want[2].Comment, want[2].Author = "nul \uFFFD and \uFFFD, ünïcödé ✓", ""
		for i := range want {
			want[i].Commit, want[i].Octets = 1, int64(len(want[i].Delta))
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("since the beginning (-want +got):\n%s", d)
		}
		if got, err := s.Since(t.Context(), 1, 5); err != nil || len(got) != 99 {
			t.Errorf("a large commit is cut: %d versions, %v", len(got), err)
		}
		if d := cmp.Diff(span(7, 100), numbersOf(collect(t, s, b.ID, 7, 1000))); d != "" {
			t.Errorf("ascending (-want +got):\n%s", d)
		}
		if d := cmp.Diff(span(90, 3), numbersOf(collect(t, s, b.ID, 90, 3))); d != "" {
			t.Errorf("descending (-want +got):\n%s", d)
		}
		log, err := s.Log(t.Context(), b.ID, 98, 3)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(span(97, 95), numbersOf(log)); d != "" {
			t.Errorf("log (-want +got):\n%s", d)
		}
		zones, err := s.Zones(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wantZones := []Zone{
			{ID: a.ID, Name: "a.example.", Head: 2, Serial: 1002, Oldest: 1, Commit: 1, Pending: 17},
			{ID: b.ID, Name: "b.example.", Head: 100, Serial: 1100, Oldest: 1, Commit: 2, Pending: zones[1].Pending},
		}
		if d := cmp.Diff(wantZones, zones, cmpopts.IgnoreUnexported(Zone{})); d != "" {
			t.Errorf("zones (-want +got):\n%s", d)
		}
	})
}

func TestCommitIsAllOrNothing(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		a := addZone(t, s, "a.")
		commit(t, s, a.ID, 1, 3)
		refused := errors.New("refused")
		_, err := s.Commit(t.Context(), 1, func([]Version) ([]Version, error) { return nil, refused })
		wantError(t, err, refused)
		if n, err := s.Commit(t.Context(), 1, always()); n != 1 || err != nil {
			t.Errorf("a commit of nothing: %d, %v", n, err)
		}
		for name, vs := range map[string][]Version{
			"a number twice":   {version(a.ID, 3)},
			"a gap":            {version(a.ID, 5)},
			"a gap within":     {version(a.ID, 4), version(a.ID, 6)},
			"no such zone":     {version(a.ID, 4), version(77, 1)},
			"version 0":        {version(a.ID, 0)},
			"no such staging":  {{Zone: a.ID, Number: 4, Staged: 99}},
			"out of the range": {{Zone: a.ID, Number: 1 << 63}},
		} {
			if _, err := s.Commit(t.Context(), 1, always(vs...)); !errors.Is(err, ErrOverlap) && !errors.Is(err, ErrGone) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := s.Commit(t.Context(), 1, always(Version{Zone: a.ID, Number: 4, Delta: make([]byte, MaxInline+1)})); err == nil {
			t.Error("a delta that is too large was taken")
		}
		if n, err := s.LastCommit(t.Context()); n != 1 || err != nil {
			t.Errorf("the last commit is %d, %v", n, err)
		}
		if got := numbersOf(collect(t, s, a.ID, 1, 99)); len(got) != 3 {
			t.Errorf("versions %v", got)
		}
		if n := commit(t, s, a.ID, 4, 4); n != 2 {
			t.Errorf("the next commit is %d", n)
		}
	})
}

func TestAddingAndRemovingZones(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		var add []Zone
		for i := range 200 {
			add = append(add, Zone{View: []string{"", "inside"}[i%2], Name: fmt.Sprintf("z%d.", i/2), Kind: "member"})
		}
		one, err := s.AddZones(t.Context(), add)
		if err != nil {
			t.Fatal(err)
		}
		commit(t, s, one[150].ID, 1, 2500)
		two, err := s.AddZones(t.Context(), append(add[100:200:200], add[0]))
		if err != nil {
			t.Fatal(err)
		}
		for i, z := range two[:100] {
			if z.ID != one[100+i].ID || z.Name != add[100+i].Name || z.View != add[100+i].View || z.Kind != "member" {
				t.Fatalf("%+v is not %+v", z, one[100+i])
			}
		}
		if two[50].Head != 2500 || two[100].ID != one[0].ID {
			t.Errorf("the zones that were there came as %+v and %+v", two[50], two[100])
		}
		if err := s.SetState(t.Context(), []ZoneState{{one[150].ID, "timers", []byte("x")}}); err != nil {
			t.Fatal(err)
		}
		if err := s.RemoveZone(t.Context(), one[150].ID); err != nil {
			t.Fatal(err)
		}
		_, err = s.Commit(t.Context(), 1, always(version(one[150].ID, 2501)))
		wantError(t, err, ErrOverlap)
		again, err := s.AddZone(t.Context(), one[150].View, one[150].Name)
		if err != nil || again.ID <= one[199].ID || again.Head != 0 {
			t.Errorf("added again it is %+v, %v", again, err)
		}
		if left, err := s.Since(t.Context(), 0, 10); len(left) != 0 || err != nil {
			t.Errorf("%d versions are left, %v", len(left), err)
		}
	})
}
