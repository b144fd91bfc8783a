package zone

import (
	"slices"
	"testing"

	"onoma/dns"
)

// TestFrom: the walk from any name, there or not, is the end of the walk over all
// that lies behind it in canonical order.
func TestFrom(t *testing.T) {
	v, _ := parseZone(t, "example", "$TTL 300\n"+checkSOA+`@ NS ns
a.b.c A 192.0.2.1
b NS ns.b
ns.b A 192.0.2.2
ns A 192.0.2.3
z A 192.0.2.4
`)
	var all []dns.Name
	for n := range v.Nodes() {
		all = append(all, n.Name())
	}
	probes := append(slices.Clone(all), dns.MustName("!.example"), dns.MustName("a.example"), dns.MustName("b.c.example"),
		dns.MustName("x.ns.example"), dns.MustName("zz.example"))
	for _, from := range probes {
		var got, want []dns.Name
		for n := range v.From([]byte(from.Wire())) {
			got = append(got, n.Name())
		}
		for _, n := range all {
			if n.Compare(from) > 0 {
				want = append(want, n)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("from %s: %v, expected %v", from, got, want)
		}
	}
	for n := range v.From(wire("elsewhere")) {
		t.Errorf("outside the zone: %s", n.Name())
	}
}
