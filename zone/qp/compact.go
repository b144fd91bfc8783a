package qp

// Update calls f for every leaf of t in order and puts what it returns in the
// leaf's place. Only what changes is copied.
func (w *Writer) Update(t *Trie, f func(Leaf) Leaf) {
	t.root = w.rewrite(t.root, nil, f)
}

// Move is Update that copies the cells of the condemned chunks too, so that
// nothing refers to those any more. With a nil list all cells are copied.
func (w *Writer) Move(t *Trie, condemned []bool, f func(Leaf) Leaf) {
	if condemned == nil {
		condemned = make([]bool, len(w.ownCells))
		for i := range condemned {
			condemned[i] = true
		}
	}
	t.root = w.rewrite(t.root, condemned, f)
}

func (w *Writer) rewrite(c cell, condemned []bool, f func(Leaf) Leaf) cell {
	if c.ref == 0 {
		return c
	}
	if !c.isBranch() {
		return f(c.leaf()).cell()
	}
	var fresh [maxTwigs]cell
	old := w.twigs(c)
	chunk := int(c.ref >> unitBits)
	changed := chunk < len(condemned) && condemned[chunk]
	for i, twig := range old {
		fresh[i] = w.rewrite(twig, condemned, f)
		changed = changed || fresh[i] != twig
	}
	if !changed {
		return c
	}
	ref, twigs := w.alloc(len(old))
	copy(twigs, fresh[:])
	c.ref = ref
	return c
}

// Live counts, per chunk, the cells that t uses, on top of what live holds.
func (s *Space) Live(t *Trie, live []int) []int {
	for len(live) < len(s.cells) {
		live = append(live, 0)
	}
	s.count(t.root, live)
	return live
}

func (s *Space) count(c cell, live []int) {
	if !c.isBranch() {
		return
	}
	twigs := s.twigs(c)
	live[c.ref>>unitBits] += len(twigs)
	for _, twig := range twigs {
		s.count(twig, live)
	}
}
