package authority

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

func soaOnly(t testing.TB, origin string) *zone.Zone {
	return load(t, origin, "@ 60 SOA ns. h. 1 1 1 1 30\n@ 60 NS ns.elsewhere.\n")
}

// owner is the name of the SOA in an answer: whose zone it is from.
func owner(m *dns.Message) string {
	for _, r := range append(m.Answer, m.Authority...) {
		if r.Type == dns.TypeSOA {
			return r.Name.String()
		}
	}
	return m.RCode.String()
}

func TestZonesComeAndGo(t *testing.T) {
	s := New(Options{})
	check := func(name, want string) {
		t.Helper()
		if got := owner(ask(t, s, name+" TXT")); got != want {
			t.Errorf("%s is answered from %s, expected %s", name, got, want)
		}
	}
	check("www.b.a.", "REFUSED")
	s.AddZone(soaOnly(t, "a."))
	check("www.b.a.", "a.")
	s.AddZone(soaOnly(t, "B.a."))
	check("www.b.a.", "b.a.")
	check("www.B.A.", "B.A.")
	check("xb.a.", "a.")
	if z := s.Zone(dns.MustName("b.A.")); z == nil || z.Origin() != dns.MustName("B.a.") {
		t.Errorf("Zone gives %v, expected that of B.a.", z)
	}
	if !s.RemoveZone(dns.MustName("b.a.")) || s.RemoveZone(dns.MustName("b.a.")) {
		t.Error("RemoveZone: expected true, then false")
	}
	check("www.b.a.", "a.")
	if err := s.SetZones(soaOnly(t, "c."), soaOnly(t, ".")); err != nil {
		t.Fatal(err)
	}
	check("www.b.a.", ".")
	check("c.", "c.")
	if err := s.SetZones(soaOnly(t, "d."), soaOnly(t, "D.")); err == nil || !strings.Contains(err.Error(), "two zones are named D.") {
		t.Errorf("SetZones of a zone twice: error %v", err)
	}
	check("c.", "c.") // as before
	n := 0
	for range s.Zones() {
		n++
	}
	if n != 2 {
		t.Errorf("%d zones are listed, expected 2", n)
	}
}

// TestLongNames: the walk over suffixes ends at the first and last octet alike.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("a.", 127)
	s := serve(t, Options{}, soaOnly(t, long), soaOnly(t, "a."))
	if got := owner(ask(t, s, long+" TXT")); got != long {
		t.Errorf("answered from %s", got)
	}
	if got := owner(ask(t, s, long[2:]+" TXT")); got != "a." {
		t.Errorf("answered from %s, expected a.", got)
	}
	if got := owner(ask(t, s, ". TXT")); got != "REFUSED" {
		t.Errorf("the root is answered from %s", got)
	}
}

// TestChangesWhileAnswering: tables and versions are swapped under workers,
// whose every answer is that of some version.
func TestChangesWhileAnswering(t *testing.T) {
	a, b := soaOnly(t, "a."), soaOnly(t, "a.")
	s := serve(t, Options{}, a)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			w := s.NewWorker()
			tq := transport.NewQuery(query(t, "www.a. A"), clientAddr, serverAddr, transport.UDP, nil)
			for {
				m, err := dns.ParseMessage(w.Answer(nil, tq))
				if err != nil || m.RCode != dns.RCodeNXDomain {
					t.Errorf("%v %v", m, err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 200 {
		s.AddZone(b)
		a.Publish(b.Current())
		s.AddZone(a)
		s.AddZone(soaOnly(t, "b."))
		s.RemoveZone(dns.MustName("b."))
		_ = s.Stats()
	}
	close(done)
	wg.Wait()
}

// TestIdleWorkersLetGo: a worker that waits keeps no old version in memory.
func TestIdleWorkersLetGo(t *testing.T) {
	z := loadSigned(t, "example.", mixed, chainNSEC3)
	s := serve(t, Options{}, z)
	w := s.NewWorker()
	for _, q := range []string{"nx.example. A do", "x.sub.example. A do", "x.calias.example. A do", "alias2.example. MX do", "host.old.example. A do"} {
		w.Answer(nil, transport.NewQuery(query(t, q), clientAddr, serverAddr, transport.UDP, nil))
	}
	gone := make(chan struct{})
	runtime.AddCleanup(z.Current(), func(struct{}) { close(gone) }, struct{}{})
	z.Publish(load(t, "example.", mixed).Current())
	for range 100 {
		runtime.GC()
		select {
		case <-gone:
			runtime.KeepAlive(w)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Error("the version that was replaced is still in memory")
	runtime.KeepAlive(w)
}

// TestManyZones: coming and going costs the same however many zones there are,
// and nobody who stays is missed meanwhile.
func TestManyZones(t *testing.T) {
	const stay, visit = 3000, 2000
	name := func(kind string, i int) dns.Name { return dns.MustName(fmt.Sprintf("%s%d.Example", kind, i)) }
	s := New(Options{})
	for i := range stay {
		s.AddZone(zone.New(name("stay", i)))
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			n := name("stay", i%stay)
			if z := s.Zone(n); z == nil || z.Origin() != n {
				t.Errorf("%s is not served", n)
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for range 5 {
		for i := range visit {
			s.AddZone(zone.New(name("visit", i)))
			s.AddZone(zone.New(name("VISIT", i)))
		}
		for i := range visit {
			if !s.RemoveZone(name("viSit", i)) {
				t.Fatalf("visitor %d was not served", i)
			}
		}
	}
	close(done)
	wg.Wait()
	n := 0
	for range s.Zones() {
		n++
	}
	if n != stay {
		t.Errorf("%d zones are listed, expected %d", n, stay)
	}
	for i := range stay - 1 {
		s.RemoveZone(name("stay", i))
	}
	tab := s.zones.current.Load()
	if s.Zone(name("stay", stay-1)) == nil || s.Zone(name("stay", 0)) != nil || len(tab.buckets) > 16 {
		t.Errorf("one zone is left in a table of %d buckets", len(tab.buckets))
	}
	for i := range tab.buckets {
		b := &tab.buckets[i]
		for at := range b.tags {
			if b.beyond.Load() != 0 || (b.tags[at].Load() != 0) != (b.zones[at].Load() != nil) {
				t.Fatalf("bucket %d is not as empty as it should be", i)
			}
		}
	}
}

func BenchmarkEnclosing(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000, 1_000_000} {
		zs := make([]*zone.Zone, n)
		names := make([][]byte, n)
		for i := range zs {
			origin := dns.MustName(fmt.Sprintf("customer-%d.example", i*7919))
			zs[i] = zone.New(origin)
			names[i] = []byte("\x03www" + origin.Wire())
		}
		rand.Shuffle(n, func(i, j int) { names[i], names[j] = names[j], names[i] })
		s := serve(b, Options{}, zs...)
		t := s.zones.current.Load()
		b.Run(fmt.Sprint("Hit/", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if z, _ := t.enclosing(names[i%n], 0); z == nil {
					b.Fatal("not found")
				}
			}
		})
		b.Run(fmt.Sprint("Miss/", n), func(b *testing.B) {
			miss := []byte(dns.MustName("www.elsewhere-12345.org").Wire())
			for i := 0; b.Loop(); i++ {
				miss[6] = byte('a' + i%26)
				if z, _ := t.enclosing(miss, 0); z != nil {
					b.Fatal("found")
				}
			}
		})
		b.Run(fmt.Sprint("AddRemove/", n), func(b *testing.B) {
			z := zone.New(dns.MustName("one-more.example"))
			for b.Loop() {
				s.AddZone(z)
				s.RemoveZone(z.Origin())
			}
		})
	}
}
