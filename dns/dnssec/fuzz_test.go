package dnssec

import (
	"testing"

	"onoma/dns"
)

// FuzzSignature: whatever a key and a signature are, there is a verdict.
func FuzzSignature(f *testing.F) {
	for _, k := range generated(f) {
		sig, err := k.Sign(nil, []byte("data"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(k.Algorithm(), k.DNSKEY().PublicKey, []byte("data"), sig)
	}
	f.Add(uint8(RSASHA1), []byte{0, 0, 1, 3, 255, 255}, []byte{}, []byte{1})
	f.Fuzz(func(t *testing.T, algorithm uint8, key, data, sig []byte) {
		if Verify(algorithm, key, data, sig) == nil && Verify(algorithm, key, append(data, 0), sig) == nil {
			t.Error("two texts have one signature")
		}
	})
}

// FuzzVerifyRRset reads a signature, a key and a record from the wire.
func FuzzVerifyRRset(f *testing.F) {
	for _, text := range vectors {
		if v := readVector(f, text); v.sig != nil {
			f.Add([]byte(v.set.Owner.Wire()), uint16(v.set.Type), []byte(v.set.RData[0]), []byte(v.sig.RData()), []byte(v.key.RData()))
		}
	}
	f.Fuzz(func(t *testing.T, owner []byte, typ uint16, rdata, sig, key []byte) {
		name, err1 := dns.NameFromWire(owner)
		s, err2 := dns.ParseRRSIG(sig)
		k, err3 := dns.ParseDNSKEY(key)
		if err1 != nil || err2 != nil || err3 != nil || dns.CheckRData(dns.Type(typ), rdata) != nil {
			return
		}
		set := RRset{Owner: name, Type: dns.Type(typ), Class: dns.ClassIN, RData: []dns.RData{rdata, rdata}}
		if VerifyRRset(set, &s, k, noon) == nil && int(s.Labels) < s.Signer.NumLabels() {
			t.Error("a signature over names outside the zone holds")
		}
		if d, err := MakeDS(name, k, DigestSHA256); err == nil && MatchDS(name, k, d) != (k.IsZoneKey() && k.Protocol == 3) {
			t.Error("a DS that is made of a key does not match it")
		}
	})
}

// FuzzDenial: records of any kind prove nothing of names that they themselves show
// to exist, and work is bounded.
func FuzzDenial(f *testing.F) {
	for _, l := range append([]string{nsec("a.example.", "d.example.", "A RRSIG NSEC"), nsec("b.example.", `\000.b.example.`, "NXNAME")}, rfc5155...) {
		r := dns.MustRecord(l)
		f.Add([]byte(r.Name.Wire()), []byte(r.Data), []byte(r.Name.Wire()), []byte(r.Data), []byte(dns.MustName("x.y.w.example.").Wire()), uint16(1))
	}
	f.Fuzz(func(t *testing.T, owner1, rdata1, owner2, rdata2, qname []byte, qtype uint16) {
		a, err1 := dns.NameFromWire(owner1)
		b, err2 := dns.NameFromWire(owner2)
		q, err3 := dns.NameFromWire(qname)
		if err1 != nil || err2 != nil || err3 != nil {
			return
		}
		var sets []RRset
		for _, typ := range []dns.Type{dns.TypeNSEC, dns.TypeNSEC3} {
			sets = append(sets, RRset{Owner: a, Type: typ, RData: []dns.RData{rdata1}}, RRset{Owner: b, Type: typ, RData: []dns.RData{rdata2}})
		}
		budget := 5000
		d := NewDenial(apex, sets, &budget)
		noName, noType := d.Name(q), d.Type(q, dns.Type(qtype))
		d.Delegation(q)
		d.Expansion(q, 1)
		if types, ok := d.match(q); ok {
			if noName == Proved {
				t.Error("a name with records does not exist")
			}
			if noType == Proved && types.Has(dns.Type(qtype)) {
				t.Error("a type that is there is denied")
			}
		}
		if !q.IsSubdomainOf(apex) && (noName == Proved || noType == Proved) {
			t.Error("a zone denies names of others")
		}
	})
}
