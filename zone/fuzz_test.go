package zone

import (
	"slices"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/dns/zonefile"
)

// FuzzNames puts names of any octets into a zone and looks each up: names come
// one after the other from the input, below the origin.
func FuzzNames(f *testing.F) {
	f.Add([]byte("\x01a\x01b\x00\x01A\x01b\x00\x02\x00\xff\x00\x01*\x00"), []byte("\x01x\x01a\x01b\x00"))
	f.Add([]byte("\x3faaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x00\x01.\x01\\\x00"), []byte("\x00"))
	f.Add([]byte{1, 0, 1, 0, 1, 0, 0, 1, 255, 1, 254, 0, 1, 'z' + 1, 0, 1, 'Z' + 1, 0}, []byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, list, query []byte) {
		origin := dns.MustName("example")
		names := []dns.Name{origin}
		for len(list) > 0 {
			n, err := dns.WireNameLen(list)
			if err != nil {
				break
			}
			if name, err := dns.NameFromWire(append(slices.Clone(list[:n-1]), origin.Wire()...)); err == nil {
				names = append(names, name)
			}
			list = list[n:]
		}
		b := NewBuilder(origin)
		b.Add(dns.Record{Name: origin, Type: dns.TypeSOA, Class: dns.ClassIN, Data: modelSOA(1)})
		for _, n := range names {
			b.Add(dns.Record{Name: n, Type: dns.TypeA, Class: dns.ClassIN, Data: dns.RData{192, 0, 2, 1}})
		}
		v, _ := b.Build()
		var m Match
		for _, n := range names {
			if v.Lookup(&m, []byte(n.Wire())); !m.Node.Name().Equal(n) || !m.Node.Has(dns.TypeA) {
				t.Fatalf("%s is not found", n)
			}
		}
		var last dns.Name
		for n := range v.Nodes() {
			if name := n.Name(); !last.IsZero() && last.Compare(name) >= 0 {
				t.Fatalf("%s stands behind %s", name, last)
			} else {
				last = name
			}
		}
		n, err := dns.WireNameLen(query)
		if err != nil {
			return
		}
		q, err := dns.NameFromWire(append(slices.Clone(query[:n-1]), origin.Wire()...))
		if err != nil {
			return
		}
		v.Lookup(&m, []byte(q.Wire()))
		depth := 0
		for _, n := range names {
			depth = max(depth, n.CommonAncestor(q).NumLabels())
		}
		if got := m.Encloser.Name().NumLabels(); got != depth {
			t.Fatalf("the encloser of %s has %d labels, expected %d", q, got, depth)
		}
	})
}

// FuzzLoad takes any text for a zone: whatever is in it must be found, checked
// and edited away without a panic.
func FuzzLoad(f *testing.F) {
	for _, z := range badZones {
		f.Add("$TTL 300\n" + z.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		origin := dns.MustName("example")
		v, _, err := Load(zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: origin, MaxGenerate: 100}), origin)
		if err != nil || v == nil {
			return
		}
		v.Check()
		records := slices.Collect(v.Records())
		if len(records) != v.Stats().Records {
			t.Fatalf("%d records, Stats says %d", len(records), v.Stats().Records)
		}
		var m Match
		for _, r := range records {
			name := []byte(r.Name.Wire())
			v.Lookup(&m, name)
			v.NSECCover(name)
			v.NSEC3Name(name)
			if n := v.Find(name); !n.IsZero() {
				v.NSEC3For(n)
				for set := range n.RRsets() {
					for range set.Glue() {
					}
				}
			} else if r.Type != dns.TypeNSEC3 && r.Type != dns.TypeRRSIG {
				t.Fatalf("%s is not found", r)
			}
		}
		e := v.Edit()
		for _, r := range records {
			if (r.Type != dns.TypeSOA || !r.Name.Equal(origin)) && !e.Remove(r) {
				t.Fatalf("%s cannot be removed", r)
			}
		}
		w, err := e.Commit()
		if err != nil {
			t.Fatal(err)
		}
		soa := v.SOA()
		if s := w.Stats(); s.Records != soa.Count() || s.Names != 1 {
			t.Fatalf("all but the SOA is gone: %d records of %d names are left", s.Records, s.Names)
		}
		if d := Diff(v, w); len(d.Removed) != len(records)-soa.Count() || len(d.Added) != 0 {
			t.Fatalf("difference of %d records: %d removed, %d added", len(records), len(d.Removed), len(d.Added))
		}
	})
}
