//go:build invariants

package zone

import (
	"fmt"

	"onoma/dns"
	"onoma/zone/qp"
)

// invariants tells that the build checks itself.
const invariants = true

// verify panics where a version is not as it must be. It looks at every name.
func (v *Version) verify() {
	var (
		k       qp.Key
		last    = []byte(nil)
		hosts   = map[uint32]bool{}
		records = 0
	)
	must := func(ok bool, what string, rel []byte) {
		if !ok {
			panic(fmt.Sprintf("zone %s serial %d: %s: %s", v.origin, v.serial, v.fullName(rel), what))
		}
	}
	c := v.sp.Walk(&v.names)
	n := 0
	for l, ok := c.Next(); ok; l, ok = c.Next() {
		rel := v.sp.Name(l)
		must(n == 0 && len(rel) == 0 || n > 0 && dns.CompareNames(last, rel) < 0, "out of order", rel)
		last = rel
		n++
		if len(rel) > 0 {
			_, ok := v.sp.Find(&v.names, &k, parent(rel))
			must(ok, "the name above does not exist", rel)
		}
		count, _ := slots(v.sp.At(l.Ref))
		must(count > 0 == (l.Flags&flagENT == 0), "wrongly an empty non-terminal or not", rel)
		must(count > 0 || len(rel) == 0 || v.sp.HasBelow(&v.names, &k, rel), "empty and no non-terminal", rel)
		_, wild := v.sp.Find(&v.names, &k, append([]byte{1, '*'}, rel...))
		must(wild == (l.Flags&flagWild != 0), "wrong about its wildcard", rel)
		own := uint32(0)
		for s := range (Node{v, l}).RRsets() {
			own |= typeFlags(s.typ, len(rel) == 0)
			v.verifyHosts(s, must, rel)
		}
		const kept = flagsKept | flagENT | flagApex
		must(own == l.Flags&^kept, "flags do not fit its types", rel)
		if l.Flags&flagHost != 0 {
			must(v.hosts.at(l.Aux) == l.Ref && !hosts[l.Aux], "wrong host number", rel)
			hosts[l.Aux] = true
		} else {
			e := edit{v: v}
			must(l.Aux == e.hashPrefix(rel), "wrong hash", rel)
		}
		for range (Node{v, l}).Records() {
			records++
		}
	}
	must(n == v.names.Len(), "wrong number of names", nil)
	c = v.sp.Walk(&v.absent)
	for l, ok := c.Next(); ok; l, ok = c.Next() {
		rel := v.sp.Name(l)
		_, exists := v.sp.Find(&v.names, &k, rel)
		must(!exists && v.hosts.at(l.Aux) == 0 && !hosts[l.Aux], "wrongly absent", rel)
		hosts[l.Aux] = true
	}
	for _, t := range []*qp.Trie{&v.nsec3, &v.spare} {
		c = v.sp.Walk(t)
		for l, ok := c.Next(); ok; l, ok = c.Next() {
			must(v.isInUse(Node{v, l}) == (t == &v.nsec3), "in the wrong NSEC3 chain", v.sp.Name(l))
			for range (Node{v, l}).Records() {
				records++
			}
		}
	}
	must(records == v.records, fmt.Sprintf("%d records, counted %d", records, v.records), nil)
}

// verifyHosts wants the host numbers of a shared set to be those of its targets.
func (v *Version) verifyHosts(s RRset, must func(bool, string, []byte), rel []byte) {
	if s.typ != dns.TypeNS {
		return
	}
	i := 0
	for target := range s.RData() {
		id := uint32(0)
		if s.hosts != nil {
			id = le.Uint32(s.hosts[4*i:])
		}
		i++
		must(v.has(target) == (id != 0), "target and host number do not fit", rel)
		if id == 0 {
			continue
		}
		var k qp.Key
		l, ok := v.sp.Find(&v.names, &k, v.relative(target))
		if !ok {
			l, ok = v.sp.Find(&v.absent, &k, v.relative(target))
		}
		must(ok && l.Aux == id, "host number is not that of the target", rel)
	}
}

// aheadNames lets all zones be read ahead in, so that every test does it.
const aheadNames = 0
