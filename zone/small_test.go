package zone

import (
	"fmt"
	"runtime"
	"testing"

	"onoma/dns"
)

// smallZone is a zone of five records, as hosters have them by the hundred thousand.
func smallZone(t testing.TB, i int) *Version {
	t.Helper()
	name := fmt.Sprintf("customer-%06d.example.", i)
	return load(t, dns.MustName(name), []byte("$ORIGIN "+name+"\n$TTL 3600\n@ SOA ns1.hoster.example. hostmaster.hoster.example. 1 7200 3600 1209600 300\n@ NS ns1.hoster.example.\n@ NS ns2.hoster.example.\n@ A 192.0.2.1\nwww A 192.0.2.1\n"))
}

// TestMemoryOfSmallZones: octets of a zone of five records that is served, all in all.
func TestMemoryOfSmallZones(t *testing.T) {
	const n = 2000
	for _, tc := range []struct{ edits, most int }{{0, 850}, {1, 1400}, {10, 1500}} {
		edits, most := tc.edits, tc.most
		zones := make([]*Zone, n)
		before := heap()
		for i := range zones {
			v := smallZone(t, i)
			zones[i] = New(v.Origin())
			zones[i].Publish(v)
			for j := range edits {
				if _, err := zones[i].Update(changeSmallZone(j)); err != nil {
					t.Fatal(err)
				}
			}
		}
		each := int(heap()-before) / n
		t.Logf("%d octets after %d edits (%d by its own count)", each, edits, zones[0].Current().Stats().Bytes)
		if each > most {
			t.Errorf("%d octets for a zone of five records after %d edits, expected at most %d", each, edits, most)
		}
		runtime.KeepAlive(zones)
	}
}

// changeSmallZone adds a record, and counts the serial number up.
func changeSmallZone(i int) func(*Editor) error {
	return func(e *Editor) error {
		origin := e.View().Origin()
		soa, err := dns.ParseSOA(e.View().SOA().First())
		if err != nil {
			return err
		}
		soa.Serial++
		if _, err := e.Add(dns.Record{Name: origin, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: 3600, Data: soa.RData()}); err != nil {
			return err
		}
		_, err = e.Add(dns.Record{Name: origin, Type: dns.TypeTXT, Class: dns.ClassIN, TTL: 60, Data: dns.NewTXT(fmt.Sprint(i))})
		return err
	}
}

// BenchmarkSmallZone builds zones of five records.
func BenchmarkSmallZone(b *testing.B) {
	b.ReportAllocs()
	var records []dns.Record
	for r := range smallZone(b, 1).Records() {
		records = append(records, r)
	}
	for b.Loop() {
		zb := NewBuilder(records[0].Name)
		for _, r := range records {
			if err := zb.Add(r); err != nil {
				b.Fatal(err)
			}
		}
		if v, _ := zb.Build(); v == nil {
			b.Fatal("no version")
		}
	}
}
