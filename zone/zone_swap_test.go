package zone

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"onoma/dns"
	"onoma/zone/zonegen"
)

// changeTLD changes the DS records of ten delegations and the serial number.
func changeTLD(tld zonegen.TLD, serial int) func(*Editor) error {
	return func(e *Editor) error {
		soa := dns.Record{Name: tld.Origin, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: 300, Data: modelSOA(uint32(serial))}
		if _, err := e.Add(soa); err != nil {
			return err
		}
		for j := range 10 {
			name, err := tld.Origin.Child(string(tld.AppendName(nil, (serial*7919+j*104729)%tld.Delegations)))
			if err != nil {
				return err
			}
			r := dns.Record{Name: name, Type: dns.TypeDS, Class: dns.ClassIN, TTL: 300, Data: dns.RData{0, byte(serial), 13, 2, byte(serial), byte(serial >> 8)}}
			if _, err := e.Add(r); err != nil {
				return err
			}
		}
		return nil
	}
}

// eventually waits for what other goroutines are about to do.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 60_000 {
		if done() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("still not true: %s", what)
}

// isTidying reports whether a compaction of v is at work.
func isTidying(v *Version) bool {
	v.line.mu.Lock()
	defer v.line.mu.Unlock()
	return v.line.tidying
}

// TestSwapWithoutPause: while a zone is changed a thousand times, put in order
// and loaded anew, every look-up is quick, and what a change copies does not
// grow with the zone.
func TestSwapWithoutPause(t *testing.T) {
	if invariants {
		t.Skip("a build that checks itself looks at all names in each commit")
	}
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	tld, text := generated(t, n)
	z := New(tld.Origin)
	z.Publish(load(t, tld.Origin, text))

	done := make(chan struct{})
	var lookups []time.Duration
	var wg sync.WaitGroup
	wg.Go(func() {
		r := rand.New(rand.NewPCG(1, 2))
		var m Match
		for {
			select {
			case <-done:
				return
			default:
			}
			name := append(tld.AppendName([]byte{0}, r.IntN(n)), tld.Origin.Wire()...)
			name[0] = byte(len(name) - 1 - tld.Origin.Len())
			start := time.Now()
			z.Current().Lookup(&m, name)
			_, ok := m.Cut.RRset(dns.TypeNS)
			lookups = append(lookups, time.Since(start))
			if !ok {
				t.Errorf("no delegation at %q", name)
				return
			}
		}
	})

	first := z.Current()
	var commits []time.Duration
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const changes = 1000
	for i := range changes {
		start := time.Now()
		if _, err := z.Update(changeTLD(tld, i)); err != nil {
			t.Fatal(err)
		}
		commits = append(commits, time.Since(start))
	}
	runtime.ReadMemStats(&after)
	eventually(t, "the zone is put in order", func() bool { return z.Current().line != first.line })
	eventually(t, "all is in order", func() bool { return !isTidying(z.Current()) })
	z.Publish(load(t, tld.Origin, text))
	close(done)
	wg.Wait()

	slices.Sort(commits)
	slices.Sort(lookups)
	perCommit := int(after.TotalAlloc-before.TotalAlloc) / changes
	t.Logf("%d names: commit of 11 records: median %v, 99 %% %v, most %v, %d octets each; of %d look-ups: 99 %% %v, 99.99 %% %v, most %v",
		n, commits[len(commits)/2], commits[len(commits)*99/100], commits[len(commits)-1], perCommit,
		len(lookups), lookups[len(lookups)*99/100], lookups[len(lookups)*9999/10000], lookups[len(lookups)-1])
	if m := commits[len(commits)/2]; m > 5*time.Millisecond {
		t.Errorf("the median change takes %v, expected at most 5ms", m)
	}
	if p := lookups[len(lookups)*99/100]; p > time.Millisecond {
		t.Errorf("99 %% of look-ups take at most %v, expected 1ms", p)
	}
	// The very slowest are those during which the machine did something else.
	if p := lookups[len(lookups)*9999/10000]; p > 100*time.Millisecond {
		t.Errorf("99.99 %% of look-ups take at most %v, expected 100ms", p)
	}
}

// TestChangeCopiesLittle: a change of ten names copies as much in a zone of
// sixteen times the size.
func TestChangeCopiesLittle(t *testing.T) {
	cost := func(n int) int {
		tld, text := generated(t, n)
		v := load(t, tld.Origin, text)
		copied := func(from, to int) int {
			_, start := v.sp.Size()
			for i := from; i < to; i++ {
				e := v.Edit()
				if err := changeTLD(tld, i)(e); err != nil {
					t.Fatal(err)
				}
				var err error
				if v, err = e.Commit(); err != nil {
					t.Fatal(err)
				}
			}
			_, end := v.sp.Size()
			return (end - start) / (to - from)
		}
		return copied(0, 50)
	}
	small, large := cost(2000), cost(32_000)
	t.Logf("a change of 11 records copies %d octets in 2000 names, %d in 32000", small, large)
	if large > 3*small || large > 64<<10 {
		t.Errorf("it copies %d octets in 32000 names, expected at most three times the %d in 2000", large, small)
	}
}

// TestUpdate: a writer in the middle of a change holds nobody up.
func TestUpdate(t *testing.T) {
	v, _ := parseZone(t, "example", "$TTL 300\n"+checkTop)
	z := New(v.Origin())
	z.Publish(v)
	_, err := z.Update(func(e *Editor) error {
		if _, err := e.Add(dns.Record{Name: v.Origin(), Type: dns.TypeTXT, Class: dns.ClassIN, Data: dns.NewTXT("x")}); err != nil {
			return err
		}
		if z.Current() != v { // from within the writer's lock
			t.Error("a change shows before it is complete")
		}
		return nil
	})
	if err != nil || !z.Current().Apex().Has(dns.TypeTXT) {
		t.Errorf("change did not come through: %v", err)
	}
	now := z.Current()
	if _, err := z.Update(func(e *Editor) error { e.RemoveRRset(v.Origin(), dns.TypeTXT); return errors.New("no") }); err == nil || z.Current() != now {
		t.Errorf("error %v; a change that failed must leave the version as it is", err)
	}
	if _, err := z.Update(func(e *Editor) error { e.RemoveRRset(v.Origin(), dns.TypeSOA); return nil }); !errors.Is(err, ErrNoSOA) || z.Current() != now {
		t.Errorf("error %v, expected %v and the version as it was", err, ErrNoSOA)
	}
	if _, err := New(v.Origin()).Update(func(*Editor) error { return nil }); !errors.Is(err, ErrNoVersion) {
		t.Errorf("error %v, expected %v", err, ErrNoVersion)
	}
}

// TestOldVersionsGo: the memory of a version is given back once its last reader
// has left, while the zone is edited, put in order and loaded anew.
func TestOldVersionsGo(t *testing.T) {
	tld, text := generated(t, 5000)
	z := New(tld.Origin)
	z.Publish(load(t, tld.Origin, text))
	reader := z.Current()
	var old []weak.Pointer[Version]
	for i := range 300 {
		old = append(old, weak.Make(z.Current()))
		if _, err := z.Update(changeTLD(tld, i)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all is in order", func() bool { return !isTidying(z.Current()) })
	alive := func() (n int) {
		runtime.GC()
		for _, w := range old {
			if w.Value() != nil {
				n++
			}
		}
		return n
	}
	eventually(t, "one old version is kept, for its reader", func() bool { return alive() == 1 && old[0].Value() == reader })
	runtime.KeepAlive(reader)
	reader = nil
	eventually(t, "no old version is kept", func() bool { return alive() == 0 })
	if s, fresh := z.Current().Stats(), load(t, tld.Origin, text).Stats(); s.Bytes > 2*fresh.Bytes+chunkSlack {
		t.Errorf("the zone holds %d octets after many changes, %d when fresh", s.Bytes, fresh.Bytes)
	}
	runtime.KeepAlive(text)
}

const chunkSlack = 2 << 20 // what chunks that are being filled may hold

// TestRebase: what a compaction missed is changed in its result, whatever it was.
func TestRebase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(dns.MustName(modelOrigin))
		soa := dns.Record{Name: m.origin, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: 60, Data: modelSOA(7)}
		m.add(soa)
		edit := func(v *Version) *Version {
			e := v.Edit()
			for range rapid.IntRange(0, 25).Draw(t, "edits") {
				drawEdit(t, e, m)
			}
			m.add(soa)
			if _, err := e.Add(soa); err != nil {
				t.Fatal(err)
			}
			v, err := e.Commit()
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		from := edit(build(t, m.origin, []dns.Record{soa}))
		tidy := from.compact()
		to := edit(edit(from))
		got, _, err := tidy.rebase(from, to)
		if err != nil {
			t.Fatal(err)
		}
		sameZone(t, got, m, drawQueries(t))
		var want, have []string
		for r := range to.Records() {
			want = append(want, fmt.Sprint(r))
		}
		for r := range got.Records() {
			have = append(have, fmt.Sprint(r))
		}
		if d := cmp.Diff(want, have); d != "" {
			t.Fatalf("rebased (-want +got):\n%s", d)
		}
	})
}

// TestNSSetsOfLargeZone: the first change of a large zone does not wait until all
// its NS sets are known, and later ones share them again.
func TestNSSetsOfLargeZone(t *testing.T) {
	tld, text := generated(t, 10*fewBlocks+1000)
	v := load(t, tld.Origin, text)
	if n := len(v.line.blocks); n <= fewBlocks {
		t.Fatalf("%d NS sets, expected more than %d", n, fewBlocks)
	}
	z := New(tld.Origin)
	z.Publish(v)
	name := func(i int) dns.Name {
		n, err := tld.Origin.Child(string(tld.AppendName(nil, i)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	id := func(n dns.Name) uint32 {
		ns, _ := z.Current().Find([]byte(n.Wire())).RRset(dns.TypeNS)
		return ns.ID()
	}
	// copied gives a delegation of its own the NS set of another one.
	copied := func(from, to dns.Name) {
		ns, _ := z.Current().Find([]byte(from.Wire())).RRset(dns.TypeNS)
		_, err := z.Update(func(e *Editor) error {
			e.RemoveRRset(to, dns.TypeNS)
			for rd := range ns.RData() {
				r := dns.Record{Name: to, Type: dns.TypeNS, Class: dns.ClassIN, TTL: ns.TTL(), Data: dns.RData(rd)}
				if _, err := e.Add(r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	one, two := dns.MustName("one-more.tld"), dns.MustName("and-another.tld")
	copied(name(1), one)
	copied(name(1), two)
	first := id(two)
	// Old sets are found as soon as the table of them is there, at the second edit or later.
	if old := id(name(1)); id(one) != first && first != old {
		t.Errorf("two names with a new NS set have blocks %d and %d, expected one, or %d", id(one), first, old)
	}
	eventually(t, "old NS sets are shared", func() bool {
		copied(name(2), two)
		copied(name(2), one)
		return id(one) == id(name(2))
	})
	copied(name(1), two)
	if got := id(two); got != first && got != id(name(1)) {
		t.Errorf("NS set has block %d, expected %d or %d", got, first, id(name(1)))
	}
}

// TestAdvance: who edits one version ahead of what is served keeps all changes,
// and memory stays bounded, although the zone is put in order all the time.
func TestAdvance(t *testing.T) {
	tld, text := generated(t, 3000)
	z := New(tld.Origin)
	z.Publish(load(t, tld.Origin, text))
	served := z.Current()
	ahead := edited(t, served, changeTLD(tld, 1))
	tidied := 0
	for serial := 2; serial < 4000; serial++ {
		next := edited(t, ahead, changeTLD(tld, serial))
		if !z.Advance(served, ahead) {
			t.Fatalf("serial %d: not advanced", serial)
		}
		if z.Current() != ahead {
			tidied++
		}
		if got := z.Current().Serial(); got != ahead.Serial() {
			t.Fatalf("serial %d is served, expected %d", got, ahead.Serial())
		}
		if d := Diff(z.Current(), ahead); !d.IsEmpty() {
			t.Fatalf("what is served differs: %v", d)
		}
		if served, ahead = ahead, next; serial%50 == 0 {
			// Nobody is ahead for a moment: what is next is edited from what is served.
			if !z.Advance(served, ahead) {
				t.Fatal("not advanced")
			}
			served = z.Current()
			ahead = edited(t, served, changeTLD(tld, serial))
		}
	}
	if z.Advance(edited(t, served, changeTLD(tld, 5)), ahead) {
		t.Error("advanced from a version that was never served")
	}
	if tidied == 0 {
		t.Error("the zone was never put in order, which this test is about")
	}
	eventually(t, "memory is bounded", func() bool { s := z.Current().Stats(); return s.Bytes < 4*len(text) })
}

func edited(t *testing.T, v *Version, change func(*Editor) error) *Version {
	t.Helper()
	e := v.Edit()
	if err := change(e); err != nil {
		t.Fatal(err)
	}
	next, err := e.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return next
}
