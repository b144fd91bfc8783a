package zone

import (
	"iter"

	"onoma/dns"
	"onoma/zone/qp"
)

// Nodes yields all nodes in canonical order of their names, the apex first.
// Owners of NSEC3 records come as nodes of their own.
func (v *Version) Nodes() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		var heads []*head
		for _, t := range []*qp.Trie{&v.names, &v.nsec3, &v.spare} {
			if h := (&head{c: v.sp.Walk(t)}); h.next(v) {
				heads = append(heads, h)
			}
		}
		for len(heads) > 0 {
			first := 0
			for i := 1; i < len(heads); i++ {
				if heads[i].key.Compare(&heads[first].key) < 0 {
					first = i
				}
			}
			h := heads[first]
			if !yield(Node{v, h.leaf}) {
				return
			}
			if !h.next(v) {
				heads = append(heads[:first], heads[first+1:]...)
			}
			if len(heads) == 1 {
				heads[0].rest(v, yield)
				return
			}
		}
	}
}

// head is the next leaf of one of the tries that Nodes merges.
type head struct {
	c    qp.Cursor
	leaf qp.Leaf
	key  qp.Key
}

func (h *head) next(v *Version) (ok bool) {
	if h.leaf, ok = h.c.Next(); ok {
		h.key.Set(v.sp.Name(h.leaf))
	}
	return ok
}

// rest yields what is left of the last trie, with no more comparing.
func (h *head) rest(v *Version, yield func(Node) bool) {
	for ok := true; ok && yield(Node{v, h.leaf}); {
		h.leaf, ok = h.c.Next()
	}
}

// Subtree yields name's node and all below it in canonical order, cuts or not,
// NSEC3 owners left out.
func (v *Version) Subtree(name []byte) iter.Seq[Node] {
	return func(yield func(Node) bool) {
		if !v.has(name) {
			return
		}
		var k qp.Key
		c := v.sp.WalkBelow(&v.names, &k, v.relative(name))
		for l, ok := c.Next(); ok && yield(Node{v, l}); l, ok = c.Next() {
		}
	}
}

// Floor returns the node of name, or else the last one before it in canonical
// order; cuts or not, NSEC3 owners left out. Outside the zone it is the zero Node.
func (v *Version) Floor(name []byte) Node {
	if !v.has(name) {
		return Node{}
	}
	var k qp.Key
	l, _, ok := v.sp.Floor(&v.names, &k, v.relative(name), false)
	return v.node(l, ok)
}

// From yields the nodes behind name in canonical order, whether name is there or not;
// cuts or not, NSEC3 owners left out. It starts at the cost of a look-up.
func (v *Version) From(name []byte) iter.Seq[Node] {
	return func(yield func(Node) bool) {
		if !v.has(name) {
			return
		}
		var k, from qp.Key
		rel := v.relative(name)
		last, _, ok := v.sp.Floor(&v.names, &k, rel, false)
		if !ok {
			return
		}
		c := v.sp.WalkFrom(&v.names, &from, v.sp.Name(last))
		c.Next() // last itself: name, or what lies before it
		for l, ok := c.Next(); ok && yield(Node{v, l}); l, ok = c.Next() {
		}
	}
}

// Records yields all records, the SOA first, then in canonical order of their
// names and by type, an RRset's signatures right behind it. The rdata lies in
// the version's memory and must not be changed.
func (v *Version) Records() iter.Seq[dns.Record] {
	return func(yield func(dns.Record) bool) {
		for n := range v.Nodes() {
			if n.IsENT() {
				continue
			}
			for r := range n.Records() {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// Records yields the records of a node in the order of [Version.Records].
func (n Node) Records() iter.Seq[dns.Record] {
	return func(yield func(dns.Record) bool) {
		r := dns.Record{Name: n.Name(), Class: n.v.class}
		count, b := slots(n.v.sp.At(n.leaf.Ref))
		for ; count > 0; count-- {
			form := b[2]
			if form&formSigsOnly == 0 {
				r.Type = slotType(b)
				if !yieldBody(r, readSlotBody(&n.v.sp, b), yield) {
					return
				}
			}
			if form&formSigned != 0 {
				r.Type = dns.TypeRRSIG
				sigs, _ := readBody(b[sigsAt(b):], form&formWideSigs != 0)
				if !yieldBody(r, sigs, yield) {
					return
				}
			}
			b = b[slotLen(b):]
		}
	}
}

func yieldBody(r dns.Record, b body, yield func(dns.Record) bool) bool {
	r.TTL = b.ttl
	for off := 0; off < len(b.packed); {
		r.Data, off = nextRData(b.packed, off)
		if !yield(r) {
			return false
		}
	}
	return true
}

func nextRData(packed []byte, off int) (dns.RData, int) { return rdataAt(packed, off) }
