package store

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStates(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		a, b := addZone(t, s, "a."), addZone(t, s, "b.")
		states := []ZoneState{{a.ID, "timers", []byte("1")}, {b.ID, "timers", []byte{}}, {a.ID, "file", []byte{0, 255}}, {99, "timers", []byte("no such zone")}}
		for range 2 {
			if err := s.SetState(t.Context(), states); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.SetState(t.Context(), []ZoneState{{a.ID, "timers", []byte("1b")}, {a.ID, "file", nil}, {a.ID, "timers", []byte("2")}}); err != nil {
			t.Fatal(err)
		}
		got, err := s.States(t.Context(), "timers")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[int64]string{a.ID: "2", b.ID: ""}, texted(got)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		for what, want := range map[string]string{"timers": "2", "file": ""} {
			if got, err := s.State(t.Context(), a.ID, what); string(got) != want || err != nil {
				t.Errorf("state %s is %q, %v", what, got, err)
			}
		}
		more := []ZoneState{{a.ID, "key b", []byte{1}}, {a.ID, "key a%", []byte{1}}, {b.ID, "key b", []byte{1}}, {b.ID, "keys", []byte{1}}}
		if err := s.SetState(t.Context(), more); err != nil {
			t.Fatal(err)
		}
		names, err := s.StateNames(t.Context(), "key ")
		if d := cmp.Diff([]string{"key a%", "key b"}, names); d != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, d)
		}
	})
}

func texted(m map[int64][]byte) map[int64]string {
	out := make(map[int64]string)
	for k, v := range m {
		out[k] = string(v)
	}
	return out
}

// TestSwapState: of two nodes that have read the same, one writes.
func TestSwapState(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		a := addZone(t, s, "a.")
		for i, step := range []struct {
			zone      int64
			had, data string
			want      bool
		}{
			{a.ID, "", "1", true}, {a.ID, "", "other", false}, {a.ID, "other", "2", false}, {a.ID, "1", "2", true},
			{a.ID, "1", "3", false}, {a.ID, "2", "3", true}, {99, "", "no such zone", false},
		} {
			var had []byte
			if step.had != "" {
				had = []byte(step.had)
			}
			if ok, err := s.SwapState(t.Context(), ZoneState{step.zone, "keys", []byte(step.data)}, had); ok != step.want || err != nil {
				t.Errorf("step %d: %v, %v, expected %v", i, ok, err, step.want)
			}
		}
		if got, err := s.State(t.Context(), a.ID, "keys"); string(got) != "3" || err != nil {
			t.Errorf("the state is %q, %v", got, err)
		}
	})
}

func TestLeases(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		lease := func(holder string, d time.Duration, want bool) {
			t.Helper()
			if got, err := s.Lease(t.Context(), "signer", holder, d); got != want || err != nil {
				t.Errorf("%s gets %v, %v", holder, got, err)
			}
		}
		lease("a", time.Hour, true)
		lease("b", time.Hour, false)
		lease("a", time.Hour, true)
		if err := s.Release(t.Context(), "signer", "b"); err != nil {
			t.Fatal(err)
		}
		lease("b", time.Hour, false)
		if err := s.Release(t.Context(), "signer", "a"); err != nil {
			t.Fatal(err)
		}
		lease("b", time.Hour, true)
		lease("b", 0, true) // it ends at once
		lease("a", time.Hour, true)
	})
}

func TestSmallReadsAllZones(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		var add []Zone
		for i := range 2300 {
			add = append(add, Zone{Name: fmt.Sprintf("z%d.", i)})
		}
		zones, err := s.AddZones(t.Context(), add)
		if err != nil {
			t.Fatal(err)
		}
		var vs []Version
		for i, z := range zones {
			for n := range uint64(i % 4) {
				vs = append(vs, version(z.ID, n+1))
			}
		}
		if _, err := s.Commit(t.Context(), 0, always(vs...)); err != nil {
			t.Fatal(err)
		}
		large := map[int]bool{3: true, 7: true, 1999: true}
		for i := 3; i < len(zones); i += 4 {
			content := []byte(zones[i].Name)
			if large[i] {
				content = pattern(smallOctets+1, 0)
			} else if i == 11 {
				content = pattern(partSize+5, 0)
			} else if i > 100 {
				continue
			}
			err := s.WriteCheckpoint(t.Context(), zones[i].ID, 2, func(w io.Writer) error { _, err := w.Write(content); return err })
			if err != nil {
				t.Fatal(err)
			}
		}
		i := 0
		for l, err := range s.Small(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			content, deltas := 0, i%4
			switch {
			case large[i]:
				deltas = 0
			case i == 11:
				content, deltas = partSize+5, 1
			case i%4 == 3 && i <= 100:
				content, deltas = len(zones[i].Name), 1
			}
			if l.Zone.ID != zones[i].ID || l.Large != large[i] || len(l.Content) != content || len(l.Deltas) != deltas {
				t.Fatalf("zone %d: %+v large %v, content %d, %d deltas", i, l.Zone, l.Large, len(l.Content), len(l.Deltas))
			}
			i++
		}
		if i != len(zones) {
			t.Errorf("%d zones came", i)
		}
	})
}
