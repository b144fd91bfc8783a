package zone

import (
	"bytes"
	"slices"

	"onoma/dns"
	"onoma/zone/qp"
)

// Delta is the difference of two versions, each list in the order of
// [Version.Records]. A record whose TTL changes, or the case of whose names
// does, is in both.
type Delta struct{ Removed, Added []dns.Record }

// IsEmpty reports whether the versions have the same records.
func (d *Delta) IsEmpty() bool { return len(d.Removed) == 0 && len(d.Added) == 0 }

// Diff returns what turns from into to, at the cost of the difference where one
// was edited from the other.
func Diff(from, to *Version) Delta {
	var pairs []pair
	for _, tries := range [][2]*qp.Trie{{&from.names, &to.names}, {&from.nsec3, &to.nsec3}, {&from.spare, &to.spare}} {
		qp.Diff(&from.sp, tries[0], &to.sp, tries[1], func(x, y qp.Leaf, hasX, hasY bool) {
			p := pair{from.node(x, hasX), to.node(y, hasY)}
			if !hasX || !hasY || !p.isSame() {
				pairs = append(pairs, p)
			}
		})
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return a.name().Compare(b.name()) })
	var d Delta
	for _, p := range pairs {
		p.diff(&d)
	}
	if from.spare.Len() > 0 || to.spare.Len() > 0 {
		// An NSEC3 record that went from one chain to another is in both lists.
		d.Removed, d.Added = without(d.Removed, d.Added), without(d.Added, d.Removed)
	}
	return d
}

// pair is a name's node in both versions; one of them may be zero.
type pair struct{ from, to Node }

func (p pair) name() dns.Name {
	if p.from.IsZero() {
		return p.to.Name()
	}
	return p.from.Name()
}

// isSame reports whether the nodes, of which there are two, plainly have the same
// records. Where versions share no memory most nodes are found here.
func (p pair) isSame() bool {
	x, y := p.from, p.to
	if x.v.origin != y.v.origin || !bytes.Equal(x.v.sp.Name(x.leaf), y.v.sp.Name(y.leaf)) {
		return false // the case of letters
	}
	n, a := slots(x.v.sp.At(x.leaf.Ref))
	m, b := slots(y.v.sp.At(y.leaf.Ref))
	if n != m {
		return false
	}
	for ; n > 0; n-- {
		const kind = formSigsOnly | formSigned
		if slotType(a) != slotType(b) || a[2]&kind != b[2]&kind {
			return false
		}
		if a[2]&formSigsOnly == 0 && !readSlotBody(&x.v.sp, a).isSame(readSlotBody(&y.v.sp, b)) {
			return false
		}
		if a[2]&formSigned != 0 {
			s, _ := readBody(a[sigsAt(a):], a[2]&formWideSigs != 0)
			t, _ := readBody(b[sigsAt(b):], b[2]&formWideSigs != 0)
			if !s.isSame(t) {
				return false
			}
		}
		a, b = a[slotLen(a):], b[slotLen(b):]
	}
	return true
}

func (b body) isSame(c body) bool { return b.ttl == c.ttl && bytes.Equal(b.packed, c.packed) }

func (p pair) diff(d *Delta) {
	var old, now []dns.Record
	if !p.from.IsZero() {
		old = slices.Collect(p.from.Records())
	}
	if !p.to.IsZero() {
		now = slices.Collect(p.to.Records())
	}
	d.Removed = append(d.Removed, without(old, now)...)
	d.Added = append(d.Added, without(now, old)...)
}

// without returns the records of a that are not in b.
func without(a, b []dns.Record) []dns.Record {
	if len(a) == 0 || len(b) == 0 {
		return a
	}
	in := make(map[recordKey]bool, len(b))
	for _, r := range b {
		in[keyOf(r)] = true
	}
	var out []dns.Record
	for _, r := range a {
		if !in[keyOf(r)] {
			out = append(out, r)
		}
	}
	return out
}

// recordKey is a record that can be compared.
type recordKey struct {
	name dns.Name
	typ  dns.Type
	ttl  uint32
	data string
}

func keyOf(r dns.Record) recordKey { return recordKey{r.Name, r.Type, r.TTL, string(r.Data)} }
