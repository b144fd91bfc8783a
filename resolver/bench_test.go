package resolver

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/resolver/internal/fakenet"
)

// BenchmarkHit is a query answered from the cache, from the message to the message.
func BenchmarkHit(b *testing.B) {
	net := fakenet.New(1)
	zone := fakenet.ParseZone(".", "@ NS a\na A 192.0.2.1\nwww.example.com A 198.51.100.1\nwww.example.com A 198.51.100.2")
	net.Serve("192.0.2.1", zone).RTT = 0
	r, err := New(Config{Env: net, Hints: []Hint{{Name: dns.MustName("a."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	m := query("www.example.com.", dns.TypeA, 1232, false)
	if _, err := r.Resolve(b.Context(), m.Question(), Options{}); err != nil {
		b.Fatal(err)
	}
	raw, err := m.Append(nil)
	if err != nil {
		b.Fatal(err)
	}
	w := r.NewWorker()
	q := newQuery(raw, mustAddrPort("127.0.0.1"))
	noRD := append([]byte(nil), raw...)
	noRD[2] = 0 // answered at once from the cache of records, which fills the other
	w.Answer(nil, newQuery(noRD, mustAddrPort("127.0.0.1")))
	dst := make([]byte, 0, 1500)
	b.ReportAllocs()
	for b.Loop() {
		if len(w.Answer(dst, q)) == 0 {
			b.Fatal("not a hit")
		}
	}
}

// BenchmarkCold is a look-up of a name in a known zone that is not in the cache,
// the network taking no time.
func BenchmarkCold(b *testing.B) {
	net := fakenet.New(1)
	net.Serve("192.0.2.1", fakenet.ParseZone(".", "@ NS a\na A 192.0.2.1\ncom NS ns.com\nns.com A 192.0.2.2")).RTT = 0
	net.Serve("192.0.2.2", fakenet.ParseZone("com.", "@ NS ns\n*.example 300 A 198.51.100.1")).RTT = 0
	r, err := New(Config{Env: net, Hints: []Hint{{Name: dns.MustName("a."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		q := dns.Question{Name: dns.MustName(fmt.Sprintf("n%d.example.com.", i)), Type: dns.TypeA, Class: dns.ClassIN}
		if res, err := r.Resolve(b.Context(), q, Options{}); err != nil || len(res.Answer) != 1 {
			b.Fatal(res, err)
		}
		i++
	}
}

// BenchmarkDenied is a name that does not exist, denied by what was proved of
// others: the whole look-up, with the proof.
func BenchmarkDenied(b *testing.B) {
	for kind, denial := range denials {
		if denial.OptOut || denial.Iterations > cache.MaxDenialIterations {
			continue
		}
		b.Run(kind, func(b *testing.B) {
			net := fakenet.New(1)
			w := &world{Net: net}
			leaf := signZoneAs(b, "example.", "@ NS ns1\nns1 A 192.0.2.3\n", time.Hour, nil, denial)
			leaf.serve(w, "192.0.2.3", nil)
			r, err := New(Config{Env: net, Hints: []Hint{{Name: dns.MustName("a.root-servers.net."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}})
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			root := signZone(b, ".", "@ NS a.root-servers.net.\na.root-servers.net. A 192.0.2.1\nexample. NS ns1.example.\nns1.example. A 192.0.2.3\n", time.Hour, map[string]*signedZone{"example.": leaf})
			root.serve(w, "192.0.2.1", nil)
			r.Trust([]dns.Record{{Name: dns.Root, Type: dns.TypeDNSKEY, Class: dns.ClassIN, Data: root.key.RData()}})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				q := dns.Question{Name: dns.MustName(fmt.Sprintf("x%d.example.", i)), Type: dns.TypeA, Class: dns.ClassIN}
				if res, err := r.Resolve(b.Context(), q, Options{DNSSEC: true}); err != nil || res.RCode != dns.RCodeNXDomain || !res.IsSecure {
					b.Fatal(res, err)
				}
			}
		})
	}
}
