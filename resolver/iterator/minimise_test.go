package iterator

import (
	"strings"
	"testing"

	"onoma/dns"
	"onoma/transport"
)

// TestServersSeeMinimisedNames: nobody above the zone that has the answer sees
// more than one label beyond its own zone (RFC 9156), nor the type.
func TestServersSeeMinimisedNames(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.example("d.c.b.a TXT \"found\"")
		a, err := w.it.Resolve(t.Context(), question("d.c.b.a.example.com.", dns.TypeTXT), Options{})
		if err != nil || len(a.Chain) != 1 {
			t.Fatal(describe(a, err))
		}
		expectList(t, "on the wire", w.asked(),
			"192.0.2.1 . NS", "192.0.2.1 com. A", "192.0.2.2 example.com. A",
			"192.0.2.3 a.example.com. A", "192.0.2.3 b.a.example.com. A", "192.0.2.3 c.b.a.example.com. A",
			"192.0.2.3 d.c.b.a.example.com. TXT")
		w.resolve("e.c.b.a.example.com.", dns.TypeTXT)
		expectList(t, "what is known to exist is not asked again", w.asked(), "192.0.2.3 e.c.b.a.example.com. TXT")
	})
}

// TestMinimisationIsBounded: at most 10 steps, however many labels (RFC 9156 §2.3).
func TestMinimisationIsBounded(t *testing.T) {
	for _, labels := range []int{5, 11, 34, 100} {
		inWorld(t, Config{}, func(t *testing.T, w *world) {
			name := strings.Repeat("x.", labels) + "example.com."
			w.example(name + " A 198.51.100.1")
			if got := w.resolve(name, dns.TypeA); !strings.HasPrefix(got, "NOERROR") {
				t.Error(got)
			}
			steps := w.asked()
			if n := len(steps); n > minimiseCount+3 {
				t.Errorf("%d labels: %d packets, expected at most %d: %v", labels, n, minimiseCount+3, steps)
			}
			if labels == 34 && len(steps[3]) != len("192.0.2.3 x.example.com. A") {
				t.Errorf("first step in the zone: %s, expected one label", steps[3])
			}
		})
	}
}

// TestBrokenServersGetTheWholeName: NXDOMAIN for an empty non-terminal, or a
// refusal to answer for it, ends minimisation, not the look-up.
func TestBrokenServersGetTheWholeName(t *testing.T) {
	for _, rcode := range []dns.RCode{dns.RCodeNXDomain, dns.RCodeRefused, dns.RCodeServFail, dns.RCodeNotImp} {
		t.Run(rcode.String(), func(t *testing.T) {
			inWorld(t, Config{}, func(t *testing.T, w *world) {
				server, _ := w.example("c.b.a A 198.51.100.1")
				server.Hook = func(q, a *dns.Message, _ transport.Proto) *dns.Message {
					if len(a.Answer) == 0 {
						a.RCode = rcode
					}
					return a
				}
				expect(t, "found", w.resolve("c.b.a.example.com.", dns.TypeA), "NOERROR c.b.a.example.com./3600/A=198.51.100.1")
			})
		})
	}
}

func TestMinimisedAlias(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.example("a CNAME elsewhere\nb.a A 198.51.100.1\ndn DNAME a\nelsewhere A 198.51.100.3")
		expect(t, "below an alias", w.resolve("b.a.example.com.", dns.TypeA), "NOERROR b.a.example.com./3600/A=198.51.100.1")
		expect(t, "below a DNAME", w.resolve("b.dn.example.com.", dns.TypeA),
			"NOERROR dn.example.com./3600/DNAME=a.example.com. b.dn.example.com./3600/CNAME=b.a.example.com. b.a.example.com./3600/A=198.51.100.1")
	})
}

func TestNoMinimise(t *testing.T) {
	inWorld(t, Config{NoMinimise: true}, func(t *testing.T, w *world) {
		w.example("www A 198.51.100.1")
		w.resolve("www.example.com.", dns.TypeA)
		expectList(t, "on the wire", w.asked(),
			"192.0.2.1 . NS", "192.0.2.1 www.example.com. A", "192.0.2.2 www.example.com. A", "192.0.2.3 www.example.com. A")
	})
}

func TestRandomCase(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		server, _ := w.example("abcdefghijklmnopqrstuvwxyz A 198.51.100.1\nabcdefghijklmnopqrstuvwxyz2 A 198.51.100.2")
		w.resolve("abcdefghijklmnopqrstuvwxyz.example.com.", dns.TypeA)
		sent := w.Sent()
		last := sent[len(sent)-1].Name
		if last == last.Fold() || last.Fold().String() != "abcdefghijklmnopqrstuvwxyz.example.com." {
			t.Errorf("sent %s, expected mixed case", last)
		}
		server.Hook = func(q, a *dns.Message, _ transport.Proto) *dns.Message {
			a.Questions = []dns.Question{{Name: q.Question().Name.Fold(), Type: q.Question().Type, Class: dns.ClassIN}}
			return a
		}
		expect(t, "a server that does not keep the case", w.resolve("abcdefghijklmnopqrstuvwxyz2.example.com.", dns.TypeA),
			"NOERROR abcdefghijklmnopqrstuvwxyz2.example.com./3600/A=198.51.100.2")
		if sent = w.Sent(); len(sent) != 2 || sent[1].Proto != transport.TCP {
			t.Errorf("sent %v, expected UDP and then TCP", sent)
		}
	})
}

// TestStride checks the numbers against RFC 9156 §2.3 for 18 labels below a zone.
func TestStride(t *testing.T) {
	m := minimiser{full: question(strings.Repeat("x.", 18), dns.TypeA)}
	var got []int
	for range 20 {
		q, full := m.next(dns.Root)
		got = append(got, q.Name.NumLabels())
		if full {
			break
		}
		m.exists(q.Name)
	}
	want := []int{1, 2, 3, 4, 7, 10, 12, 14, 16, 18}
	if len(got) != len(want) {
		t.Fatalf("labels shown: %v, expected %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("labels shown: %v, expected %v", got, want)
		}
	}
}
