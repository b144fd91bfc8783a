package zone

import (
	"bytes"
	"slices"
	"testing"

	"onoma/dns"
	"onoma/dns/dnssec"

	"pgregory.net/rapid"
)

// signable returns the names of m that a signer proves the existence of: not
// those below cuts and DNAMEs; empty non-terminals only if asked for.
func (m *model) signable(ents bool) (names []dns.Name) {
	seen := map[dns.Name]bool{}
	for k := range m.sets {
		for _, n := range m.above(k.name) {
			w := m.lookup(n)
			if seen[n] || w.Node != n || !ents && !m.owns(n) {
				continue
			}
			seen[n] = true
			names = append(names, n)
		}
	}
	slices.SortFunc(names, dns.Name.Compare)
	return names
}

func (m *model) owns(name dns.Name) bool {
	for k := range m.sets {
		if k.name == name && !k.sigs && k.typ != dns.TypeNSEC3 {
			return true
		}
	}
	return false
}

// drawModel makes a zone without any denial of existence.
func drawModel(t *rapid.T) *model {
	m := newModel(dns.MustName(modelOrigin))
	m.add(dns.Record{Name: m.origin, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: 60, Data: modelSOA(7)})
	for _, r := range rapid.SliceOfN(rapid.Custom(drawRecord), 0, 40).Draw(t, "records") {
		if r.Type != dns.TypeSOA && r.Type != dns.TypeRRSIG {
			m.add(r)
		}
	}
	return m
}

func TestNSECCoverAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		names := m.signable(false)
		for i, n := range names {
			next := names[(i+1)%len(names)]
			m.add(dns.Record{Name: n, Type: dns.TypeNSEC, Class: dns.ClassIN, TTL: 60, Data: append(dns.RData(next.Wire()), 0, 1, 0x40)})
		}
		v := build(t, m.origin, m.records())
		if v.Denial() != DenialNSEC {
			t.Fatalf("Denial is %v", v.Denial())
		}
		for _, q := range append(drawQueries(t), names...) {
			var want dns.Name
			for _, n := range names {
				if n.Compare(q) <= 0 {
					want = n
				}
			}
			if w := m.lookup(q); (!w.Cut.IsZero() || !w.DName.IsZero()) && w.Node.IsZero() {
				continue // the proof is about the cut's name then
			}
			if got := v.NSECCover([]byte(q.Wire())); got.Name() != want {
				t.Fatalf("NSECCover(%s) = %s, expected %s", q, got.Name(), want)
			}
		}
	})
}

// addNSEC3 makes the NSEC3 chain of a zone, and returns its hashes in order.
func (m *model) addNSEC3(t *rapid.T, param dns.NSEC3PARAM) (hashes [][]byte) {
	optOut := rapid.Bool().Draw(t, "opt out")
	for _, n := range m.signable(true) {
		if optOut && n != m.origin && m.has(n, dns.TypeNS) && !m.has(n, dns.TypeDS) {
			continue
		}
		hashes = append(hashes, dnssec.NSEC3Hash(nil, []byte(n.Wire()), param.Iterations, param.Salt))
	}
	slices.SortFunc(hashes, bytes.Compare)
	for i, h := range hashes {
		rd := dns.NSEC3{NSEC3PARAM: param, NextHashed: hashes[(i+1)%len(hashes)]}.RData()
		owner, _ := m.origin.Child(string(dns.AppendBase32Hex(nil, h)))
		m.add(dns.Record{Name: owner.Fold(), Type: dns.TypeNSEC3, Class: dns.ClassIN, TTL: 60, Data: rd})
	}
	m.add(dns.Record{Name: m.origin, Type: dns.TypeNSEC3PARAM, Class: dns.ClassIN, TTL: 0, Data: param.RData()})
	return hashes
}

func TestNSEC3AgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		plain := build(t, m.origin, m.records())
		before := m.clone()
		param := dns.NSEC3PARAM{Hash: 1, Iterations: uint16(rapid.IntRange(0, 2).Draw(t, "iterations")),
			Salt: rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "salt")}
		hashes := m.addNSEC3(t, param)
		queries := drawQueries(t)
		signed := build(t, m.origin, m.records())
		checkNSEC3(t, signed, m, param, hashes, queries)

		// The same by an edit, record by record in any order, and back.
		e := plain.Edit()
		for _, r := range rapid.Permutation(minusRecords(m, before)).Draw(t, "order") {
			if _, err := e.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		edited, err := e.Commit()
		if err != nil {
			t.Fatal(err)
		}
		checkNSEC3(t, edited, m, param, hashes, queries)
		e = edited.Edit()
		for _, r := range minusRecords(m, before) {
			e.Remove(r)
		}
		again, err := e.Commit()
		if err != nil {
			t.Fatal(err)
		}
		sameZone(t, again, before, queries)
		if again.Denial() != DenialNone {
			t.Fatalf("Denial is %v without a chain", again.Denial())
		}
	})
}

// TestNSEC3ChainsSideBySide has two chains and NSEC3PARAM records for both: that
// of the first in canonical order is used.
func TestNSEC3ChainsSideBySide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		one := dns.NSEC3PARAM{Hash: 1, Salt: []byte{1}}
		two := dns.NSEC3PARAM{Hash: 1, Iterations: 1}
		h1 := m.addNSEC3(t, one)
		h2 := m.addNSEC3(t, two)
		v := build(t, m.origin, m.records())
		queries := drawQueries(t)
		checkNSEC3(t, v, m, one, h1, queries)
		e := v.Edit()
		r := dns.Record{Name: m.origin, Type: dns.TypeNSEC3PARAM, Class: dns.ClassIN, Data: one.RData()}
		if !e.Remove(r) {
			t.Fatal("NSEC3PARAM is not there")
		}
		m.remove(r)
		v, err := e.Commit()
		if err != nil {
			t.Fatal(err)
		}
		checkNSEC3(t, v, m, two, h2, queries)
	})
}

func minusRecords(a, b *model) (rs []dns.Record) {
	for _, r := range a.records() {
		if !slices.Contains(b.sets[modelKey(r)].data, string(r.Data)) {
			rs = append(rs, r)
		}
	}
	return rs
}

func checkNSEC3(t *rapid.T, v *Version, m *model, param dns.NSEC3PARAM, hashes [][]byte, queries []dns.Name) {
	readAhead(v, queries)
	sameZone(t, v, m, queries)
	if p, ok := v.NSEC3Params(); !ok || p.Iterations != param.Iterations || !bytes.Equal(p.Salt, param.Salt) {
		t.Fatalf("parameters %v %v, expected %v", p, ok, param)
	}
	if v.Denial() != DenialNSEC3 {
		t.Fatalf("Denial is %v", v.Denial())
	}
	owner := func(h []byte) dns.Name {
		n, _ := m.origin.Child(string(dns.AppendBase32Hex(nil, h)))
		return n.Fold()
	}
	for _, q := range append(queries, m.signable(true)...) {
		h := dnssec.NSEC3Hash(nil, []byte(q.Wire()), param.Iterations, param.Salt)
		want, exact := hashes[len(hashes)-1], false
		for _, x := range hashes {
			if c := bytes.Compare(x, h); c <= 0 {
				want, exact = x, c == 0
			}
		}
		if n, ok := v.NSEC3Name([]byte(q.Wire())); n.Name() != owner(want) || ok != exact || !n.Has(dns.TypeNSEC3) {
			t.Fatalf("NSEC3Name(%s) = %s %v, expected %s %v", q, n.Name(), ok, owner(want), exact)
		}
		if n, ok := v.NSEC3Cover(h); n.Name() != owner(want) || ok != exact {
			t.Fatalf("NSEC3Cover(hash of %s) = %s %v, expected %s %v", q, n.Name(), ok, owner(want), exact)
		}
		node := v.Find([]byte(q.Wire()))
		if node.IsZero() {
			continue
		}
		if n, ok := v.NSEC3For(node); n.Name() != owner(want) || ok != exact {
			t.Fatalf("NSEC3For(%s) = %s %v, expected %s %v", q, n.Name(), ok, owner(want), exact)
		}
	}
}

// TestNSEC3OwnerIsNoName is RFC 5155 §7.2.8: the owner of an NSEC3 record is no
// name of the zone.
func TestNSEC3OwnerIsNoName(t *testing.T) {
	v, _ := parseZone(t, "example", "$TTL 300\n"+checkTop+"@ NSEC3PARAM 1 0 0 -\n"+hashed+nsec3)
	var m Match
	v.Lookup(&m, []byte(dns.MustName(hashed+".example").Wire()))
	if !m.Node.IsZero() || m.Encloser.Name() != v.Origin() {
		t.Errorf("found %v below %v", m.Node.Name(), m.Encloser.Name())
	}
	n := 0
	for node := range v.Nodes() {
		if node.Has(dns.TypeNSEC3) {
			n++
		}
	}
	if n != 1 || v.Stats().Records != 4 {
		t.Errorf("%d NSEC3 owners among the nodes, %d records", n, v.Stats().Records)
	}
}
