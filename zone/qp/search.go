package qp

// Search is the scratch and the result of a descent.
type Search struct {
	Key   Key
	Leaf  Leaf // what was found
	Depth int  // labels of its name
	Exact bool // it is the name itself
	Stop  bool // the descent ended at it for its flags

	n     int
	above [maxLabels + 1]candidate
}

// candidate is a leaf that ends where one of the name's labels ends. Whether it
// is an ancestor shows when its name has been compared: tries skip symbols.
type candidate struct {
	leaf  cell
	depth int
}

// Find returns the leaf of rel.
func (s *Space) Find(t *Trie, k *Key, rel []byte) (Leaf, bool) {
	k.Set(rel)
	c := s.nearest(t, k)
	if c.ref == 0 || !equalNames(s.name(c.ref), rel) {
		return Leaf{}, false
	}
	return c.leaf(), true
}

// nearest returns a leaf whose key has as long a beginning in common with k as
// any, and the zero cell of an empty trie.
func (s *Space) nearest(t *Trie, k *Key) cell {
	c := t.root
	for c.isBranch() {
		b := bit(k.at(c.offset()))
		if c.word()&b == 0 {
			return s.first(c)
		}
		c = *s.twig(c, c.rank(b))
	}
	return c
}

func (s *Space) first(c cell) cell {
	for c.isBranch() {
		c = *s.twig(c, 0)
	}
	return c
}

func (s *Space) last(c cell) cell {
	for c.isBranch() {
		c = *s.twig(c, uint32(c.size()-1))
	}
	return c
}

// Lookup finds, in one descent, the leaf of rel or else that of its deepest
// ancestor; but where an ancestor has one of the flags of stop, the topmost such
// ancestor. It wants a trie in which every ancestor of a name is a name.
// It reports false where not even the top is there.
func (s *Space) Lookup(t *Trie, q *Search, rel []byte, stop uint32) bool {
	k := &q.Key
	k.Set(rel)
	q.n, q.Exact, q.Stop = 0, false, false
	stop <<= 1 // as flags lie in a cell
	depth := 0
	c := t.root
	for c.isBranch() {
		off := c.offset()
		if c.a&uint32(bit(sep)) != 0 {
			for depth < k.labels && int(k.ends[depth]) < off {
				depth++
			}
			if int(k.ends[depth]) == off && depth < k.labels && s.passes(q, c, depth, rel, stop) {
				return true
			}
		}
		b := bit(k.at(off))
		if c.word()&b == 0 {
			c = s.first(c)
			break
		}
		c = *s.twig(c, c.rank(b))
	}
	if c.ref == 0 {
		return false
	}
	return s.arrive(q, c, rel, stop)
}

// passes notes the first twig of c as a candidate, and reports whether the
// descent ends with it.
func (s *Space) passes(q *Search, c cell, depth int, rel []byte, stop uint32) bool {
	leaf := *s.twig(c, 0)
	if leaf.isBranch() {
		return false
	}
	if leaf.a&stop != 0 && equalNames(s.name(leaf.ref), rel[q.Key.offs[depth]:]) {
		q.Leaf, q.Depth, q.Stop = leaf.leaf(), depth, true
		return true
	}
	q.above[q.n] = candidate{leaf, depth}
	q.n++
	return false
}

// arrive settles the search at the leaf that the descent led to.
func (s *Space) arrive(q *Search, c cell, rel []byte, stop uint32) bool {
	name := s.name(c.ref)
	if equalNames(name, rel) {
		q.Leaf, q.Depth, q.Exact = c.leaf(), q.Key.labels, true
		return true
	}
	common, all := commonLabels(&q.Key, name, rel)
	if all { // the leaf's name is itself an ancestor
		q.Leaf, q.Depth, q.Stop = c.leaf(), common, c.a&stop != 0
		return true
	}
	for q.n > 0 {
		q.n--
		if a := &q.above[q.n]; a.depth <= common {
			q.Leaf, q.Depth = a.leaf.leaf(), a.depth
			return true
		}
	}
	return false
}

// commonLabels counts the topmost labels that name shares with rel, whose key
// is k, and reports whether those are all that name has.
func commonLabels(k *Key, name, rel []byte) (n int, all bool) {
	var offs [maxLabels + 1]uint8
	labels := 0
	for i := 0; i < len(name); i += int(name[i]) + 1 {
		offs[labels] = uint8(i)
		labels++
	}
	for n < labels && n < k.labels {
		a, b := int(offs[labels-1-n]), int(k.offs[n+1])
		if name[a] != rel[b] || !equalNames(name[a+1:a+1+int(name[a])], rel[b+1:b+1+int(rel[b])]) {
			break
		}
		n++
	}
	return n, n == labels
}

// equalNames reports whether a and b are the same, letters' case ignored.
func equalNames(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	if string(a) == string(b) {
		return true
	}
	for i, c := range a {
		if c != b[i] && symbols[c] != symbols[b[i]] {
			return false
		}
	}
	return true
}
