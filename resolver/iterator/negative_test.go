package iterator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
)

// TestNegativeTTL: the smaller of the SOA's TTL and its MINIMUM, and one hour at
// most (RFC 2308 §5).
func TestNegativeTTL(t *testing.T) {
	for _, c := range []struct{ ttl, minimum, want int }{{300, 60, 60}, {60, 300, 60}, {86400, 86400, 3600}} {
		inWorld(t, Config{}, func(t *testing.T, w *world) {
			w.standard("example.com. 86400 NS ns.example.com.\nns.example.com. A 192.0.2.3")
			w.Serve("192.0.2.3", fakenet.ParseZone("example.com.",
				fmt.Sprintf("@ %d SOA ns host 1 2 3 4 %d\n@ NS ns\nwww A 198.51.100.1", c.ttl, c.minimum)))
			soa := func(ttl int) string { return fmt.Sprintf(" | example.com./%d/SOA", ttl) }
			expect(t, "NXDOMAIN", w.resolve("nix.example.com.", dns.TypeA), "NXDOMAIN"+soa(c.want))
			expect(t, "NODATA", w.resolve("www.example.com.", dns.TypeMX), "NOERROR"+soa(c.want))
			w.asked()
			time.Sleep(time.Duration(c.want-1) * time.Second)
			expect(t, "NXDOMAIN, any type", w.resolve("nix.example.com.", dns.TypeMX), "NXDOMAIN"+soa(1))
			expect(t, "NODATA", w.resolve("www.example.com.", dns.TypeMX), "NOERROR"+soa(1))
			expectList(t, "from the cache", w.asked())
			time.Sleep(time.Second)
			w.resolve("nix.example.com.", dns.TypeA)
			expectList(t, "and no longer", w.asked(), "192.0.2.3 nix.example.com. A")
		})
	}
}

func TestNegativeWithoutSOA(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		_, zone := w.example("www A 198.51.100.1")
		zone.Remove("example.com.", dns.TypeSOA)
		for range 2 {
			expect(t, "the answer", w.resolve("nix.example.com.", dns.TypeA), "NXDOMAIN")
			if sent := w.asked(); len(sent) == 0 || sent[len(sent)-1] != "192.0.2.3 nix.example.com. A" {
				t.Errorf("sent %v; what has no SOA must not be cached (RFC 2308 §5)", sent)
			}
		}
	})
}

// TestZeroTTL: used for the question at hand, and then no more.
func TestZeroTTL(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.example("www 0 CNAME a\na 0 A 198.51.100.1")
		for range 2 {
			expect(t, "the answer", w.resolve("www.example.com.", dns.TypeA), "NOERROR www.example.com./0/CNAME=a.example.com. a.example.com./0/A=198.51.100.1")
			if w.asked() == nil {
				t.Error("a TTL of zero was cached")
			}
		}
	})
}

// TestPriming: the root's servers as they say themselves, and the hints where
// they do not answer.
func TestPriming(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		root, _ := w.example("www A 198.51.100.1")
		w.resolve("www.example.com.", dns.TypeA)
		w.Change(func() { root.Down = true }) // example.com's; the root moves
		newRoot := fakenet.ParseZone(".", strings.ReplaceAll(rootZone, "192.0.2.1", "192.0.2.101"))
		w.Serve("192.0.2.1", newRoot)
		w.Serve("192.0.2.101", newRoot)
		w.asked()
		time.Sleep(23 * time.Hour) // of 24, so that it is due
		w.resolve("a.nix.", dns.TypeA)
		w.resolve("b.nix2.", dns.TypeA)
		expectList(t, "primed again, then the new address", w.asked(), "192.0.2.1 . NS", "192.0.2.101 nix. A", "192.0.2.101 nix2. A")
	})
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard("")
		w.Serve("192.0.2.1", fakenet.ParseZone(".", strings.ReplaceAll(rootZone, "@ 518400 NS a.root-servers.net.", "")))
		expect(t, "a root that cannot name its servers", w.resolve("nix.", dns.TypeA), "NXDOMAIN | ./300/SOA")
	})
}

func TestBuiltInHints(t *testing.T) {
	hints := RootHints()
	if len(hints) != 13 || hints[1].Addrs[0].String() != "170.247.170.2" || hints[1].Addrs[1].String() != "2801:1b8:10::b" {
		t.Errorf("13 servers with the present addresses of b expected, got %v", hints)
	}
}

func TestHintsErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "h: no root server with an address",
		". NS a.\na. A 1.2.3":        `h:2:1: "1.2.3" is not an address of type A`,
		". NS a.\na. AAAA 192.0.2.1": `h:2:1: "192.0.2.1" is not an address of type AAAA`,
		"com. NS a.":                 "h:1:1: expected an NS record of the root",
		". NS a..":                   "h:1:1: expected an NS record of the root",
		". 1 IN MX 1 a.":             "h:1:1: type MX 1 a. in root hints",
		"a..b A 192.0.2.1":           `h:1:1: "a..b" is not a name`,
	} {
		_, err := ParseHints(strings.NewReader(text), "h")
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, expected %s", text, err, want)
		}
	}
}

// TestNXDomainWithAnswer: what is there exists, whatever the response code says;
// the next client hears the same from the cache.
func TestNXDomainWithAnswer(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.twoZones("www 60 A 198.51.100.1", "")
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\nwww 60 A 198.51.100.1")).Hook = func(q, a *dns.Message, _ transport.Proto) *dns.Message {
			if q.Question().Type == dns.TypeA {
				a.RCode = dns.RCodeNXDomain
			}
			return a
		}
		for range 2 {
			expect(t, "the answer", w.resolve("www.example.com.", dns.TypeA), "NOERROR www.example.com./60/A=198.51.100.1")
		}
	})
}
