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

// Places finds the leafs of several names at the same time, so that the memory
// of one need not be waited for before that of the next is asked for.
type Places struct {
	keys  [8]Key
	cells [8]cell
}

// Find puts into places where the leafs of names are, for LeafAt and SetLeafAt: 0
// for one that is not there, or where the trie has no other leaf. It takes as
// many names as there are keys. The places are none any more once the trie has
// been changed.
func (p *Places) Find(s *Space, t *Trie, names [][]byte, places []uint32) {
	for i, rel := range names {
		p.keys[i].Set(rel)
		p.cells[i], places[i] = t.root, 0
	}
	for more := t.root.isBranch(); more; {
		more = false
		for i := range names {
			c := p.cells[i]
			if !c.isBranch() {
				continue
			}
			b := bit(p.keys[i].at(c.offset()))
			if c.word()&b == 0 {
				p.cells[i] = cell{}
				continue
			}
			places[i] = c.ref + c.rank(b)
			p.cells[i] = s.cells[places[i]>>unitBits][places[i]&unitMask]
			more = true
		}
	}
	for i, rel := range names {
		if c := p.cells[i]; c.ref == 0 || !equalNames(s.name(c.ref), rel) {
			places[i] = 0
		}
	}
}

// MostPlaces is how many names Places finds at the same time.
const MostPlaces = 8

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
