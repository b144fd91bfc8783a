package qp

// Update calls f for every leaf of t in order and puts what it returns in the
// leaf's place; it must be of the same name. Only what changes is copied.
func (w *Writer) Update(t *Trie, f func(Leaf) Leaf) {
	t.root = w.update(t.root, f)
}

func (w *Writer) update(c cell, f func(Leaf) Leaf) cell {
	if c.ref == 0 {
		return c
	}
	if !c.isBranch() {
		return f(c.leaf()).cell()
	}
	var fresh [maxTwigs]cell
	old := w.twigs(c)
	changed := false
	for i, twig := range old {
		fresh[i] = w.update(twig, f)
		changed = changed || fresh[i] != twig
	}
	if changed {
		copy(w.own(&c), fresh[:len(old)])
	}
	return c
}
