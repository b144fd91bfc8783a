package qp

// Bulk makes a trie from names in ascending order, without searching.
type Bulk struct {
	w      *Writer
	prev   Key
	n      int
	frames []frame
	kids   []cell // finished twigs of the frames, each frame's behind those of the one above
}

// frame is a branch that is still open: names with its beginning may follow.
type frame struct {
	off   int
	bits  uint64
	first int // of its twigs in kids
}

// NewBulk returns a Bulk that writes with w.
func NewBulk(w *Writer) *Bulk { return &Bulk{w: w} }

// Add appends a leaf. Its key k must be behind that of the leaf before.
func (b *Bulk) Add(k *Key, l Leaf) {
	if b.n > 0 {
		at := k.differ(&b.prev)
		b.close(at)
		there, here := bit(b.prev.at(at)), bit(k.at(at))
		if n := len(b.frames); n > 0 && b.frames[n-1].off == at {
			b.frames[n-1].bits |= here
		} else {
			b.frames = append(b.frames, frame{at, there | here, len(b.kids) - 1})
		}
	}
	b.kids = append(b.kids, l.cell())
	b.n++
	b.prev.n = k.n
	copy(b.prev.sym[:k.n], k.sym[:k.n])
}

// close writes the branches that test a position behind at.
func (b *Bulk) close(at int) {
	for n := len(b.frames); n > 0 && b.frames[n-1].off > at; n-- {
		f := b.frames[n-1]
		ref, twigs := b.w.alloc(len(b.kids) - f.first)
		copy(twigs, b.kids[f.first:])
		b.kids = append(b.kids[:f.first], branch(f.off, f.bits, ref))
		b.frames = b.frames[:n-1]
	}
}

// Finish returns the trie of all that was added.
func (b *Bulk) Finish() Trie {
	b.close(-1)
	if b.n == 0 || b.w.err != nil {
		return Trie{}
	}
	return Trie{b.kids[0], uint32(b.n)}
}
