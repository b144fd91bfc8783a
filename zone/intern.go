package zone

import (
	"bytes"
	"hash/maphash"

	"onoma/dns"
	"onoma/zone/qp"
)

// interner finds the shared block of an RRset among those that a Space has. It
// belongs to whoever writes to the Space: a Builder, then one Editor at a time.
type interner struct {
	origin []byte // in wire form: targets at or below it get host numbers
	seed   maphash.Seed
	table  []internSlot // open addressing, a power of two long
	n      int
	fresh  []uint32      // blocks made since the last call of takeFresh
	shards *internShards // nil, or what is used instead of table and fresh
	w      *qp.Writer    // with shards: what writes the blocks, apart from entries
	later  later         // with shards
}

type internSlot struct{ hash, ref uint32 }

func newInterner(origin dns.Name) *interner {
	return &interner{origin: []byte(origin.Wire()), seed: maphash.MakeSeed()}
}

// interner returns one that knows the given shared blocks of v.
func (v *Version) interner(blocks []uint32) *interner {
	in := newInterner(v.origin)
	for _, ref := range blocks {
		in.learn(&v.sp, ref)
	}
	return in
}

// learn enters the shared block at ref.
func (in *interner) learn(s *qp.Space, ref uint32) {
	if 4*in.n >= 3*len(in.table) {
		in.grow()
	}
	b, _, _ := readShared(s.At(ref))
	in.put(internSlot{in.hash(b), ref})
	in.n++
}

// intern returns the reference of the shared block with the NS set b.
func (in *interner) intern(w *qp.Writer, b body) uint32 {
	hash := in.hash(b)
	if 4*in.n >= 3*len(in.table) {
		in.grow()
	}
	for i := hash; ; i++ {
		slot := &in.table[i&uint32(len(in.table)-1)]
		if slot.ref == 0 {
			slot.hash, slot.ref = hash, in.make(w, b)
			in.n++
			return slot.ref
		}
		if slot.hash == hash && sameShared(w.At(slot.ref), b) {
			return slot.ref
		}
	}
}

func (in *interner) hash(b body) uint32 {
	h := maphash.Bytes(in.seed, b.packed)
	return uint32(h>>32) ^ uint32(h) ^ b.ttl*0x9E3779B1
}

// sameShared compares octets: sets that differ in case are two, so that each
// name is served as it was written.
func sameShared(block []byte, b body) bool {
	s, _, _ := readShared(block)
	return s.ttl == b.ttl && s.count == b.count && bytes.Equal(s.packed, b.packed)
}

func (in *interner) grow() {
	old := in.table
	in.table = make([]internSlot, max(8, 2*len(old)))
	for _, s := range old {
		if s.ref != 0 {
			in.put(s)
		}
	}
}

// put enters a slot that is not there yet, the table having room.
func (in *interner) put(s internSlot) {
	i := s.hash
	for in.table[i&uint32(len(in.table)-1)].ref != 0 {
		i++
	}
	in.table[i&uint32(len(in.table)-1)] = s
}

// make writes a new shared block, but not yet its host numbers.
func (in *interner) make(w *qp.Writer, b body) uint32 {
	ref, hosts := in.write(w, b)
	if hosts {
		in.fresh = append(in.fresh, ref)
	}
	return ref
}

// write writes a shared block and reports whether it is to have host numbers.
func (in *interner) write(w *qp.Writer, b body) (ref uint32, hosts bool) {
	size, form := 1+b.size(), 0
	if b.isWide() {
		form |= formWide
	}
	if hosts = in.leadsInside(b); hosts {
		form |= formHosts
		size += 4 * int(b.count)
	}
	ref, block := w.Alloc(size)
	block[0] = byte(form)
	b.write(block[1:])
	return ref, hosts
}

// leadsInside reports whether a target of the NS set lies in the zone.
func (in *interner) leadsInside(b body) bool {
	for off := 0; off < len(b.packed); {
		var target []byte
		target, off = rdataAt(b.packed, off)
		if dns.IsSubdomain(target, in.origin) {
			return true
		}
	}
	return false
}

// takeFresh returns the blocks that are to be given their host numbers.
func (in *interner) takeFresh() []uint32 {
	fresh := in.fresh
	in.fresh = nil
	return fresh
}

// visible returns a copy of the interner with those blocks only that s has.
func (in *interner) visible(s *qp.Space) *interner {
	out := &interner{origin: in.origin, seed: in.seed, table: make([]internSlot, len(in.table))}
	for _, slot := range in.table {
		if slot.ref != 0 && s.Has(slot.ref) {
			out.put(slot)
			out.n++
		}
	}
	return out
}
