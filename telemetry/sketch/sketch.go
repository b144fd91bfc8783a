// Package sketch finds the keys that come most often in a stream, in memory that does not grow: the Space-Saving
// algorithm of Metwally, Agrawal and El Abbadi (2005), and the merging of its summaries (Agarwal and others, 2012).
//
// With k counters and n keys seen, every key that came more than n/k times is in the summary, and no count is more than
// n/k too high nor any key's true count above the one told; each entry also tells how much of its own count may be too
// much. Merging keeps the bounds, with the sum of the n/k of what was merged. Keys are hashed with a secret seed, so that
// nobody can choose names that collide. A Sketch belongs to one goroutine; a Summary is immutable.
package sketch

import "hash/maphash"

// seed is secret and one for the process.
var seed = maphash.MakeSeed()

const none = ^uint16(0)

// MaxCounters is how many counters a Sketch may have.
const MaxCounters = 1 << 14

// Sketch counts keys of up to a fixed length; longer ones are cut to their last octets, which is where the labels that
// names share are.
type Sketch struct {
	width int
	n     uint64
	used  int
	slots []slot
	keys  []byte   // width octets for each slot
	heap  []uint16 // of slots, the smallest count first
	index []uint16 // open addressing by hash, twice as large as slots; none: empty
}

// slot is one counter.
type slot struct {
	hash   uint64
	count  uint64
	excess uint64 // of count, what may belong to keys that had the slot before
	at     uint16 // in heap
	length uint16
}

// New returns a Sketch of k counters for keys of up to width octets. k is a power of two, at most MaxCounters.
func New(k, width int) *Sketch {
	if k < 2 || k > MaxCounters || k&(k-1) != 0 {
		panic("sketch: the number of counters is not a power of two in bounds")
	}
	s := &Sketch{width: width, slots: make([]slot, k), keys: make([]byte, k*width), heap: make([]uint16, k), index: make([]uint16, 2*k)}
	s.Reset()
	return s
}

// Reset forgets everything.
func (s *Sketch) Reset() {
	s.n, s.used = 0, 0
	for i := range s.index {
		s.index[i] = none
	}
}

// Add counts key once. It allocates nothing.
func (s *Sketch) Add(key []byte) {
	if len(key) > s.width {
		key = key[len(key)-s.width:]
	}
	s.n++
	h := maphash.Bytes(seed, key)
	if i := s.find(h, key); i != none {
		s.slots[i].count++
		s.down(int(s.slots[i].at))
		return
	}
	if s.used < len(s.slots) {
		i := uint16(s.used)
		s.used++
		s.slots[i] = slot{count: 1, at: i}
		s.heap[i] = i
		s.put(i, h, key)
		s.up(int(i))
		return
	}
	// The rarest key gives its counter to the new one, which inherits its count as an error.
	i := s.heap[0]
	s.remove(i)
	c := &s.slots[i]
	c.excess = c.count
	c.count++
	s.put(i, h, key)
	s.down(0)
}

// key returns the key of slot i.
func (s *Sketch) key(i uint16) []byte {
	return s.keys[int(i)*s.width:][:s.slots[i].length]
}

// find returns the slot of key, or none.
func (s *Sketch) find(h uint64, key []byte) uint16 {
	mask := len(s.index) - 1
	for at := int(h) & mask; ; at = (at + 1) & mask {
		i := s.index[at]
		if i == none || s.slots[i].hash == h && string(s.key(i)) == string(key) {
			return i
		}
	}
}

// put gives slot i a key.
func (s *Sketch) put(i uint16, h uint64, key []byte) {
	s.slots[i].hash, s.slots[i].length = h, uint16(len(key))
	copy(s.keys[int(i)*s.width:], key)
	mask := len(s.index) - 1
	at := int(h) & mask
	for s.index[at] != none {
		at = (at + 1) & mask
	}
	s.index[at] = i
}

// remove takes slot i out of the index, and closes the gap so that no look-up ends in it too early.
func (s *Sketch) remove(i uint16) {
	mask := len(s.index) - 1
	gap := int(s.slots[i].hash) & mask
	for s.index[gap] != i {
		gap = (gap + 1) & mask
	}
	for at := (gap + 1) & mask; s.index[at] != none; at = (at + 1) & mask {
		home := int(s.slots[s.index[at]].hash) & mask
		if (at-home)&mask >= (at-gap)&mask {
			s.index[gap] = s.index[at]
			gap = at
		}
	}
	s.index[gap] = none
}

func (s *Sketch) less(a, b int) bool { return s.slots[s.heap[a]].count < s.slots[s.heap[b]].count }

func (s *Sketch) swap(a, b int) {
	s.heap[a], s.heap[b] = s.heap[b], s.heap[a]
	s.slots[s.heap[a]].at, s.slots[s.heap[b]].at = uint16(a), uint16(b)
}

func (s *Sketch) down(i int) {
	for {
		child := 2*i + 1
		if child >= s.used {
			return
		}
		if child+1 < s.used && s.less(child+1, child) {
			child++
		}
		if !s.less(child, i) {
			return
		}
		s.swap(i, child)
		i = child
	}
}

func (s *Sketch) up(i int) {
	for i > 0 && s.less(i, (i-1)/2) {
		s.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}
