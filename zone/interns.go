package zone

import (
	"sync"
	"sync/atomic"

	"onoma/zone/qp"
)

// internShards are tables for sets that several goroutines look up at the same
// time. Which one a set belongs to follows from its hash. Who finds a set takes no
// lock; who adds one takes that of its shard.
type internShards [64]internShard

type internShard struct {
	table atomic.Pointer[[]atomic.Uint64] // open addressing, a power of two long: hash and reference
	mu    sync.Mutex                      // of what follows, and held by who changes table
	n     int
	fresh []uint32
	_     [24]byte // each its own cache line
}

// laterSet is a set to be looked up later, and where its reference goes.
type laterSet struct {
	at         []byte
	from, to   int // in later.buf: its rdata
	ttl, count uint32
	hash       uint32
	near       uint64 // what the table has in the first place for it
}

// later is sets to be looked up together, so that the memory of one need not be
// waited for before that of the next is asked for.
type later struct {
	sets  []laterSet
	buf   []byte
	touch byte
}

const laterMost = 64

// newSharedInterner returns an interner that writes with w, and of which share
// makes others for the same sets, each for one goroutine.
func newSharedInterner(like *interner, w *qp.Writer) *interner {
	return &interner{origin: like.origin, seed: like.seed, shards: new(internShards), w: w}
}

// share returns an interner of the same sets that writes with w, another Writer
// of the same Pool.
func (in *interner) share(w *qp.Writer) *interner {
	return &interner{origin: in.origin, seed: in.seed, shards: in.shards, w: w}
}

// putLater puts the reference of the shared block with the NS set b at the start of
// at, which is within the Space, by the time of the next settle.
func (in *interner) putLater(b body, at []byte) {
	l := &in.later
	if len(l.sets) == laterMost {
		in.settle()
	}
	from := len(l.buf)
	l.buf = append(l.buf, b.packed...)
	l.sets = append(l.sets, laterSet{at: at[:4:4], from: from, to: len(l.buf), ttl: b.ttl, count: b.count, hash: in.hash(b)})
}

// settle looks up what putLater has put off. The first two loops are for the
// processor, which waits for all of their memory at the same time.
func (in *interner) settle() {
	l := &in.later
	for i := range l.sets {
		s := &l.sets[i]
		if t := in.shards[s.hash>>26].table.Load(); t != nil {
			s.near = (*t)[int(s.hash)&(len(*t)-1)].Load()
		}
	}
	for i := range l.sets {
		if s := &l.sets[i]; s.near != 0 && uint32(s.near>>32) == s.hash {
			l.touch += in.w.At(uint32(s.near))[0]
		}
	}
	for i := range l.sets {
		s := &l.sets[i]
		b := body{s.ttl, s.count, l.buf[s.from:s.to]}
		le.PutUint32(s.at, in.internShared(b, s.hash))
		s.at = nil
	}
	l.sets, l.buf = l.sets[:0], l.buf[:0]
}

func (in *interner) internShared(b body, hash uint32) uint32 {
	s := &in.shards[hash>>26]
	if ref, _, ok := s.find(in.w, b, hash); ok {
		return ref
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ref, at, ok := s.find(in.w, b, hash) // somebody may have been quicker
	if ok {
		return ref
	}
	if at == nil || 4*s.n >= 3*len(*s.table.Load()) {
		s.grow()
		_, at, _ = s.find(in.w, b, hash)
	}
	ref, hosts := in.write(in.w, b)
	if hosts {
		s.fresh = append(s.fresh, ref)
	}
	s.n++
	at.Store(uint64(hash)<<32 | uint64(ref))
	return ref
}

// find returns the reference of the block with the set b, or else where it
// belongs in the table, nil before there is one.
func (s *internShard) find(w *qp.Writer, b body, hash uint32) (ref uint32, at *atomic.Uint64, ok bool) {
	t := s.table.Load()
	if t == nil {
		return 0, nil, false
	}
	for i := int(hash); ; i++ {
		at = &(*t)[i&(len(*t)-1)]
		e := at.Load()
		if e == 0 {
			return 0, at, false
		}
		if uint32(e>>32) == hash && sameShared(w.At(uint32(e)), b) {
			return uint32(e), at, true
		}
	}
}

// grow makes a table of twice the size. Who still looks into the old one finds
// what it has, and asks again with the lock for what it has not.
func (s *internShard) grow() {
	old := []atomic.Uint64(nil)
	if t := s.table.Load(); t != nil {
		old = *t
	}
	table := make([]atomic.Uint64, max(64, 2*len(old)))
	for i := range old {
		e := old[i].Load()
		if e == 0 {
			continue
		}
		at := int(uint32(e >> 32))
		for table[at&(len(table)-1)].Load() != 0 {
			at++
		}
		table[at&(len(table)-1)].Store(e)
	}
	s.table.Store(&table)
}

// blocks returns all shared blocks.
func (in *interner) blocks() []uint32 {
	refs := make([]uint32, 0, in.n)
	for _, slot := range in.table {
		if slot.ref != 0 {
			refs = append(refs, slot.ref)
		}
	}
	if in.shards == nil {
		return refs
	}
	for i := range in.shards {
		if t := in.shards[i].table.Load(); t != nil {
			for k := range *t {
				if e := (*t)[k].Load(); e != 0 {
					refs = append(refs, uint32(e))
				}
			}
		}
	}
	return refs
}

// takeFreshShared is takeFresh for sets of shards.
func (in *interner) takeFreshShared() (fresh []uint32) {
	for i := range in.shards {
		fresh = append(fresh, in.shards[i].fresh...)
		in.shards[i].fresh = nil
	}
	return fresh
}
