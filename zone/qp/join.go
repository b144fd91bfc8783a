package qp

import "unsafe"

// octetsOf returns the memory of cells. A cell is three words without padding.
func octetsOf(c []cell) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(c))), len(c)*cellBytes)
}

// Join returns the trie of all names of a and of b, which all come behind those
// of a. Neither a nor b is changed; their cells become those of the result.
func (w *Writer) Join(a, b Trie) Trie {
	if a.n == 0 || b.n == 0 {
		return Trie{cmpCell(a.root, b.root), a.n + b.n}
	}
	var last, first Key
	last.Set(w.name(w.last(a.root).ref))
	first.Set(w.name(w.first(b.root).ref))
	at := first.differ(&last)
	j := join{w, at, bit(last.at(at)), bit(first.at(at))}
	return Trie{j.cells(a.root, b.root), a.n + b.n}
}

func cmpCell(a, b cell) cell {
	if a.ref != 0 {
		return a
	}
	return b
}

// join puts two tries together whose names differ at position at, or behind it
// from others of their own trie.
type join struct {
	w           *Writer
	at          int
	left, right uint64 // the symbols there
}

// cells goes down where both may have names with the same beginning: along the
// last twigs of a and the first ones of b.
func (j *join) cells(a, b cell) cell {
	offA, offB := maxKey, maxKey
	if a.isBranch() {
		offA = a.offset()
	}
	if b.isBranch() {
		offB = b.offset()
	}
	off := min(offA, offB)
	if off > j.at {
		return j.branch(j.at, j.left|j.right, []cell{a}, []cell{b})
	}
	left, right := []cell{a}, []cell{b}
	setA, setB := j.left, j.right
	if offA == off {
		left, setA = j.w.twigs(a), a.bitmap()
	}
	if offB == off {
		right, setB = j.w.twigs(b), b.bitmap()
	}
	if off == j.at {
		return j.branch(off, setA|setB, left, right)
	}
	// Above that position the last name of a and the first of b go the same way.
	mid := []cell{j.cells(left[len(left)-1], right[0])}
	set := uint64(0)
	if offA == off {
		set |= setA
	}
	if offB == off {
		set |= setB
	}
	return j.branch(off, set, left[:len(left)-1], mid, right[1:])
}

func (j *join) branch(off int, set uint64, parts ...[]cell) cell {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	ref, twigs := j.w.alloc(n)
	n = 0
	for _, p := range parts {
		n += copy(twigs[n:], p)
	}
	return branch(off, set, ref)
}

// Place returns where the leaf of rel is, for LeafAt and SetLeafAt. It is 0 where
// the trie has no other leaf. It is no more once the trie has been changed.
func (s *Space) Place(t *Trie, k *Key, rel []byte) (place uint32, ok bool) {
	k.Set(rel)
	c := t.root
	for c.isBranch() {
		b := bit(k.at(c.offset()))
		if c.word()&b == 0 {
			return 0, false
		}
		place = c.ref + c.rank(b)
		c = s.cells[place>>unitBits][place&unitMask]
	}
	return place, c.ref != 0 && equalNames(s.name(c.ref), rel)
}

// LeafAt returns the leaf at a place.
func (s *Space) LeafAt(place uint32) Leaf { return s.cells[place>>unitBits][place&unitMask].leaf() }

// SetLeafAt changes the leaf at a place, which must be one of a trie that this
// Writer or another one of its Pool has made.
func (w *Writer) SetLeafAt(place uint32, l Leaf) {
	w.cells[place>>unitBits][place&unitMask] = l.cell()
}

// WalkFrom returns a cursor over the name rel, which must be there, and all
// behind it.
func (s *Space) WalkFrom(t *Trie, k *Key, rel []byte) Cursor {
	k.Set(rel)
	cur := Cursor{s: s}
	c := t.root
	for c.isBranch() {
		b := bit(k.at(c.offset()))
		if c.word()&b == 0 {
			return Cursor{}
		}
		i := c.ref + c.rank(b)
		if end := c.ref + uint32(c.size()); i+1 < end {
			cur.stack = append(cur.stack, step{from: i + 1, to: end})
		}
		c = s.cells[i>>unitBits][i&unitMask]
	}
	if c.ref == 0 {
		return Cursor{}
	}
	cur.stack = append(cur.stack, step{0, 1, c})
	return cur
}
