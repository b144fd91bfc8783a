package validator

import (
	"fmt"
	"testing"
	"time"

	"onoma/dns"
)

// TestKeysAreCounted: zones with many large keys do not take more than zones may
// take together.
func TestKeysAreCounted(t *testing.T) {
	const most = 1 << 20
	v := New(Options{Limits: Limits{Octets: most}, Brief: true})
	l := &look{Validator: v, now: time.Unix(1000, 0)}
	for i := range 2000 {
		z := &place{name: dns.MustName(fmt.Sprintf("zone%d.", i%1500)), link: Link{Status: Secure}}
		for range i % maxReports {
			z.keys = append(z.keys, zoneKey{DNSKEY: dns.DNSKEY{PublicKey: make([]byte, 512)}})
		}
		l.remember(z, 3600)
		if v.octets > most {
			t.Fatalf("%d octets after %d zones", v.octets, i)
		}
		if l.recall(z.name) != z {
			t.Fatalf("zone %d is not remembered", i)
		}
	}
	n := 0
	for _, p := range v.known {
		n += p.octets()
	}
	if n != v.octets || n < most/2 {
		t.Errorf("%d octets counted, %d there", v.octets, n)
	}
}
