package qp

// Diff calls f for each name whose leaf is not the same in t of s and in u of
// r, with has telling on which sides the name is. Where the one was made from
// the other, it costs what the difference does. The order is not defined.
func Diff(s *Space, t *Trie, r *Space, u *Trie, f func(x, y Leaf, hasX, hasY bool)) {
	d := differ{s, r, f}
	switch a, b := t.root, u.root; {
	case a.ref != 0 && b.ref != 0:
		d.pair(a, b)
	case a.ref != 0:
		d.left(a)
	case b.ref != 0:
		d.right(b)
	}
}

type differ struct {
	s, r *Space
	f    func(x, y Leaf, hasX, hasY bool)
}

// pair compares two tries. A name that is in both is met in one pair, as its
// symbols lead the same way on both sides.
func (d *differ) pair(a, b cell) {
	if a == b && d.isOne(a) {
		return
	}
	switch {
	case !a.isBranch() && !b.isBranch():
		if equalNames(d.s.name(a.ref), d.r.name(b.ref)) {
			d.f(a.leaf(), b.leaf(), true, true)
			return
		}
		d.left(a)
		d.right(b)
	case a.isBranch() && b.isBranch() && a.offset() == b.offset():
		d.twigs(a, b)
	case b.isBranch() && (!a.isBranch() || b.offset() < a.offset()):
		sym := d.symbol(d.s, a, b.offset())
		d.split(d.r, b, sym, func(twig cell) { d.pair(a, twig) }, d.right, func() { d.left(a) })
	default:
		sym := d.symbol(d.r, b, a.offset())
		d.split(d.s, a, sym, func(twig cell) { d.pair(twig, b) }, d.left, func() { d.right(b) })
	}
}

// isOne reports whether the equal cells of both sides mean the same memory.
func (d *differ) isOne(c cell) bool {
	chunk := c.ref >> unitBits
	if c.isBranch() {
		return int(chunk) < len(d.s.cells) && int(chunk) < len(d.r.cells) && &d.s.cells[chunk][0] == &d.r.cells[chunk][0]
	}
	return int(chunk) < len(d.s.bytes) && int(chunk) < len(d.r.bytes) && &d.s.bytes[chunk][0] == &d.r.bytes[chunk][0]
}

// twigs compares branches that test the same position, symbol by symbol.
func (d *differ) twigs(a, b cell) {
	all := a.bitmap() | b.bitmap()
	for all != 0 {
		bit := all & -all
		all &^= bit
		switch inA, inB := a.word()&bit != 0, b.word()&bit != 0; {
		case inA && inB:
			d.pair(*d.s.twig(a, a.rank(bit)), *d.r.twig(b, b.rank(bit)))
		case inA:
			d.left(*d.s.twig(a, a.rank(bit)))
		default:
			d.right(*d.r.twig(b, b.rank(bit)))
		}
	}
}

// symbol returns the symbol at position off of all names below c, which test
// only later ones.
func (d *differ) symbol(s *Space, c cell, off int) uint8 {
	var k Key
	k.Set(s.name(s.first(c).ref))
	return k.at(off)
}

// split hands the twig of branch c for sym to same, the others to other, and
// calls none where there is no such twig.
func (d *differ) split(s *Space, c cell, sym uint8, same, other func(cell), none func()) {
	b := bit(sym)
	found := c.word()&b != 0
	for i, twig := range s.twigs(c) {
		if found && uint32(i) == c.rank(b) {
			same(twig)
		} else {
			other(twig)
		}
	}
	if !found {
		none()
	}
}

func (d *differ) left(c cell)  { each(d.s, c, func(l Leaf) { d.f(l, Leaf{}, true, false) }) }
func (d *differ) right(c cell) { each(d.r, c, func(l Leaf) { d.f(Leaf{}, l, false, true) }) }

func each(s *Space, c cell, f func(Leaf)) {
	if !c.isBranch() {
		f(c.leaf())
		return
	}
	for _, twig := range s.twigs(c) {
		each(s, twig, f)
	}
}
