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

// newSharedInterner returns an interner that writes with w, and of which share
// makes others for the same sets, each for one goroutine.
func newSharedInterner(like *interner, w *qp.Writer) *interner {
	in := &interner{origin: like.origin, seed: like.seed, shards: new(internShards), w: w}
	for i := range in.shards {
		in.shards[i].interner = interner{origin: in.origin, seed: in.seed}
	}
	return in
}

// share returns an interner of the same sets that writes with w, another Writer
// of the same Pool.
func (in *interner) share(w *qp.Writer) *interner {
	other := *in
	other.w = w
	return &other
}

func (in *interner) internShared(b body, hash uint32) uint32 {
	s := &in.shards[hash>>26]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.internHashed(in.w, b, hash)
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
