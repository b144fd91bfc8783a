package qp

// Floor returns the last leaf at or before the name rel, and whether it is that
// name; with before, the last leaf before it. It reports false where there is none.
func (s *Space) Floor(t *Trie, k *Key, rel []byte, before bool) (l Leaf, exact, ok bool) {
	k.Set(rel)
	near := s.nearest(t, k)
	if near.ref == 0 {
		return Leaf{}, false, false
	}
	if equalNames(s.name(near.ref), rel) {
		if !before {
			return near.leaf(), true, true
		}
		l, ok = s.floor(t, k, maxKey, false)
		return l, false, ok
	}
	var other Key
	other.Set(s.name(near.ref))
	at := k.differ(&other)
	l, ok = s.floor(t, k, at, other.at(at) < k.at(at))
	return l, false, ok
}

// floor descends along k up to position at, where k leaves the trie. What is
// there goes on with another symbol: a lower one, with lower set.
func (s *Space) floor(t *Trie, k *Key, at int, lower bool) (Leaf, bool) {
	var best cell
	c := t.root
	for c.isBranch() && c.offset() <= at {
		b := bit(k.at(c.offset()))
		r := c.rank(b)
		if r > 0 {
			best = *s.twig(c, r-1)
		}
		if c.offset() == at {
			return s.lastOf(best)
		}
		c = *s.twig(c, r)
	}
	if lower {
		best = c
	}
	return s.lastOf(best)
}

func (s *Space) lastOf(c cell) (Leaf, bool) {
	c = s.last(c)
	return c.leaf(), c.ref != 0
}

// Last returns the last leaf of t.
func (s *Space) Last(t *Trie) (Leaf, bool) { return s.lastOf(t.root) }

// Cursor walks over leaves in canonical order.
type Cursor struct {
	s     *Space
	stack []step
}

// step is twigs still to be visited, from the first to behind the last.
type step struct {
	from, to uint32
	one      cell // where it is a single cell, from being 0 and to 1
}

// Walk returns a cursor over all of t.
func (s *Space) Walk(t *Trie) Cursor { return s.walk(t.root) }

func (s *Space) walk(root cell) Cursor {
	c := Cursor{s: s}
	if root.ref != 0 {
		c.stack = append(make([]step, 0, 16), step{0, 1, root})
	}
	return c
}

// WalkBelow returns a cursor over the name rel, if it is there, and all below it.
func (s *Space) WalkBelow(t *Trie, k *Key, rel []byte) Cursor {
	k.Set(rel)
	c := t.root
	for c.isBranch() && c.offset() < k.n {
		b := bit(k.at(c.offset()))
		if c.word()&b == 0 {
			return Cursor{}
		}
		c = *s.twig(c, c.rank(b))
	}
	if c.ref == 0 {
		return Cursor{}
	}
	if n, _ := commonLabels(k, s.name(s.first(c).ref), rel); n < k.labels {
		return Cursor{}
	}
	return s.walk(c)
}

// Next returns the next leaf, and false behind the last one.
func (c *Cursor) Next() (Leaf, bool) {
	for len(c.stack) > 0 {
		top := &c.stack[len(c.stack)-1]
		next := top.one
		if next.ref == 0 {
			next = c.s.cells[top.from>>unitBits][top.from&unitMask]
		}
		if top.from++; top.from == top.to {
			c.stack = c.stack[:len(c.stack)-1]
		}
		if !next.isBranch() {
			return next.leaf(), true
		}
		c.stack = append(c.stack, step{from: next.ref, to: next.ref + uint32(next.size())})
	}
	return Leaf{}, false
}

// HasBelow reports whether there are names below rel, itself not counted.
func (s *Space) HasBelow(t *Trie, k *Key, rel []byte) bool {
	c := s.WalkBelow(t, k, rel)
	l, ok := c.Next()
	if ok && len(s.Name(l)) == len(rel) {
		_, ok = c.Next()
	}
	return ok
}

// WalkAfter returns a cursor over all leaves behind the name rel; with past, those
// below rel are left out too.
func (s *Space) WalkAfter(t *Trie, k *Key, rel []byte, past bool) Cursor {
	k.Set(rel)
	near := s.nearest(t, k)
	if near.ref == 0 {
		return Cursor{}
	}
	at, higher := maxKey, false // where k leaves the trie, and whether what is there comes behind it
	if !equalNames(s.name(near.ref), rel) {
		var other Key
		other.Set(s.name(near.ref))
		at = k.differ(&other)
		higher = other.at(at) > k.at(at)
		if at >= k.n {
			higher = !past // names below rel, which is not there itself
		}
	}
	if past {
		at = min(at, k.n)
	}
	return s.walkBehind(t, k, at, higher)
}

// walkBehind descends along k up to position at, and returns a cursor over what
// lies behind the way; what is at its end too, with higher set.
func (s *Space) walkBehind(t *Trie, k *Key, at int, higher bool) Cursor {
	w := Cursor{s: s, stack: make([]step, 0, 16)}
	c := t.root
	for c.isBranch() && c.offset() <= at {
		if c.offset() == at && at >= k.n {
			break // all below k
		}
		b := bit(k.at(c.offset()))
		r := c.rank(b)
		next := r
		if c.word()&b != 0 {
			next++
		}
		if n := uint32(c.size()); next < n {
			w.stack = append(w.stack, step{from: c.ref + next, to: c.ref + n})
		}
		if c.word()&b == 0 {
			return w
		}
		c = *s.twig(c, r)
	}
	if higher && c.ref != 0 {
		w.stack = append(w.stack, step{0, 1, c})
	}
	return w
}
