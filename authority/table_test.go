package authority

import (
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
