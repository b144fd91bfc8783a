package qp

import (
	"errors"
	"math"
	"slices"
)

// ErrFull says that a Space has no references left: more than 4 billion cells,
// or 16 GiB of octet strings.
var ErrFull = errors.New("zone is too large for its 32-bit references")

// Writer makes new tries in a copy of a Space. What the Space had before stays
// as it is: cells are copied before they change, once per Writer.
type Writer struct {
	Space
	ownCells []uint32 // per chunk that was there before: its cells from here on are the Writer's
	live     int      // octets in use at the start: what sizes new chunks
	hint     int      // expected cells to come, 0 for not known
	err      error    // ErrFull, for good

	pool      *Pool // nil, or what it shares the Space with, and the chunks that it fills
	openBytes []byte
	openCells []cell
	atBytes   uint32
	atCells   uint32
	filled    []filled
	passing   bool // its octets may be dropped at the end
}

// NewWriter returns a Writer for a copy of s. With extend the free rest of s's
// last chunks is used: the caller sees to it that no other Writer does so too.
func NewWriter(s *Space, extend bool) *Writer {
	w := &Writer{Space: Space{cells: slices.Clone(s.cells), bytes: slices.Clone(s.bytes)}}
	for _, c := range s.cells {
		w.ownCells = append(w.ownCells, uint32(len(c)))
	}
	if !extend {
		w.seal()
	}
	_, w.live = s.Size()
	return w
}

// seal takes away the free rest of the last chunks, for good: it may be in use
// by another Space.
func (w *Writer) seal() {
	if n := len(w.cells); n > 0 {
		w.cells[n-1] = slices.Clip(w.cells[n-1])
	}
	if n := len(w.bytes); n > 0 {
		w.bytes[n-1] = slices.Clip(w.bytes[n-1])
	}
}

// Expect tells the Writer about how many cells will come.
func (w *Writer) Expect(cells int) { w.hint = cells }

// Err returns ErrFull once the Space has become too large. All that is written
// after that is lost.
func (w *Writer) Err() error { return w.err }

// Written returns how many octets have been allocated, those of the Space it
// began with included.
func (w *Writer) Written() int { return w.live }

// Finish returns what has been written, to be read from now on. The Writer must
// not be used any more, other than by NewWriter with extend on the result.
func (w *Writer) Finish() Space { return w.Space }

// Trim gives back the free rest of the last chunks.
func (w *Writer) Trim() {
	if n := len(w.cells); n > 0 {
		w.cells[n-1] = append(make([]cell, 0, len(w.cells[n-1])), w.cells[n-1]...)
	}
	if n := len(w.bytes); n > 0 {
		w.bytes[n-1] = append(make([]byte, 0, len(w.bytes[n-1])), w.bytes[n-1]...)
	}
}

// Alloc returns n fresh octets and their reference. They may hold anything and
// may be written until Finish.
func (w *Writer) Alloc(n int) (uint32, []byte) {
	n = (n + octetUnit - 1) &^ (octetUnit - 1)
	if w.pool != nil {
		return w.poolBytes(n)
	}
	last := len(w.bytes) - 1
	if last < 0 || len(w.bytes[last])+n > cap(w.bytes[last]) {
		if last+1 == maxChunks {
			w.err = ErrFull
			return 0, make([]byte, n)
		}
		// Large enough that chunks are few, small enough that a small zone stays small.
		size := max(n, min(chunkBytes, max(leastBytes, w.live/4&^(octetUnit-1))))
		if last < 0 {
			size = max(n+octetUnit, firstBytes)
		}
		w.bytes = append(w.bytes, make([]byte, 0, size))
		last++
		if last == 0 { // reference 0 is none
			w.bytes[0] = w.bytes[0][:octetUnit]
		}
	}
	chunk := w.bytes[last]
	at := len(chunk)
	w.bytes[last] = chunk[:at+n]
	w.live += n
	return uint32(last)<<unitBits | uint32(at/octetUnit), w.bytes[last][at : at+n : at+n]
}

// alloc returns n fresh cells side by side, and the reference of the first.
func (w *Writer) alloc(n int) (uint32, []cell) {
	if w.pool != nil {
		return w.poolCells(n)
	}
	last := len(w.cells) - 1
	if last < 0 || len(w.cells[last])+n > cap(w.cells[last]) {
		if last+1 == maxChunks {
			w.err = ErrFull
			return 0, make([]cell, n)
		}
		size := w.hint
		if size == 0 {
			size = max(leastCells, w.live/4/cellBytes)
		}
		size = max(n+1, min(size, chunkCells))
		w.cells = append(w.cells, make([]cell, 0, size))
		last++
		if last == 0 { // reference 0 is none
			w.cells[0] = w.cells[0][:1]
		}
	}
	chunk := w.cells[last]
	at := len(chunk)
	w.cells[last] = chunk[:at+n]
	w.live += n * cellBytes
	return uint32(last)<<unitBits | uint32(at), w.cells[last][at : at+n : at+n]
}

// own returns the twigs of the branch b to be written, copied if need be.
func (w *Writer) own(b *cell) []cell {
	twigs := w.twigs(*b)
	chunk := int(b.ref >> unitBits)
	if chunk >= len(w.ownCells) || b.ref&unitMask >= w.ownCells[chunk] {
		return twigs
	}
	ref, fresh := w.alloc(len(twigs))
	copy(fresh, twigs)
	b.ref = ref
	return fresh
}

// Put makes l the leaf of the name that its octet string begins with.
func (w *Writer) Put(t *Trie, k *Key, l Leaf) {
	if w.err != nil {
		return
	}
	name := w.name(l.Ref)
	k.Set(name)
	near := w.nearest(t, k)
	switch {
	case near.ref == 0:
		t.root = l.cell()
		t.n++
		return
	case equalNames(w.name(near.ref), name):
		*w.descend(t, k, math.MaxInt) = l.cell()
		return
	}
	var other Key
	other.Set(w.name(near.ref))
	at := k.differ(&other)
	c := w.descend(t, k, at)
	if c.isBranch() && c.offset() == at {
		w.grow(c, bit(k.at(at)), l.cell())
	} else {
		w.fork(c, at, k.at(at), other.at(at), l.cell())
	}
	t.n++
}

// descend goes along k to its leaf or to the first branch at or behind position
// at, and returns that cell to be changed: everything on the way is the Writer's.
func (w *Writer) descend(t *Trie, k *Key, at int) *cell {
	c := &t.root
	for c.isBranch() && c.offset() < at {
		twigs := w.own(c)
		c = &twigs[c.rank(bit(k.at(c.offset())))]
	}
	return c
}

// grow gives the branch c one more twig.
func (w *Writer) grow(c *cell, b uint64, twig cell) {
	old, r := w.twigs(*c), c.rank(b)
	ref, twigs := w.alloc(len(old) + 1)
	copy(twigs, old[:r])
	twigs[r] = twig
	copy(twigs[r+1:], old[r:])
	*c = branch(c.offset(), c.bitmap()|b, ref)
}

// fork puts a new branch in c's place, with c under the symbol there and twig
// under the symbol sym.
func (w *Writer) fork(c *cell, at int, sym, there uint8, twig cell) {
	ref, twigs := w.alloc(2)
	if sym < there {
		twigs[0], twigs[1] = twig, *c
	} else {
		twigs[0], twigs[1] = *c, twig
	}
	*c = branch(at, bit(sym)|bit(there), ref)
}

// Delete removes the name rel and reports whether it was there.
func (w *Writer) Delete(t *Trie, k *Key, rel []byte) bool {
	if _, ok := w.Find(t, k, rel); !ok || w.err != nil {
		return false
	}
	t.n--
	if !t.root.isBranch() {
		t.root = cell{}
		return true
	}
	c := &t.root
	for {
		b := bit(k.at(c.offset()))
		if !w.twig(*c, c.rank(b)).isBranch() {
			w.shrink(c, b)
			return true
		}
		twigs := w.own(c)
		c = &twigs[c.rank(b)]
	}
}

// shrink takes the twig of bit b from the branch c, and puts the last one left
// in c's place.
func (w *Writer) shrink(c *cell, b uint64) {
	old, r := w.twigs(*c), c.rank(b)
	if len(old) == 2 {
		*c = old[1-r]
		return
	}
	ref, twigs := w.alloc(len(old) - 1)
	copy(twigs, old[:r])
	copy(twigs[r:], old[r+1:])
	*c = branch(c.offset(), c.bitmap()&^b, ref)
}
