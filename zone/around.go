package zone

import (
	"iter"

	"onoma/dns"
	"onoma/zone/qp"
)

// After yields all nodes behind name in canonical order, NSEC3 owners left out; with
// past those below name are left out too.
func (v *Version) After(name []byte, past bool) iter.Seq[Node] {
	return func(yield func(Node) bool) {
		if !v.has(name) {
			return
		}
		var k qp.Key
		c := v.sp.WalkAfter(&v.names, &k, v.relative(name), past)
		for l, ok := c.Next(); ok && yield(Node{v, l}); l, ok = c.Next() {
		}
	}
}

// Before returns the last node before name in canonical order, NSEC3 owners left
// out; the zero Node before the apex.
func (v *Version) Before(name []byte) Node {
	if !v.has(name) {
		return Node{}
	}
	var k qp.Key
	l, _, ok := v.sp.Floor(&v.names, &k, v.relative(name), true)
	return v.node(l, ok)
}

// Hiding returns the topmost cut or DNAME owner strictly above name, below which
// nothing is authoritative; the zero Node where there is none.
func (v *Version) Hiding(name []byte) Node {
	rel := v.relative(name)
	if len(rel) == 0 {
		return Node{}
	}
	var q qp.Search
	if v.sp.Lookup(&v.names, &q, parent(rel), flagsStop) && q.Leaf.Flags&flagsStop != 0 {
		return Node{v, q.Leaf}
	}
	return Node{}
}

// NSEC3Owners yields the owners of NSEC3 records: those of the chain in use in the
// order of their hashes, then the others.
func (v *Version) NSEC3Owners() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for _, t := range []*qp.Trie{&v.nsec3, &v.spare} {
			c := v.sp.Walk(t)
			for l, ok := c.Next(); ok; l, ok = c.Next() {
				if !yield(Node{v, l}) {
					return
				}
			}
		}
	}
}

// FindNSEC3 returns the node of exactly name among the owners of NSEC3 records.
func (v *Version) FindNSEC3(name []byte) Node {
	if !v.has(name) {
		return Node{}
	}
	var k qp.Key
	return v.node(v.leaf(&k, v.relative(name), true))
}

// NSEC3Next returns the owner of NSEC3 records of the chain in use that comes behind
// name, the first one behind the last.
func (v *Version) NSEC3Next(name []byte) Node {
	var k qp.Key
	c := v.sp.WalkAfter(&v.nsec3, &k, v.relative(name), false)
	l, ok := c.Next()
	if !ok {
		c = v.sp.Walk(&v.nsec3)
		l, ok = c.Next()
	}
	return v.node(l, ok)
}

// NSEC3Before is NSEC3Next in the other direction.
func (v *Version) NSEC3Before(name []byte) Node {
	var k qp.Key
	l, _, ok := v.sp.Floor(&v.nsec3, &k, v.relative(name), true)
	if !ok {
		l, ok = v.sp.Last(&v.nsec3)
	}
	return v.node(l, ok)
}

// Changed yields the nodes of from and to, one of them zero, of each name whose
// records are not the same, in no order; NSEC3 owners left out. It costs what the
// difference does where the one was edited from the other.
func Changed(from, to *Version) iter.Seq2[Node, Node] {
	return changed(from, to, &from.names, &to.names)
}

// ChangedNSEC3 is Changed for the owners of NSEC3 records of the chain in use.
func ChangedNSEC3(from, to *Version) iter.Seq2[Node, Node] {
	return changed(from, to, &from.nsec3, &to.nsec3)
}

func changed(from, to *Version, t, u *qp.Trie) iter.Seq2[Node, Node] {
	return func(yield func(Node, Node) bool) {
		done := false
		qp.Diff(&from.sp, t, &to.sp, u, func(x, y qp.Leaf, hasX, hasY bool) {
			p := pair{from.node(x, hasX), to.node(y, hasY)}
			if done || hasX && hasY && p.isSame() {
				return
			}
			done = !yield(p.from, p.to)
		})
	}
}

// Signatures yields the types that are covered by RRSIG records of the node, also
// types that it has no records of, and these RRSIG records.
func (n Node) Signatures() iter.Seq2[dns.Type, RRset] {
	return func(yield func(dns.Type, RRset) bool) {
		if n.v == nil {
			return
		}
		count, b := slots(n.v.sp.At(n.leaf.Ref))
		for ; count > 0; count-- {
			if form := b[2]; form&formSigned != 0 {
				set, _ := readBody(b[sigsAt(b):], form&formWideSigs != 0)
				if !yield(slotType(b), RRset{v: n.v, owner: n.leaf.Ref, typ: dns.TypeRRSIG, body: set}) {
					return
				}
			}
			b = b[slotLen(b):]
		}
	}
}

// Equal reports whether s and t, of one type, have the same records and TTL; their
// signatures do not matter.
func (s RRset) Equal(t RRset) bool {
	return s.typ == t.typ && s.count == t.count && s.body.isSame(t.body)
}

// Slot is what a node has of one type: records, RRSIG records that cover the type, or
// both. Its records are looked at when they are asked for.
type Slot struct {
	n Node
	b []byte
}

// Slots yields what the node has, the SOA first and then by ascending type.
func (n Node) Slots() iter.Seq[Slot] {
	return func(yield func(Slot) bool) {
		if n.v == nil {
			return
		}
		count, b := slots(n.v.sp.At(n.leaf.Ref))
		for ; count > 0; count-- {
			if !yield(Slot{n, b}) {
				return
			}
			b = b[slotLen(b):]
		}
	}
}

// Type returns the type.
func (s Slot) Type() dns.Type { return slotType(s.b) }

// HasRecords reports whether there are records of the type.
func (s Slot) HasRecords() bool { return s.b[2]&formSigsOnly == 0 }

// HasSigs reports whether there are RRSIG records that cover the type.
func (s Slot) HasSigs() bool { return s.b[2]&formSigned != 0 }

// RRset returns the records. There are some.
func (s Slot) RRset() RRset { return s.n.read(s.b) }
