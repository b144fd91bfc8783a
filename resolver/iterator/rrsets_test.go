package iterator

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/resolver/cache"
)

// A section that is searched and one that has maps are grouped alike.
func TestGroupAlike(t *testing.T) {
	var records []dns.Record
	add := func(name string, typ dns.Type, ttl uint32, data string) {
		records = append(records, dns.Record{Name: dns.MustName(name), Type: typ, Class: dns.ClassIN, TTL: ttl, Data: dns.RData(data)})
	}
	for i := range manyRecords / 4 {
		name := fmt.Sprintf("n%d.test.", i%5)
		add(name, dns.TypeA, uint32(100-i), fmt.Sprintf("%4d", i%3))
		add("N"+name[1:], dns.TypeTXT, 50, "\x01x")
		add(name, dns.TypeRRSIG, 60, "\x00\x01signature"+name)
	}
	add("other.", dns.TypeA, 1, "data")
	few := group(records, dns.MustName("test."), dns.TypeA)
	for len(records) < manyRecords {
		records = append(records, records[0]) // again, which changes nothing
	}
	many := group(records, dns.MustName("test."), dns.TypeA)
	if few.index != nil || many.index == nil || len(few.sets) == 0 {
		t.Fatal("the two are not what they should be")
	}
	byName := cmp.Comparer(func(a, b dns.Name) bool { return a == b })
	if diff := cmp.Diff(few.sets, many.sets, byName, cmp.AllowUnexported(cache.RRset{})); diff != "" {
		t.Error(diff)
	}
}
