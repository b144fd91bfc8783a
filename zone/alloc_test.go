package zone

import (
	"testing"

	"onoma/dns"
)

// TestHotPathDoesNotAllocate covers what an answer takes from a version.
func TestHotPathDoesNotAllocate(t *testing.T) {
	v, _ := parseZone(t, "example", "$TTL 300\n"+checkTop+`@ NSEC3PARAM 1 0 0 -
sub NS ns.sub
sub NS ns.other.
ns.sub A 192.0.2.1
ns.sub AAAA 2001:db8::1
a.b.c A 192.0.2.1
a.b.c A 192.0.2.2
a.b.c RRSIG A`+rrsigOf+"*.w TXT x\na NSEC b A\n@ NSEC a A\n"+hashed+nsec3)
	queries := [][]byte{
		wire("example"), wire("WWW.sub.example"), wire("ns.sub.example"), wire("sub.example"), wire("a.b.c.example"),
		wire("c.example"), wire("x.c.example"), wire("x.w.example"), wire("nosuch.name.example"),
	}
	var m Match
	var sum int
	var name [dns.MaxNameLen]byte
	answer := func() {
		for _, q := range queries {
			v.Lookup(&m, q)
			for set := range m.Encloser.RRsets() {
				sum += int(set.TTL()) + len(set.Packed())
				for rd := range set.RData() {
					sum += len(rd)
				}
				if sigs, ok := set.Sigs(); ok {
					sum += sigs.Count()
				}
				for g := range set.Glue() {
					if a, ok := g.Host.RRset(dns.TypeA); ok {
						sum += a.Count()
					}
					sum += len(g.Host.AppendName(name[:0]))
				}
			}
			n := v.NSECCover(q)
			sum += int(n.leaf.Ref)
			n, _ = v.NSEC3Name(q)
			sum += int(n.leaf.Ref)
			n, _ = v.NSEC3For(m.Encloser)
			sum += int(n.leaf.Ref)
		}
	}
	if n := testing.AllocsPerRun(100, answer); n != 0 {
		t.Errorf("%v allocations for %d questions, expected none", n, len(queries))
	}
	if sum == 0 {
		t.Error("nothing was found")
	}
}
