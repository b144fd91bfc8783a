package keys

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"onoma/dns"
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

// TestUndated: whatever is different in two rings is so without the times that each step moves, but for these.
func TestUndated(t *testing.T) {
	whole := func() *Ring {
		s := newSim(t)
		s.run(24 * time.Hour)
		s.r.parent = Parent{DS: []SeenDS{{DS: dns.DS{Digest: []byte{1}}}}}
		s.r.keys[0].At = map[string]AtProvider{"other": {}}
		return s.r
	}
	before := string(whole().AppendUndated(nil))
	n := 0
	// each changes one field after the other of what v is, in a ring of its own, which check looks at
	var each func(of func(*Ring) reflect.Value, path string)
	each = func(of func(*Ring) reflect.Value, path string) {
		r := whole()
		v := of(r)
		if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]() {
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.IsExported() {
					each(func(r *Ring) reflect.Value { return of(r).Field(i) }, path+"."+f.Name)
				}
			}
			return
		}
		if v.Kind() == reflect.Array || v.Kind() == reflect.Slice && v.Len() > 0 && v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				each(func(r *Ring) reflect.Value { return of(r).Index(i) }, path+"[]")
			}
			return
		}
		n++
		switch x := v.Addr().Interface().(type) {
		case *time.Time:
			*x = x.Add(time.Nanosecond)
		case *[]byte:
			*x = append(bytes.Clone(*x), 1)
		case *[]string:
			*x = append(*x, "CSK1")
		case *map[string]AtProvider:
			*x = map[string]AtProvider{"other": {TTL: 1}}
		default:
			switch v.Kind() {
			case reflect.Bool:
				v.SetBool(!v.Bool())
			case reflect.String:
				v.SetString(v.String() + "x")
			case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
				v.SetUint(v.Uint() + 1)
			case reflect.Int, reflect.Int64:
				v.SetInt(v.Int() + 1)
			default:
				t.Fatalf("%s: this test does not know how to change %v", path, v.Type())
			}
		}
		same, isMoved := string(r.AppendUndated(nil)) == before, path == "parent.At"
		if same != isMoved {
			t.Errorf("%s: the same %v, expected %v", path, same, isMoved)
		}
	}
	each(func(r *Ring) reflect.Value { return reflect.ValueOf(r.keys[0]).Elem() }, "key")
	each(func(r *Ring) reflect.Value { return reflect.ValueOf(r.versions[0]).Elem() }, "version")
	each(func(r *Ring) reflect.Value { return reflect.ValueOf(&r.parent).Elem() }, "parent")
	if fields := reflect.TypeFor[encoded]().NumField(); n < 50 || fields != 7 {
		t.Errorf("%d values were changed; a ring as it is kept has %d fields: AppendUndated knows 7", n, fields)
	}
	r := whole()
	r.last = r.last.Add(time.Hour)
	if string(r.AppendUndated(nil)) != before {
		t.Error("the time of a step makes it another ring")
	}
	r.unsigned = !r.unsigned
	if string(r.AppendUndated(nil)) == before {
		t.Error("whether the zone is to go unsigned makes no difference")
	}
}
