package zone

import (
	"slices"
	"testing"

	"onoma/dns"
)

// A peek shows what the Editor has done to a name so far, and looking at it
// changes nothing.
func TestPeek(t *testing.T) {
	v, _ := parseZone(t, "example.", `
@ 60 SOA ns.example. h.example. 1 2 3 4 5
@ 60 NS ns
a 60 A 192.0.2.1
a 60 A 192.0.2.2
a 60 TXT "x"
b.c 60 A 192.0.2.3
`)
	e := v.Edit()
	defer e.Discard()
	a := dns.MustName("a.example.")
	d := e.Peek(a)
	if d.Count(dns.TypeA) != 2 || d.Records() != 3 || d.Count(dns.TypeMX) != 0 {
		t.Errorf("%d A and %d records, expected 2 and 3", d.Count(dns.TypeA), d.Records())
	}
	if !e.RemoveRRset(a, dns.TypeTXT) {
		t.Fatal("no TXT to remove")
	}
	if _, err := e.Add(dns.Record{Name: a, Type: dns.TypeA, Class: dns.ClassIN, TTL: 60, Data: dns.RData{192, 0, 2, 0}}); err != nil {
		t.Fatal(err)
	}
	d = e.Peek(a)
	if got := slices.Collect(d.Types()); !slices.Equal(got, []dns.Type{dns.TypeA}) {
		t.Errorf("types %v, expected A", got)
	}
	var last []byte
	for rd := range d.RData(dns.TypeA) {
		last = append(last, rd[3])
	}
	slices.Sort(last)
	if !slices.Equal(last, []byte{0, 1, 2}) {
		t.Errorf("addresses end with %v, expected 0, 1 and 2", last)
	}
	for _, empty := range []string{"c.example.", "none.example.", "example.org."} {
		if n := e.Peek(dns.MustName(empty)).Records(); n != 0 {
			t.Errorf("%s has %d records, expected none", empty, n)
		}
	}
}
