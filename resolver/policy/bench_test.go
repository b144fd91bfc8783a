package policy_test

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/resolver/policy"
)

// entries are n rules as feeds have them: a name of about twenty letters, and in pairs all below it, too.
func entries(n int, pairs bool) []dns.Record {
	out := make([]dns.Record, 0, n)
	nxdomain := dns.NewTarget(dns.Root)
	for i := 0; len(out) < n; i++ {
		name := dns.MustName(fmt.Sprintf("s%x.domain%d.net.rpz.test.", i*7919, i%100_000))
		out = append(out, dns.Record{Name: name, Type: dns.TypeCNAME, Class: dns.ClassIN, TTL: 60, Data: nxdomain})
		if pairs {
			below, _ := name.Child("*")
			out = append(out, dns.Record{Name: below, Type: dns.TypeCNAME, Class: dns.ClassIN, TTL: 60, Data: nxdomain})
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

// What 2,000,000 rules cost: compiling them, their memory, and a look-up that finds none or one.
func BenchmarkRPZ(b *testing.B) {
	for what, pairs := range map[string]bool{"pairs": true, "names": false} {
		b.Run(what, func(b *testing.B) { benchmarkRPZ(b, pairs) })
	}
}

func benchmarkRPZ(b *testing.B, pairs bool) {
	const rules = 2_000_000
	records := entries(rules, pairs)
	origin := policy.ZoneOptions{Origin: dns.MustName("rpz.test.")}
	var z *policy.Zone
	b.Run("compile", func(b *testing.B) {
		for b.Loop() {
			z = compile(b, origin, records)
		}
		b.ReportMetric(float64(z.Size())/rules, "octets/rule")
	})
	rpz := policy.RPZ{z}
	client := netip.MustParseAddr("192.0.2.1")
	for what, name := range map[string]string{"miss": "www.some.domain99.net.", "hit": "s1eef.domain1.net."} {
		wire := []byte(dns.MustName(name).Wire())
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rpz.Question(client, wire)
			}
		})
	}
}

// 2,000,000 rules from a master file to the compiled zone.
func BenchmarkRPZFile(b *testing.B) {
	const rules = 2_000_000
	var text strings.Builder
	text.WriteString("$TTL 60\n")
	for i := range rules {
		fmt.Fprintf(&text, "s%x.domain%d.net CNAME .\n", i*7919, i%100_000)
	}
	origin := dns.MustName("rpz.test.")
	for b.Loop() {
		builder, err := policy.NewZone(policy.ZoneOptions{Origin: origin})
		if err != nil {
			b.Fatal(err)
		}
		r := zonefile.NewReader(strings.NewReader(text.String()), zonefile.Options{Origin: origin})
		for {
			record, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			if err := builder.Add(record); err != nil {
				b.Fatal(err)
			}
		}
		z, err := builder.Compile()
		if err != nil || z.Len() != rules {
			b.Fatal(z.Len(), err)
		}
	}
}
