package zone

import (
	"bytes"
	"testing"

	"onoma/dns"
	"onoma/dns/zonefile"
)

// records of a generated zone, as a Builder gets them.
func readEntries(b *testing.B, text []byte) (es []zonefile.Entry) {
	b.Helper()
	r := zonefile.NewReader(bytes.NewReader(text), zonefile.Options{})
	for {
		e, err := r.NextEntry()
		if err != nil {
			return es
		}
		c := *e
		c.Owner, c.Data = bytes.Clone(e.Owner), bytes.Clone(e.Data)
		es = append(es, c)
	}
}

// BenchmarkBuild is a million delegations from records, without the parser.
func BenchmarkBuild(b *testing.B) {
	tld, text := generated(b, 1_000_000)
	entries := readEntries(b, text)
	b.ResetTimer()
	for b.Loop() {
		zb := NewBuilder(tld.Origin)
		for i := range entries {
			e := &entries[i]
			if err := zb.add(e.Owner, e.Type, e.Class, e.TTL, e.Data); err != nil {
				b.Fatal(err)
			}
		}
		if v, findings := zb.Build(); v == nil || len(findings) > 0 {
			b.Fatal(findings)
		}
	}
	b.ReportMetric(float64(len(entries))*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkReferral asks for random names at and below a million delegations.
func BenchmarkReferral(b *testing.B) {
	tld, text := generated(b, 1_000_000)
	v := load(b, tld.Origin, text)
	var queries bytes.Buffer
	if err := tld.WriteQueries(&queries, 1<<16); err != nil {
		b.Fatal(err)
	}
	var names [][]byte
	for _, line := range bytes.Split(queries.Bytes(), []byte("\n")) {
		if name, _, ok := bytes.Cut(line, []byte(" ")); ok {
			names = append(names, wire(string(name)))
		}
	}
	b.Run("Lookup", func(b *testing.B) {
		var m Match
		for i := 0; b.Loop(); i++ {
			v.Lookup(&m, names[i&(1<<16-1)])
		}
	})
	b.Run("WithGlue", func(b *testing.B) {
		var m Match
		sum := 0
		for i := 0; b.Loop(); i++ {
			v.Lookup(&m, names[i&(1<<16-1)])
			ns, _ := m.Cut.RRset(dns.TypeNS)
			sum += len(ns.Packed())
			for g := range ns.Glue() {
				a, _ := g.Host.RRset(dns.TypeA)
				sum += len(a.Packed())
			}
		}
	})
	b.Run("Ahead", func(b *testing.B) {
		var m Match
		var a Ahead
		sum := 0
		for i := 0; b.Loop(); i++ {
			at := i & (1<<16 - 1)
			if at%128 == 0 {
				a.Read(v, names[at:at+128], false)
			}
			v.Lookup(&m, names[at])
			ns, _ := m.Cut.RRset(dns.TypeNS)
			sum += len(ns.Packed())
			for g := range ns.Glue() {
				a, _ := g.Host.RRset(dns.TypeA)
				sum += len(a.Packed())
			}
		}
	})
	b.Run("Edit", func(b *testing.B) {
		now := v
		soa := dns.Record{Name: tld.Origin, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: 300}
		for i := 0; b.Loop(); i++ {
			e := now.Edit()
			soa.Data = modelSOA(uint32(i))
			if _, err := e.Add(soa); err != nil {
				b.Fatal(err)
			}
			for j := range 10 {
				name, _ := tld.Origin.Child(string(tld.AppendName(nil, (i*7919+j*104729)%tld.Delegations)))
				r := dns.Record{Name: name, Type: dns.TypeDS, Class: dns.ClassIN, TTL: 300, Data: dns.RData{0, byte(i), 13, 2, byte(i), byte(i >> 8)}}
				if _, err := e.Add(r); err != nil {
					b.Fatal(err)
				}
			}
			var err error
			if now, err = e.Commit(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
