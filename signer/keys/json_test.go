package keys

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// FuzzRing: what can be read is written the same, can be stepped, and no key of it is lost.
func FuzzRing(f *testing.F) {
	s := &sim{r: New(exampleZone()), p: Default(), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	empty, _ := s.r.MarshalJSON()
	f.Add(empty)
	s.p.Split, s.p.Standby = true, 1
	for range 300 {
		s.step()
		s.now = s.now.Add(tick)
	}
	full, _ := s.r.MarshalJSON()
	f.Add(full)
	f.Add(bytes.ReplaceAll(full, []byte("omnipresent"), []byte("hidden")))
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := new(Ring)
		if r.UnmarshalJSON(data) != nil {
			return
		}
		once, err := r.MarshalJSON()
		if err != nil {
			t.Skip() // times that JSON does not have
		}
		again := new(Ring)
		if err := again.UnmarshalJSON(once); err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, once)
		}
		twice, _ := again.MarshalJSON()
		if string(once) != string(twice) {
			t.Errorf("another ring:\n%s\n%s", once, twice)
		}
		p, n := Default(), len(r.keys)
		now := r.last.Add(time.Hour)
		r.Step(now, &p, Facts{Generation: r.current().Generation, InSync: now, Signed: now, MaxTTL: time.Hour})
		r.Wanted(now, &p)
		if len(r.keys) != n {
			t.Errorf("%d keys became %d", n, len(r.keys))
		}
	})
}

func TestJSONRefusesWhatItDoesNotKnow(t *testing.T) {
	s := newSim(t)
	s.run(24 * time.Hour)
	data, err := s.r.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, c := range []struct{ from, to, want string }{
		{`"format":1`, `"format":2`, "written by another version"},
		{`"keys":[`, `"more":1,"keys":[`, "unknown field"},
		{`"key-signers":["CSK1"]`, `"key-signers":["CSK9"]`, "not there"},
		{`"role":"CSK"`, `"role":"none"`, "make no sense"},
		{`"algorithm":13`, `"algorithm":8`, "algorithm 13"},
		{`"versions":[`, `"versions":[null,`, "ascending"},
		{`{"format"`, `[]{"format"`, "reading"},
	} {
		changed := strings.Replace(text, c.from, c.to, 1)
		if changed == text {
			t.Fatalf("no %s in %s", c.from, text)
		}
		if err := new(Ring).UnmarshalJSON([]byte(changed)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.to, err, c.want)
		}
	}
	if err := json.Unmarshal(data, New(exampleZone())); err != nil {
		t.Error(err)
	}
}
