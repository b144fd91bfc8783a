package iterator

import (
	"fmt"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
)

// TestMissingGlue: the parent is asked for the address of a server that lies in
// its own zone, once.
func TestMissingGlue(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard("example.com. NS ns.example.com.\nexample.com. NS ns2.example.com.\nns.example.com. A 192.0.2.3")
		w.Serve("192.0.2.2", fakenet.ParseZone("com.", "@ NS a.gtld-servers.net.\nexample.com. NS ns.example.com.\nns.example.com. A 192.0.2.3")).Hook =
			func(q, a *dns.Message, _ transport.Proto) *dns.Message {
				if q.Question().Name.NumLabels() < 3 {
					a.Additional = nil // glue comes only to who asks for it
				}
				return a
			}
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\nwww A 198.51.100.1\nother A 198.51.100.2"))
		expect(t, "found", w.resolve("www.example.com.", dns.TypeA), "NOERROR www.example.com./3600/A=198.51.100.1")
		expectList(t, "asked", w.asked(), "192.0.2.1 . NS", "192.0.2.1 com. A", "192.0.2.2 example.com. A", "192.0.2.2 ns.example.com. A", "192.0.2.3 www.example.com. A")
		expect(t, "remembered", w.resolve("other.example.com.", dns.TypeA), "NOERROR other.example.com./3600/A=198.51.100.2")
		expectList(t, "asked", w.asked(), "192.0.2.3 other.example.com. A")
		if _, ok := w.it.Cache.RRset(dns.MustName("ns.example.com."), dns.TypeA, w.it.now()); ok {
			t.Error("what the parent said of the child's name was cached")
		}
	})
}

// TestServerIsAnAlias: one link is followed, a circle is not.
func TestServerIsAnAlias(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.twoZones("www A 198.51.100.1", "dns CNAME real\nreal A 192.0.2.3\nloop CNAME loop2\nloop2 CNAME loop\na CNAME b\nb CNAME c\nc A 192.0.2.3")
		w.standard("other.com. NS ns.other.com.\nns.other.com. A 192.0.2.4\n" +
			"example.com. NS dns.other.com.\nbad.com. NS loop.other.com.\nfar.com. NS a.other.com.")
		expect(t, "followed", w.resolve("www.example.com.", dns.TypeA), "NOERROR www.example.com./3600/A=198.51.100.1")
		w.expectFailure("www.bad.com.", "")
		w.expectFailure("www.far.com.", "has no usable address")
		if n := len(w.Sent()); n > 30 {
			t.Errorf("%d packets, expected few", n)
		}
	})
}

// TestTruncatedWithoutTCP: the next server is asked.
func TestTruncatedWithoutTCP(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(5*time.Millisecond, 30*time.Millisecond)
		w.ask(50, "a")
		w.Change(func() {
			s[0].NoTCP = true
			s[0].Hook = func(_, a *dns.Message, _ transport.Proto) *dns.Message {
				a.Flags |= dns.FlagTC
				return a
			}
		})
		for i := range 20 {
			w.timed(fmt.Sprintf("b%d.x.example.com.", i))
		}
		if st := w.it.servers.standing(at(s[0].Addr.String()), dns.Root, time.Now(), 0); st.doubtful {
			t.Error("a server without TCP is taken for dead")
		}
	})
}

// TestNothingBesideTheAnswer: nothing but the chain asked for is taken from an
// answer: no NS records of the authority section, no DNAME from elsewhere, and a
// DNAME that is cached makes no new aliases (CVE-2025-11411, CVE-2025-40778).
func TestNothingBesideTheAnswer(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.twoZones("www A 198.51.100.1", "www A 198.51.100.2")
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nwww A 198.51.100.1\nold DNAME new\nx.new A 198.51.100.3")).Hook =
			func(_, a *dns.Message, _ transport.Proto) *dns.Message {
				for _, l := range []string{"example.com. NS ns.evil.com.", "www.example.com. NS ns.evil.com.", "com. NS ns.evil.com."} {
					a.Authority = append(a.Authority, fakenet.ParseRecord(l, dns.Root))
				}
				a.Answer = append(a.Answer, fakenet.ParseRecord("com. DNAME evil.net.", dns.Root))
				return a
			}
		w.resolve("www.example.com.", dns.TypeA)
		w.resolve("nix.example.com.", dns.TypeA)
		w.resolve("x.old.example.com.", dns.TypeA)
		expect(t, "elsewhere", w.resolve("www.other.com.", dns.TypeA), "NOERROR www.other.com./3600/A=198.51.100.2")
		for _, name := range []string{"example.com.", "www.example.com.", "com."} {
			for _, typ := range []dns.Type{dns.TypeNS, dns.TypeDNAME} {
				if e, ok := w.it.Cache.RRset(dns.MustName(name), typ, w.it.now()); ok {
					t.Errorf("%s %v was learnt: %v", name, typ, e.Sets)
				}
			}
		}
		d, _ := w.it.Cache.Delegation(dns.MustName("example.com."), w.it.now())
		if len(d.Servers) != 1 || d.Servers[0].Name.String() != "ns.example.com." {
			t.Errorf("the delegation is %+v", d)
		}
	})
}
