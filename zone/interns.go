package zone

import (
	"sync"

	"onoma/zone/qp"
)

// internShards are tables for sets that several goroutines look up at the same
// time. Which one a set belongs to follows from its hash.
type internShards [64]internShard

type internShard struct {
	mu sync.Mutex
	interner
	_ [32]byte // locks of two shards do not share a cache line
}

// newSharedInterner returns an interner whose method intern may be called by
// several goroutines, each with its own Writer of one Pool.
func newSharedInterner(like *interner) *interner {
	in := &interner{origin: like.origin, seed: like.seed, shards: new(internShards)}
	for i := range in.shards {
		in.shards[i].interner = interner{origin: in.origin, seed: in.seed}
	}
	return in
}

func (in *interner) internShared(w *qp.Writer, b body, hash uint32) uint32 {
	s := &in.shards[hash>>26]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.internHashed(w, b, hash)
}

// blocks returns all shared blocks.
func (in *interner) blocks() (refs []uint32) {
	if in.shards != nil {
		for i := range in.shards {
			refs = append(refs, in.shards[i].blocks()...)
		}
		return refs
	}
	refs = make([]uint32, 0, in.n)
	for _, slot := range in.table {
		if slot.ref != 0 {
			refs = append(refs, slot.ref)
		}
	}
	return refs
}
