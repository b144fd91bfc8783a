package delegation

import (
	"testing"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// FuzzReply: whatever a server sends, what is taken of it is well-formed, of the question,
// and bounded; and no decision about it panics.
func FuzzReply(f *testing.F) {
	c := newChild(f, "child.tld.")
	for _, t := range []dns.Type{dns.TypeCDS, dns.TypeCDNSKEY, dns.TypeDNSKEY, dns.TypeSOA} {
		m := c.answer(c.at(t))
		b, err := m.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	p := Policy{DS: true, CSYNC: true, Delete: true}.withDefaults()
	was := Delegation{Child: c.name, DS: []dns.Record{dsRecord(c, c.ksk[0])}}
	f.Fuzz(func(t *testing.T, msg []byte) {
		m, err := dns.ParseMessage(msg)
		if err != nil {
			return
		}
		s := c.seenAt("ns.example.", "192.0.2.1", dns.TypeCDS, dns.TypeCDNSKEY, dns.TypeDNSKEY, dns.TypeSOA, dns.TypeNS)
		for _, typ := range []dns.Type{dns.TypeCDS, dns.TypeCDNSKEY, dns.TypeDNSKEY, dns.TypeCSYNC, dns.TypeNS} {
			q := c.at(typ)
			r, err := readReply(m, q)
			if err != nil {
				continue
			}
			if len(r.set.RData) > maxSet || len(r.sigs) > maxSigs {
				t.Fatalf("%d records, %d signatures", len(r.set.RData), len(r.sigs))
			}
			for _, data := range r.set.RData {
				if err := dns.CheckRData(typ, data); err != nil {
					t.Fatal(err)
				}
			}
			before := s.apex[typ]
			s.apex[typ] = r
			l := &look{was: was, policy: &p, servers: []seen{s}, now: now}
			if d := decideDS(l); d.verdict == Changed && len(d.ds) > maxDS {
				t.Fatalf("%d DS", len(d.ds))
			}
			planSync(l)
			newVerifier(c.name, now).absent(&reply{set: dnssec.RRset{Owner: c.name, Type: dns.TypeA}, proof: m.Authority}, keysOf(&r))
			s.apex[typ] = before
		}
	})
}

// FuzzSaved: whatever is in the database is restored or refused.
func FuzzSaved(f *testing.F) {
	f.Add([]byte(`{"version":1,"cursor":"a.tld.","accepted":{"a.tld.":{"Inception":1,"Expiration":2}},"delays":{"b.tld.":{"since":"2026-03-01T00:00:00Z","print":"00"}}}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := &parent{Parent{ID: parentID}, &memory{accepted: make(map[dns.Name]acceptance)}}
		delays, err := p.restore(b, now)
		if err != nil || len(b) == 0 {
			return
		}
		p.dirty = true
		q := &parent{Parent{ID: parentID}, &memory{accepted: make(map[dns.Name]acceptance)}}
		again, err := q.restore(p.save(delays, now), now)
		if err != nil || len(again) != len(delays) {
			t.Errorf("%d delays, then %d: %v", len(delays), len(again), err)
		}
	})
}
