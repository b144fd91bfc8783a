package policy_test

import (
	"fmt"
	"net/netip"
	"testing"

	"onoma/dns"
	"onoma/resolver/policy"
)

// entries are rules as feeds have them: a name and all below it.
func entries(n int) []dns.Record {
	out := make([]dns.Record, 0, n)
	nxdomain := dns.NewTarget(dns.Root)
	for i := range n / 2 {
		name := dns.MustName(fmt.Sprintf("site-%x.domain%d.example%d.rpz.test.", i*7919, i%100_000, i%50))
		for _, label := range []string{"", "*"} {
			owner := name
			if label != "" {
				owner, _ = name.Child(label)
			}
			out = append(out, dns.Record{Name: owner, Type: dns.TypeCNAME, Class: dns.ClassIN, TTL: 60, Data: nxdomain})
		}
	}
	return out
}

func compile(t testing.TB, o policy.ZoneOptions, records []dns.Record) *policy.Zone {
	t.Helper()
	b, err := policy.NewZone(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := b.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	z, err := b.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// What 1,000,000 rules cost: compiling them, their memory, and a look-up that finds none.
func BenchmarkRPZ(b *testing.B) {
	const rules = 1_000_000
	records := entries(rules)
	origin := policy.ZoneOptions{Origin: dns.MustName("rpz.test.")}
	var z *policy.Zone
	b.Run("compile", func(b *testing.B) {
		for b.Loop() {
			z = compile(b, origin, records)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rules, "ns/rule")
		b.ReportMetric(float64(z.Size())/rules, "octets/rule")
	})
	rpz := policy.RPZ{z}
	client := netip.MustParseAddr("192.0.2.1")
	for what, name := range map[string]string{"miss": "www.some.domain99.example7.", "hit": "a.site-1eef.domain1.example1."} {
		wire := []byte(dns.MustName(name).Wire())
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rpz.Question(client, wire)
			}
		})
	}
}
