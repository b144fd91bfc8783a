package signer

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/signer/keys"
)

// atRest returns a server whose zone has been signed for so long that nothing happens to it.
func atRest(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, Settings{Policy: keys.Default()})
	if err := r.write(content); err != nil {
		t.Fatal(err)
	}
	r.pass(3 * day)
	r.now = r.now.Add(2 * dateEvery)
	r.tend()
	r.doings = nil
	return r
}

// tend tends the zone once, as whoever looks at its parent has it done.
func (r *rig) tend() {
	r.t.Helper()
	r.k.Wake(r.id)
	r.k.Tend(r.t.Context())
	r.check()
}

// TestAtRest: a zone to which nothing happens costs the disk a write an hour, however often it is tended; what happens is on the
// disk before it is served.
func TestAtRest(t *testing.T) {
	r := atRest(t)
	written := r.now
	for r.now.Sub(written) < 59*time.Minute {
		r.now = r.now.Add(time.Minute)
		r.tend()
	}
	if len(r.doings) > 0 {
		t.Errorf("within an hour in which nothing has happened: %v", r.doings)
	}
	r.now = written.Add(dateEvery)
	r.tend()
	if strings.Join(r.doings, " ") != "write" {
		t.Errorf("after an hour: %v, expected one write", r.doings)
	}
	r.doings = nil
	r.start(Settings{Policy: keys.Default()})
	r.now = r.now.Add(time.Minute)
	r.tend()
	if len(r.doings) > 0 {
		t.Errorf("after a restart: %v", r.doings)
	}
	r.do(roll(keys.CSK, false))
	r.pass(time.Minute)
	if len(r.doings) < 2 || r.doings[0] != "write" || r.doings[1] != "write" || !strings.Contains(strings.Join(r.doings, " "), "version") {
		t.Errorf("a rollover begins with %v, expected that the word and the key are written before there is a version", r.doings)
	}
	isThere := func(tag uint16) (is bool) {
		var st state
		if err := st.decode(r.saved); err != nil {
			t.Fatal(err)
		}
		for _, k := range st.Ring.Keys() {
			is = is || k.Tag == tag
		}
		return is
	}
	for _, k := range r.view().Wanted.DNSKEYs {
		if !isThere(k.KeyTag()) {
			t.Errorf("key %d is served, and the disk does not know it", k.KeyTag())
		}
	}
}

// TestBackAfterRest: the server is started again 59 minutes after the last write, which no step has followed that was written.
// A clock that says less than at that write is found out; one that says less than at steps in which nothing happened is not
// in the way of anything.
func TestBackAfterRest(t *testing.T) {
	for _, c := range []struct {
		back    time.Duration // from the time of the restart
		isAlarm bool
	}{{0, false}, {30 * time.Minute, false}, {61 * time.Minute, true}, {5 * time.Hour, true}} {
		r := atRest(t)
		for range 59 {
			r.now = r.now.Add(time.Minute)
			r.tend()
		}
		r.now = r.now.Add(-c.back)
		r.start(Settings{Policy: keys.Default()})
		r.tend()
		isAlarm := strings.Contains(r.explain(), "the clock says")
		if isAlarm != c.isAlarm {
			t.Errorf("%v back: alarm %v, expected %v\n%s", c.back, isAlarm, c.isAlarm, r.explain())
		}
		if err := r.write("more.example.com. 60 IN A 192.0.2.9"); err != nil {
			t.Errorf("%v back: %v", c.back, err)
		}
		r.check()
	}
}

// TestUndated: whatever differs in what is kept of a zone beside its ring is written at once.
func TestUndated(t *testing.T) {
	whole := func() *state { return &state{Ring: keys.New(dns.MustName("example.com."))} }
	before := whole().undated()
	n := 0
	var each func(of func(*state) reflect.Value, path string)
	each = func(of func(*state) reflect.Value, path string) {
		s := whole()
		v := of(s)
		switch x := v.Addr().Interface().(type) {
		case *time.Time:
			*x = x.Add(time.Nanosecond)
		case *served:
			for i := range v.NumField() {
				each(func(s *state) reflect.Value { return of(s).Field(i) }, path+"."+v.Type().Field(i).Name)
			}
			return
		case *[]byte:
			*x = []byte{0}
		case *bool:
			*x = true
		case *uint32:
			*x = 1
		case *uint64:
			*x = 1
		case *time.Duration:
			*x = 1
		default:
			t.Fatalf("%s: this test does not know how to change %v", path, v.Type())
		}
		if n++; s.undated() == before {
			t.Errorf("%s is different, and nothing would be written", path)
		}
	}
	for i := range reflect.TypeFor[state]().NumField() {
		if name := reflect.TypeFor[state]().Field(i).Name; name != "Ring" && name != "Format" {
			each(func(s *state) reflect.Value { return reflect.ValueOf(s).Elem().Field(i) }, name)
		}
	}
	if n < 11 {
		t.Errorf("%d values were changed, expected 11", n)
	}
}
