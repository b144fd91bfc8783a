package pipeline

import (
	"iter"
	"slices"

	"onoma/dns"
	"onoma/zone"
)

// difference returns what turns the authors' records of one version into those of
// another, and how many records of to are not an author's. It goes over both, name by
// name, and remembers what differs: of a signed zone and one that is not yet, nearly
// every name does in what is not the authors'.
func (m maker) difference(from, to *zone.Version) (d zone.Delta, dropped int) {
	dropped = to.Stats().Records
	x, y := m.owners(from), m.owners(to)
	nextX, stopX := iter.Pull(x)
	defer stopX()
	nextY, stopY := iter.Pull(y)
	defer stopY()
	a, hasA := nextX()
	b, hasB := nextY()
	for hasA || hasB {
		order := 0
		switch {
		case !hasB:
			order = -1
		case !hasA:
			order = 1
		default:
			order = a[0].Name.Compare(b[0].Name)
		}
		var old, now []dns.Record
		if order <= 0 {
			old = a
		}
		if order >= 0 {
			now = b
			dropped -= len(b)
		}
		d.Removed = appendOthers(d.Removed, old, now)
		d.Added = appendOthers(d.Added, now, old)
		if order <= 0 {
			a, hasA = nextX()
		}
		if order >= 0 {
			b, hasB = nextY()
		}
	}
	return d, dropped
}

// owners yields the authors' records of v by owner. What it yields is good until the
// next one.
func (m maker) owners(v *zone.Version) iter.Seq[[]dns.Record] {
	return func(yield func([]dns.Record) bool) {
		var list []dns.Record
		for r := range m.spec.authoredOf(v) {
			if len(list) > 0 && !list[0].Name.Equal(r.Name) {
				if !yield(list) {
					return
				}
				list = list[:0]
			}
			list = append(list, r)
		}
		if len(list) > 0 {
			yield(list)
		}
	}
}

// appendOthers appends the records of a that are not among b, which are of the same
// owner. Both are in the same order, so that the same record is mostly at the same place.
func appendOthers(dst, a, b []dns.Record) []dns.Record {
	if len(a) == len(b) && slices.EqualFunc(a, b, isSameRecord) {
		return dst
	}
	in := make(map[string]bool, len(b))
	var key []byte
	for i := range b {
		key = appendKey(key[:0], &b[i])
		in[string(key)] = true
	}
	for i := range a {
		if key = appendKey(key[:0], &a[i]); !in[string(key)] {
			dst = append(dst, a[i])
		}
	}
	return dst
}

// isSameRecord reports whether records are the same, in the case of their letters too.
func isSameRecord(x, y dns.Record) bool {
	return x.Type == y.Type && x.TTL == y.TTL && x.Name == y.Name && string(x.Data) == string(y.Data)
}

// appendKey appends what isSameRecord compares.
func appendKey(dst []byte, r *dns.Record) []byte {
	dst = append(dst, byte(r.Type>>8), byte(r.Type), byte(r.TTL>>24), byte(r.TTL>>16), byte(r.TTL>>8), byte(r.TTL))
	dst = append(dst, r.Name.Wire()...)
	return append(dst, r.Data...)
}
