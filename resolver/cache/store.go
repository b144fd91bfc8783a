package cache

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	bucketSlots  = 8
	headerWords  = 2
	posBits      = 48
	posMask      = 1<<posBits - 1
	bytesPerSlot = 128 // ring bytes for which one slot is provided
	minShard     = 64 << 10
	maxShards    = 256
	firstPos     = 8 // a slot of 0 is empty, so no entry stands at 0

	// maxReinsert bounds the entries that one put carries over: a cache in
	// which everything was hit still makes room in bounded time.
	maxReinsert = 16
)

// store maps keys to values, both short octet strings, within a fixed memory.
type store struct {
	seed   maphash.Seed
	shards []shard
	max    int    // longest value that is taken
	keep   uint32 // for how many seconds after its expiry an entry that was hit is carried over
}

// claimed is where the bits of a bucket begin that say that an entry's renewal
// was begun; below are those that say that it was hit.
const claimed = bucketSlots

// shard is a ring of entries and the table that finds them. An entry is
//
//	word 0: length of the key (12 bits), mark (4), length of the value (16), expiry (32)
//	word 1: hash of the key
//	the key, padded to words; the value, padded to words
//
// Positions count words from the shard's birth; position p is in words[p%len].
type shard struct {
	mu      sync.Mutex // for writers
	head    uint64     // where the next entry goes; under mu
	tail    atomic.Uint64
	words   []uint64        // atomic access only
	slots   []uint64        // atomic access only: 16 bits of the hash, 48 of position
	hit     []atomic.Uint32 // per bucket, one bit a slot for hits and one for claims
	scratch []uint64        // under mu
	_       [40]byte        // shards do not share a cache line
}

// head is word 0 of an entry. It is the one word of it that may change while
// readers look: the mark, and the expiry with it.
type head uint64

const (
	maxKeyLen = 1<<12 - 1
	maxMark   = 1<<4 - 1
)

func newHead(key, value []byte, mark uint8, expire uint32) head {
	return head(len(key)) | head(mark)<<12 | head(len(value))<<16 | head(expire)<<32
}

func (h head) keyLen() int    { return int(h & maxKeyLen) }
func (h head) mark() uint8    { return uint8(h >> 12 & maxMark) }
func (h head) valueLen() int  { return int(h >> 16 & 0xFFFF) }
func (h head) expire() uint32 { return uint32(h >> 32) }

// words is how many words the entry has.
func (h head) words() int { return headerWords + wordsFor(h.keyLen()) + wordsFor(h.valueLen()) }

// with returns h with another mark, and with expire where that is sooner.
func (h head) with(mark uint8, expire uint32) head {
	return h&(1<<32-1)&^(maxMark<<12) | head(mark)<<12 | head(min(h.expire(), expire))<<32
}

// newStore returns a store that uses size octets, little less and no more.
func newStore(size int) *store {
	n := 1
	for n < maxShards && size/(2*n) >= 4*minShard {
		n *= 2
	}
	per := max(size/n, minShard) / 8 // in words
	s := &store{seed: maphash.MakeSeed(), shards: make([]shard, n)}
	all := allocate(&s.shards[0], n*per)
	for i := range s.shards {
		s.shards[i].init(all[i*per : (i+1)*per])
	}
	s.max = min(8*per/4, 1<<16-1)
	return s
}

// init gives the shard its memory, of which the table takes one word in 16.
func (h *shard) init(words []uint64) {
	buckets := max(8*len(words)/(bucketSlots*bytesPerSlot), 1)
	slots := buckets * bucketSlots
	h.hit = make([]atomic.Uint32, buckets)
	h.slots, h.words = words[:slots], words[slots:]
	h.head = firstPos
	h.tail.Store(firstPos)
}

// hash returns the hash of key under the store's own seed, so that nobody
// outside can choose keys that collide.
func (s *store) hash(key []byte) uint64 { return maphash.Bytes(s.seed, key) }

func (s *store) shard(hash uint64) *shard { return &s.shards[hash>>40%uint64(len(s.shards))] }

// bucket returns the number of the first slot of the hash's bucket.
func (h *shard) bucket(hash uint64) int {
	return int(hash&0xFFFFFFFF*uint64(len(h.hit))>>32) * bucketSlots
}

func tagOf(hash uint64) uint64 { return hash >> posBits }

func wordsFor(n int) int { return (n + 7) / 8 }

// use is what get found of an entry's use.
type use uint32

// isDue reports whether the entry was hit before, and nobody renews it yet.
func (u use) isDue() bool { return u&1 != 0 && u&(1<<claimed) == 0 }

// get appends the value of key to dst. Its expiry is the caller's to judge: the
// store keeps an entry until it needs the room.
func (s *store) get(dst []byte, hash uint64, key []byte) (out []byte, e head, ok bool) {
	out, e, _, ok = s.getUse(dst, hash, key, true)
	return out, e, ok
}

// getUse is get that says how the entry was used before; it counts as use only if
// the caller wants that.
func (s *store) getUse(dst []byte, hash uint64, key []byte, counts bool) (out []byte, e head, u use, ok bool) {
	h := s.shard(hash)
	first := h.bucket(hash)
	for i := range bucketSlots {
		slot := atomic.LoadUint64(&h.slots[first+i])
		if slot>>posBits != tagOf(hash) || slot == 0 {
			continue
		}
		if out, e, ok = h.read(dst, slot&posMask, key); ok {
			bits := h.hit[first/bucketSlots].Load() >> i
			if bits&1 == 0 && counts {
				h.hit[first/bucketSlots].Or(1 << i)
			}
			return out, e, use(bits), true
		}
	}
	return dst, 0, 0, false
}

// claim reports whether the caller is the first that wants to renew key's entry.
func (s *store) claim(hash uint64, key []byte) bool {
	h := s.shard(hash)
	h.mu.Lock()
	defer h.mu.Unlock()
	i, ok := h.find(hash, key)
	if !ok {
		return false
	}
	bit := uint32(1) << (i%bucketSlots + claimed)
	return h.hit[i/bucketSlots].Or(bit)&bit == 0
}

// read appends the value of the entry at pos to dst if its key is key. What it
// reads may be overwritten meanwhile; then the tail has passed pos.
func (h *shard) read(dst []byte, pos uint64, key []byte) (out []byte, e head, ok bool) {
	c := h.at(pos)
	e = head(c.next())
	c.next() // the hash
	if e.keyLen() != len(key) || !c.equal(key) || pos < h.tail.Load() {
		return dst, 0, false
	}
	start := len(dst)
	dst = c.appendOctets(dst, e.valueLen())
	if pos < h.tail.Load() {
		return dst[:start], 0, false
	}
	return dst, e, true
}

// put stores an entry; it reports whether the value was short enough.
func (s *store) put(hash uint64, key, value []byte, mark uint8, now, expire uint32) bool {
	if len(value) > s.max || len(key) > min(s.max, maxKeyLen) {
		return false
	}
	h := s.shard(hash)
	h.mu.Lock()
	defer h.mu.Unlock()
	e := newHead(key, value, mark, expire)
	size := uint64(e.words())
	h.makeRoom(size, now-min(now, s.keep))
	pos := h.head
	c := h.at(pos)
	c.put(uint64(e))
	c.put(hash)
	c.putOctets(key)
	c.putOctets(value)
	h.head += size
	h.publish(hash, key, pos)
	return true
}

// mark marks the entry of key, and has it end at expire if not before, if its
// value is still value.
func (s *store) mark(hash uint64, key, value []byte, mark uint8, expire uint32) bool {
	h := s.shard(hash)
	h.mu.Lock()
	defer h.mu.Unlock()
	i, ok := h.find(hash, key)
	if !ok {
		return false
	}
	c := h.at(atomic.LoadUint64(&h.slots[i]) & posMask)
	word := c.step()
	e := head(atomic.LoadUint64(word))
	c.next() // the hash
	if e.valueLen() != len(value) || !c.equal(key) || !c.equal(value) {
		return false
	}
	atomic.StoreUint64(word, uint64(e.with(mark, expire)))
	return true
}

// unmark takes the marks off all entries.
func (s *store) unmark() {
	for i := range s.shards {
		s.shards[i].unmark()
	}
}

func (h *shard) unmark() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.slots {
		if slot := atomic.LoadUint64(&h.slots[i]); slot != 0 {
			c := h.at(slot & posMask)
			word := c.step()
			e := head(atomic.LoadUint64(word))
			atomic.StoreUint64(word, uint64(e.with(0, e.expire())))
		}
	}
}

// drop forgets key.
func (s *store) drop(hash uint64, key []byte) {
	h := s.shard(hash)
	h.mu.Lock()
	defer h.mu.Unlock()
	if i, ok := h.find(hash, key); ok {
		atomic.StoreUint64(&h.slots[i], 0)
	}
}

// dropFunc forgets every entry for which match is true, and returns how many.
// match must not keep the key; value appends the entry's value.
func (s *store) dropFunc(match func(key []byte, value func(dst []byte) []byte) bool) int {
	n := 0
	for i := range s.shards {
		n += s.shards[i].dropFunc(match)
	}
	return n
}

// dropAll forgets everything.
func (s *store) dropAll() int {
	return s.dropFunc(func([]byte, func([]byte) []byte) bool { return true })
}

func (h *shard) dropFunc(match func(key []byte, value func(dst []byte) []byte) bool) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	var key []byte
	var c cursor
	var e head
	value := func(dst []byte) []byte { return c.appendOctets(dst, e.valueLen()) }
	for i := range h.slots {
		slot := atomic.LoadUint64(&h.slots[i])
		if slot == 0 {
			continue
		}
		c = h.at(slot & posMask)
		e = head(c.next())
		c.next()
		if key = c.appendOctets(key[:0], e.keyLen()); match(key, value) {
			atomic.StoreUint64(&h.slots[i], 0)
			n++
		}
	}
	return n
}

// len counts the entries.
func (s *store) len() int {
	n := 0
	for i := range s.shards {
		for j := range s.shards[i].slots {
			if atomic.LoadUint64(&s.shards[i].slots[j]) != 0 {
				n++
			}
		}
	}
	return n
}

// makeRoom moves the tail until size words are free. What expired before oldest is
// not carried over.
func (h *shard) makeRoom(size uint64, oldest uint32) {
	carried := 0
	for h.head+size-h.tail.Load() > uint64(len(h.words)) {
		if h.evict(oldest, carried < maxReinsert) {
			carried++
		}
	}
}

// evict removes the entry at the tail. If it may, and the entry was hit since
// it was appended, it appends it anew and reports that.
func (h *shard) evict(oldest uint32, may bool) (carried bool) {
	pos := h.tail.Load()
	c := h.at(pos)
	e, hash := head(c.next()), c.next()
	size := e.words()
	i := h.slotAt(hash, pos)
	if i < 0 {
		h.tail.Store(pos + uint64(size)) // replaced or dropped long ago
		return false
	}
	bit := uint32(1) << (i % bucketSlots)
	hits := &h.hit[i/bucketSlots]
	carried = may && hits.Load()&bit != 0 && e.expire() > oldest
	hits.And(^bit)
	if !carried {
		atomic.StoreUint64(&h.slots[i], 0)
		h.tail.Store(pos + uint64(size))
		return false
	}
	h.scratch = append(h.scratch[:0], uint64(e), hash)
	for range size - headerWords {
		h.scratch = append(h.scratch, c.next())
	}
	h.tail.Store(pos + uint64(size))
	c = h.at(h.head)
	for _, w := range h.scratch {
		c.put(w)
	}
	atomic.StoreUint64(&h.slots[i], tagOf(hash)<<posBits|h.head&posMask)
	h.head += uint64(size)
	return true
}

// publish lets readers find the entry at pos, in the place of an older one of
// the same key, or in a free slot, or in that of the bucket's least deserving.
func (h *shard) publish(hash uint64, key []byte, pos uint64) {
	i, ok := h.find(hash, key)
	if !ok {
		i = h.victim(h.bucket(hash))
	}
	h.hit[i/bucketSlots].And(^(uint32(1|1<<claimed) << (i % bucketSlots)))
	atomic.StoreUint64(&h.slots[i], tagOf(hash)<<posBits|pos&posMask)
}

// find returns the slot that key has.
func (h *shard) find(hash uint64, key []byte) (int, bool) {
	first := h.bucket(hash)
	for i := first; i < first+bucketSlots; i++ {
		slot := atomic.LoadUint64(&h.slots[i])
		if slot == 0 || slot>>posBits != tagOf(hash) {
			continue
		}
		c := h.at(slot & posMask)
		e := head(c.next())
		c.next()
		if e.keyLen() == len(key) && c.equal(key) {
			return i, true
		}
	}
	return 0, false
}

// victim returns a free slot of the bucket, or the oldest without a hit, or
// the oldest.
func (h *shard) victim(first int) int {
	best, bestRank := first, uint64(1<<63)
	hits := h.hit[first/bucketSlots].Load()
	for i := range bucketSlots {
		slot := atomic.LoadUint64(&h.slots[first+i])
		if slot == 0 {
			return first + i
		}
		rank := slot & posMask
		if hits&(1<<i) != 0 {
			rank |= 1 << posBits
		}
		if rank < bestRank {
			best, bestRank = first+i, rank
		}
	}
	return best
}

// slotAt returns the slot that leads to pos, or -1.
func (h *shard) slotAt(hash, pos uint64) int {
	first := h.bucket(hash)
	for i := first; i < first+bucketSlots; i++ {
		if atomic.LoadUint64(&h.slots[i]) == tagOf(hash)<<posBits|pos&posMask {
			return i
		}
	}
	return -1
}

// cursor walks the words of a ring.
type cursor struct {
	words []uint64
	i     int
}

func (h *shard) at(pos uint64) cursor {
	return cursor{h.words, int(pos % uint64(len(h.words)))}
}

func (c *cursor) step() *uint64 {
	w := &c.words[c.i]
	if c.i++; c.i == len(c.words) {
		c.i = 0
	}
	return w
}

func (c *cursor) next() uint64 { return atomic.LoadUint64(c.step()) }
func (c *cursor) put(w uint64) { atomic.StoreUint64(c.step(), w) }

// equal compares the next octets with b, and moves behind them.
func (c *cursor) equal(b []byte) bool {
	for len(b) >= 8 {
		if c.next() != binary.LittleEndian.Uint64(b) {
			return false
		}
		b = b[8:]
	}
	return len(b) == 0 || c.next() == partial(b)
}

func (c *cursor) putOctets(b []byte) {
	for len(b) >= 8 {
		c.put(binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	if len(b) > 0 {
		c.put(partial(b))
	}
}

func (c *cursor) appendOctets(dst []byte, n int) []byte {
	dst = slices.Grow(dst, n)
	for ; n >= 8; n -= 8 {
		dst = binary.LittleEndian.AppendUint64(dst, c.next())
	}
	if n > 0 {
		for w := c.next(); n > 0; n-- {
			dst = append(dst, byte(w))
			w >>= 8
		}
	}
	return dst
}

// partial returns the word of fewer than 8 octets, padded with zeros.
func partial(b []byte) uint64 {
	var w uint64
	for i, c := range b {
		w |= uint64(c) << (8 * i)
	}
	return w
}
