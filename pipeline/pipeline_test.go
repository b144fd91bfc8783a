package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/store"
	"onoma/zone"
)

var exampleID = zone.IDOf("", dns.MustName("example."))

// bench is a Pipeline on a database in a directory, which can be stopped and
// started again.
type rig struct {
	t   testing.TB
	dir string
	url string
	now func() time.Time

	*Pipeline
	store *store.Store
	stop  func()
}

func newRig(t testing.TB, specs ...ZoneSpec) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{t: t, dir: dir, url: "sqlite:" + filepath.Join(dir, "onoma.db"), now: time.Now}
	r.start(specs...)
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *rig) start(specs ...ZoneSpec) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := store.Open(ctx, r.url, store.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.store = s
	r.Pipeline = New(Options{Store: s, DataDir: r.dir, Clock: func() time.Time { return r.now() }})
	if err := r.Load(ctx, specs); err != nil {
		r.t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			r.t.Error(err)
		}
	})
	r.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := s.Close(); err != nil {
			r.t.Error(err)
		}
	})
}

// restart stops the Pipeline and starts another one on the same database.
func (r *rig) restart(specs ...ZoneSpec) {
	r.t.Helper()
	r.stop()
	r.start(specs...)
}

func (r *rig) submit(changes ...zone.Change) ([]zone.Receipt, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return r.Submit(ctx, changes...)
}

// must submits a change that succeeds.
func (r *rig) must(c zone.Change) zone.Receipt {
	r.t.Helper()
	got, err := r.submit(c)
	if err != nil {
		r.t.Fatal(err)
	}
	return got[0]
}

func (r *rig) text(id zone.ID) string {
	r.t.Helper()
	_, v, _ := r.Head(id)
	if v == nil {
		return ""
	}
	return textOf(v)
}

// textOf returns the records of a version but the SOA, a line each.
func textOf(v *zone.Version) string {
	var b strings.Builder
	for rec := range v.Records() {
		if rec.Type != dns.TypeSOA {
			b.WriteString(rec.String() + "\n")
		}
	}
	return b.String()
}

func soa(origin string, serial uint32) string {
	return fmt.Sprintf("%s 300 IN SOA ns.example. root.example. %d 3600 600 86400 300", origin, serial)
}

// version builds a version of a zone from records.
func version(t testing.TB, origin string, serial uint32, records ...string) *zone.Version {
	t.Helper()
	b := zone.NewBuilder(dns.MustName(origin))
	base := []string{soa(origin, serial), origin + " 300 IN NS ns.elsewhere.test."}
	for _, rec := range append(base, records...) {
		if err := b.Add(dns.MustRecord(rec)); err != nil {
			t.Fatal(err)
		}
	}
	v, _ := b.Build()
	if v == nil {
		t.Fatal("the zone cannot be built")
	}
	return v
}

var author = zone.Author{Door: zone.DoorAPI, Name: "user:test", Comment: "because"}

func replace(v *zone.Version) zone.Change {
	return zone.Change{Zone: zone.IDOf("", v.Origin()), By: author, Replace: v}
}

func add(id zone.ID, records ...string) zone.Change {
	return zone.Change{Zone: id, By: author, Edit: func(e *zone.Editor) error {
		for _, rec := range records {
			if _, err := e.Add(dns.MustRecord(rec)); err != nil {
				return err
			}
		}
		return nil
	}}
}

func remove(id zone.ID, records ...string) zone.Change {
	return zone.Change{Zone: id, By: author, Edit: func(e *zone.Editor) error {
		for _, rec := range records {
			e.Remove(dns.MustRecord(rec))
		}
		return nil
	}}
}

func TestChangesAreServedAndKept(t *testing.T) {
	spec := ZoneSpec{ID: exampleID}
	r := newRig(t, spec)
	if _, err := r.submit(add(exampleID, "www.example. 300 IN A 192.0.2.1")); !errors.Is(err, zone.ErrNoVersion) {
		t.Errorf("an edit of nothing: %v, expected ErrNoVersion", err)
	}
	first := r.must(replace(version(t, "example.", 7)))
	if first.Version != 1 || first.Serial != 7 || !first.Changed {
		t.Errorf("the first version is %+v", first)
	}
	second := r.must(add(exampleID, "www.example. 300 IN A 192.0.2.1"))
	if second.Version != 2 || second.Serial != 8 || second.Added != 2 || second.Removed != 1 {
		t.Errorf("the second version is %+v", second)
	}
	same := r.must(add(exampleID, "www.example. 300 IN A 192.0.2.1"))
	if same.Changed || same.Version != 2 || same.Serial != 8 {
		t.Errorf("a change that changes nothing gives %+v", same)
	}
	undone := r.must(zone.Change{Zone: exampleID, By: author, Edit: func(e *zone.Editor) error {
		e.RemoveName(dns.MustName("www.example."))
		_, err := e.Add(dns.MustRecord("www.example. 300 IN A 192.0.2.1"))
		return err
	}})
	if undone.Changed {
		t.Errorf("a change that undoes itself gives %+v", undone)
	}
	want := r.text(exampleID)
	r.restart(spec)
	if got := r.text(exampleID); got != want {
		t.Errorf("after a restart there is\n%s, expected\n%s", got, want)
	}
	if third := r.must(remove(exampleID, "www.example. 300 IN A 192.0.2.1")); third.Version != 3 || third.Serial != 9 {
		t.Errorf("the third version is %+v", third)
	}
}

func TestErrorsAreOfOneChange(t *testing.T) {
	spec := ZoneSpec{ID: exampleID}
	r := newRig(t, spec)
	r.must(replace(version(t, "example.", 1)))
	no := errors.New("no")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if i%2 == 0 {
				r.must(add(exampleID, fmt.Sprintf("n%d.example. 300 IN A 192.0.2.1", i)))
				return
			}
			c := zone.Change{Zone: exampleID, By: author, Edit: func(e *zone.Editor) error {
				_, _ = e.Add(dns.MustRecord(fmt.Sprintf("n%d.example. 300 IN A 192.0.2.1", i)))
				return no
			}}
			if _, err := r.submit(c); !errors.Is(err, no) {
				t.Errorf("%v, expected that of the edit", err)
			}
		})
	}
	wg.Wait()
	if n, v, _ := r.Head(exampleID); n != 11 || v.Serial() != 11 || strings.Count(textOf(v), "\n") != 11 {
		t.Errorf("version %d, serial %d:\n%s", n, v.Serial(), textOf(v))
	}
	c := add(exampleID, "x.example. 1 IN A 192.0.2.1")
	c.Base = 3
	if _, err := r.submit(c); !errors.Is(err, zone.ErrConflict) {
		t.Errorf("a change for an old version: %v, expected ErrConflict", err)
	}
	c = replace(version(t, "example.", 20))
	c.First = true
	if _, err := r.submit(c); !errors.Is(err, zone.ErrConflict) {
		t.Errorf("a first version of a zone that has some: %v, expected ErrConflict", err)
	}
	if _, err := r.submit(add(zone.IDOf("", dns.MustName("else.")), "x.else. 1 IN A 192.0.2.1")); !errors.Is(err, zone.ErrUnknown) {
		t.Errorf("a change of no zone: %v, expected ErrUnknown", err)
	}
}

func TestTogetherOrNotAtAll(t *testing.T) {
	otherID := zone.IDOf("", dns.MustName("other."))
	r := newRig(t, ZoneSpec{ID: exampleID}, ZoneSpec{ID: otherID})
	if _, err := r.submit(replace(version(t, "example.", 1)), replace(version(t, "other.", 1))); err != nil {
		t.Fatal(err)
	}
	no := errors.New("no")
	_, err := r.submit(
		add(exampleID, "a.example. 300 IN A 192.0.2.1"),
		add(otherID, "a.other. 300 IN A 192.0.2.1"),
		add(exampleID, "b.example. 300 IN A 192.0.2.1"),
		zone.Change{Zone: otherID, By: author, Edit: func(*zone.Editor) error { return no }})
	if !errors.Is(err, no) {
		t.Fatalf("%v, expected that of the last edit", err)
	}
	if text := r.text(exampleID) + r.text(otherID); strings.Contains(text, "192.0.2.1") {
		t.Errorf("half of it has happened:\n%s", text)
	}
	got, err := r.submit(
		add(exampleID, "a.example. 300 IN A 192.0.2.1"),
		add(otherID, "a.other. 300 IN A 192.0.2.1"),
		add(exampleID, "b.example. 300 IN A 192.0.2.1"))
	if err != nil || got[0].Version != 2 || got[1].Version != 2 || got[2].Version != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestRefusedLeavesNothingToItsGroup: what is committed together with changes that
// come to nothing does not stand on them.
func TestRefusedLeavesNothingToItsGroup(t *testing.T) {
	otherID := zone.IDOf("", dns.MustName("other."))
	r := newRig(t, ZoneSpec{ID: exampleID}, ZoneSpec{ID: otherID})
	r.must(replace(version(t, "example.", 1)))
	r.must(replace(version(t, "other.", 1)))
	no := errors.New("no")
	var told sync.WaitGroup
	told.Add(2)
	r.turn.Lock() // both wait for the same round
	r.Enqueue([]zone.Change{
		add(exampleID, "a.example. 300 IN A 192.0.2.1"),
		{Zone: otherID, By: author, Edit: func(*zone.Editor) error { return no }},
	}, func(_ []zone.Receipt, err error) {
		defer told.Done()
		if !errors.Is(err, no) {
			t.Errorf("%v, expected that of the edit", err)
		}
	})
	r.Enqueue([]zone.Change{add(exampleID, "b.example. 300 IN A 192.0.2.1")}, func(got []zone.Receipt, err error) {
		defer told.Done()
		if err != nil || got[0].Version != 2 || got[0].Serial != 2 {
			t.Errorf("%+v, %v, expected version 2", got, err)
		}
	})
	r.turn.Unlock()
	told.Wait()
	if text := r.text(exampleID); strings.Contains(text, "a.example.") || !strings.Contains(text, "b.example.") {
		t.Errorf("expected the second change alone:\n%s", text)
	}
}

func TestSerialPolicies(t *testing.T) {
	day := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		policy    SerialPolicy
		last, own uint32
		want      uint32
		byHand    bool
		note      bool
	}{
		{SerialIncrement, 7, 7, 8, false, false},
		{SerialIncrement, 7, 9, 9, true, false},
		{SerialIncrement, 7, 3, 8, false, true},
		{SerialIncrement, 0xFFFFFFFF, 0xFFFFFFFF, 1, false, false},
		{SerialDate, 7, 7, 2026112100, false, false},
		{SerialDate, 2026112100, 2026112100, 2026112101, false, false},
		{SerialDate, 2026112199, 2026112199, 2026112200, false, false},
		{SerialDate, 2026112299, 2026112299, 2026112300, false, false},
		{SerialUnixTime, 7, 7, uint32(day.Unix()), false, false},
		{SerialUnixTime, uint32(day.Unix()), uint32(day.Unix()), uint32(day.Unix()) + 1, false, false},
		{SerialKeep, 7, 7, 7, true, false},
		{SerialKeep, 7, 8, 8, true, false},
	} {
		spec := &ZoneSpec{Serial: c.policy}
		got, byHand, note := spec.serial(&zone.Change{}, c.last, c.own, day)
		if got != c.want || byHand != c.byHand || (note != "") != c.note {
			t.Errorf("%s after %d, change has %d: %d, %v, %q, expected %d, %v, note %v", c.policy, c.last, c.own, got, byHand, note, c.want, c.byHand, c.note)
		}
	}
}

// A zone goes back to an older serial number only where all of it comes from
// elsewhere, and who brings it knows what is here.
func TestSerialGoesBackWithTheWholeZone(t *testing.T) {
	r := newRig(t, ZoneSpec{ID: exampleID})
	r.must(replace(version(t, "example.", 9)))
	back := replace(version(t, "example.", 4))
	back.KeepSerial = true
	if _, err := r.submit(back); err == nil {
		t.Error("an older zone was taken that was not made for the version here")
	}
	back.Base = 1
	if got := r.must(back); got.Serial != 4 || got.Version != 2 {
		t.Errorf("%+v, expected version 2 with serial 4", got)
	}
	r.restart(ZoneSpec{ID: exampleID})
	if _, v, _ := r.Head(exampleID); v.Serial() != 4 {
		t.Errorf("after a restart the serial number is %d, expected 4", v.Serial())
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
