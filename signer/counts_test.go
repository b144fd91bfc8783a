package signer

import (
	"fmt"
	"testing"

	"onoma/dns"
	"onoma/signer/keys"
	"onoma/zone"
)

// BenchmarkCounts walks through ten thousand zones, as each scrape of the metrics does.
func BenchmarkCounts(b *testing.B) {
	k := New(Options{})
	now, _ := k.o.Clock.Now()
	for i := range 10_000 {
		name := dns.MustName(fmt.Sprintf("zone-%d.example.", i))
		ring := keys.New(name)
		key := dns.DNSKEY{Flags: dns.DNSKEYZone | dns.DNSKEYSEP, Protocol: 3, Algorithm: 13, PublicKey: fmt.Appendf(nil, "key of the zone number %d", i)}
		if err := ring.Import("key", key, keys.CSK, false, true, now); err != nil {
			b.Fatal(err)
		}
		id := zone.IDOf("", name)
		k.zones[id] = &Zone{k: k, id: id, st: state{Ring: ring, First: now}}
	}
	b.ReportAllocs()
	for b.Loop() {
		if c := k.Counts(20, nil); c.Signed != 10_000 {
			b.Fatalf("counted %+v", c)
		}
	}
}
