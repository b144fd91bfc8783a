package zone

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"onoma/dns"
)

// setter is what a Copy and an Editor have in common.
type setter interface {
	PutRRset(owner []byte, t dns.Type, ttl uint32, packed []byte, count int) (bool, error)
	PutSigs(owner []byte, t dns.Type, ttl uint32, packed []byte, count int) (bool, error)
}

// drawnSet is a set that a test puts.
type drawnSet struct {
	owner  []byte
	typ    dns.Type
	sigs   bool
	packed []byte
	count  int
}

func (s drawnSet) put(t *rapid.T, to setter) bool {
	put := to.PutRRset
	if s.sigs {
		put = to.PutSigs
	}
	changed, err := put(s.owner, s.typ, 60, s.packed, s.count)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// drawSets draws sets and signatures for names of v, then for owners of NSEC3.
func drawSets(t *rapid.T, v *Version) (list []drawnSet) {
	draw := func(owner []byte, typ dns.Type, data dns.RData) {
		s := drawnSet{owner: owner, typ: typ, sigs: rapid.Bool().Draw(t, "signatures")}
		if rapid.IntRange(0, 3).Draw(t, "put") > 0 {
			if s.sigs {
				data = dns.RRSIG{TypeCovered: typ, Algorithm: 13, Signer: v.origin, Signature: []byte{1}}.RData()
			}
			s.packed, s.count = append([]byte{byte(len(data) >> 8), byte(len(data))}, data...), 1
		}
		list = append(list, s)
	}
	for n := range v.From([]byte(v.origin.Wire())) {
		for range rapid.IntRange(0, 2).Draw(t, "sets") {
			if n.IsENT() {
				continue
			}
			switch owner := n.AppendName(nil); rapid.IntRange(0, 2).Draw(t, "type") {
			case 0:
				draw(owner, dns.TypeA, dns.RData{192, 0, 2, 77})
			case 1:
				draw(owner, dns.TypeNS, dns.NewTarget(drawTarget(t)))
			case 2:
				draw(owner, dns.TypeNSEC, append(dns.NewTarget(v.origin), 0, 1, 2))
			}
		}
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "hashed") {
		var hash [20]byte
		hash[0] = byte(i)
		owner := append(append([]byte{32}, dns.AppendBase32Hex(nil, hash[:])...), v.origin.Wire()...)
		draw(owner, dns.TypeNSEC3, append(append(dns.RData{1, 0, 0, 0, 0, 20}, hash[:]...), 0, 1, 2))
	}
	return list
}

// TestCopyAgainstEditor puts the same sets with both.
func TestCopyAgainstEditor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		origin := dns.MustName(modelOrigin)
		v := build(t, origin, append(rapid.SliceOfN(rapid.Custom(drawRecord), 0, 60).Draw(t, "records"),
			dns.Record{Name: origin, Type: dns.TypeSOA, Class: dns.ClassIN, TTL: 60, Data: modelSOA(7)},
			dns.Record{Name: origin, Type: dns.TypeNSEC3PARAM, Class: dns.ClassIN, Data: dns.RData{1, 0, 0, 0, 0}}))
		for round := range 2 {
			sets := drawSets(t, v)
			e, source := v.Edit(), v.Fork()
			for n := range v.NSEC3Owners() {
				e.Clear(n.AppendName(nil), true)
			}
			c := source.Copy()
			for _, s := range sets {
				a, b := s.put(t, e), s.put(t, c)
				if s.typ != dns.TypeNSEC3 && a != b {
					t.Fatalf("round %d: putting %s: changed is %v, of the Editor %v", round, s.typ, b, a)
				}
			}
			edited, err := e.Commit()
			if err != nil {
				t.Fatal(err)
			}
			copied, err := c.Commit()
			if err != nil {
				t.Fatal(err)
			}
			source.Discard()
			want, got := slices.Collect(edited.Records()), slices.Collect(copied.Records())
			if diff := cmp.Diff(texts(want), texts(got)); diff != "" {
				t.Fatalf("round %d: the copy is not what an Editor makes (-) but (+):\n%s", round, diff)
			}
			if copied.Stats().Records != len(got) || copied.Stats().Names != edited.Stats().Names {
				t.Fatalf("the copy counts %+v, expected %d records at %d names", copied.Stats(), len(got), edited.Stats().Names)
			}
			v = copied
		}
	})
}

// TestCopyTellsWhatChanges puts the NSEC3 records that are there, and others.
func TestCopyTellsWhatChanges(t *testing.T) {
	v, _ := parseZone(t, "example.", `@ 60 SOA ns h 1 2 3 4 5
@ 0 NSEC3PARAM 1 0 0 -
00000000000000000000000000000000 60 NSEC3 1 0 0 - 00000000000000000000000000000000 A
`)
	owner := wire("00000000000000000000000000000000.example.")
	set, _ := v.FindNSEC3(owner).RRset(dns.TypeNSEC3)
	e := v.Fork()
	defer e.Discard()
	c := e.Copy()
	if changed, err := c.PutRRset(owner, dns.TypeNSEC3, 60, set.Packed(), 1); changed || err != nil {
		t.Errorf("the same set: changed is %v, %v", changed, err)
	}
	if changed, err := c.PutRRset(owner, dns.TypeNSEC3, 61, set.Packed(), 1); !changed || err != nil {
		t.Errorf("with another TTL: changed is %v, %v", changed, err)
	}
}

func TestCopyRefusesDisorder(t *testing.T) {
	v, _ := parseZone(t, "example.", `@ 60 SOA ns h 1 2 3 4 5
a 60 A 192.0.2.1
b 60 A 192.0.2.1
`)
	for _, second := range []string{"a.example.", "bb.example."} {
		e := v.Fork()
		c := e.Copy()
		if _, err := c.PutRRset(wire("b.example."), dns.TypeA, 60, nil, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := c.PutRRset(wire(second), dns.TypeA, 60, nil, 0); !errors.Is(err, ErrOrder) {
			t.Errorf("%s behind b: %v, expected %v", second, err, ErrOrder)
		}
		e.Discard()
	}
}
