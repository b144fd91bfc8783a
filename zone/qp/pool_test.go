package qp

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// poolLeaf stores rel by w and returns its leaf.
func poolLeaf(w *Writer, rel []byte, flags uint32) Leaf {
	ref, b := w.Alloc(1 + len(rel))
	b[0] = byte(len(rel))
	copy(b[1:], rel)
	return Leaf{Flags: flags, Aux: flags * 7, Ref: ref}
}

// TestPool makes tries of parts of the names, by several Writers of a Pool, and
// wants them to be the whole when they have been joined.
func TestPool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m model
		for range rapid.IntRange(0, 60).Draw(t, "names") {
			m.put(drawName(t, "name"), Leaf{})
		}
		pool := NewPool(1000)
		writers := []*Writer{pool.Writer(), pool.Writer(), pool.Writer()}
		var whole Trie
		var k Key
		for from := 0; from < len(m.names); {
			to := from + rapid.IntRange(1, len(m.names)-from).Draw(t, "part")
			w := writers[rapid.IntRange(0, 2).Draw(t, "writer")]
			b := NewBulk(w)
			for i := from; i < to; i++ {
				m.leafs[i] = poolLeaf(w, []byte(m.names[i]), uint32(i))
				k.Set([]byte(m.names[i]))
				b.Add(&k, m.leafs[i])
			}
			whole = writers[0].Join(whole, b.Finish())
			from = to
		}
		for i, name := range m.names {
			var p Places
			found := []uint32{1, 1, 1}
			p.Find(&writers[1].Space, &whole, [][]byte{[]byte("\x05other"), []byte(name), []byte("\x05wrong")}, found)
			if found[0] != 0 || found[2] != 0 || (found[1] == 0) != (len(m.names) == 1) {
				t.Fatalf("places of %q and of names that are not there: %v", name, found)
			}
			place := found[1]
			if place != 0 && i%2 == 0 {
				l := writers[2].LeafAt(place)
				l.Aux++
				writers[2].SetLeafAt(place, l)
				m.leafs[i].Aux++
			}
		}
		s := pool.Finish(false)
		if whole.Len() != len(m.names) {
			t.Fatalf("%d names, expected %d", whole.Len(), len(m.names))
		}
		for i, name := range m.names {
			if l, ok := s.Find(&whole, &k, []byte(name)); !ok || l != m.leafs[i] {
				t.Fatalf("found %v, %v for %q, expected %v", l, ok, name, m.leafs[i])
			}
			if got := collect(s.WalkFrom(&whole, &k, []byte(name))); !slices.Equal(got, m.leafs[i:]) {
				t.Fatalf("walk from %q: %v, expected %v", name, got, m.leafs[i:])
			}
		}
		checkSameShape(t, &s, whole, m)
	})
}

func collect(c Cursor) (ls []Leaf) {
	for l, ok := c.Next(); ok; l, ok = c.Next() {
		ls = append(ls, l)
	}
	return ls
}

// checkSameShape wants the trie to have the branches of one that was made in one go.
func checkSameShape(t *rapid.T, s *Space, got Trie, m model) {
	w := NewWriter(&Space{}, false)
	b := NewBulk(w)
	var k Key
	for i, name := range m.names {
		k.Set([]byte(name))
		b.Add(&k, m.leafs[i])
	}
	want := b.Finish()
	var same func(a, b cell) bool
	same = func(a, b cell) bool {
		if !a.isBranch() || !b.isBranch() {
			return a == b
		}
		ta, tb := s.twigs(a), w.twigs(b)
		return a.word() == b.word() && slices.EqualFunc(ta, tb, same)
	}
	if !same(got.root, want.root) {
		t.Fatalf("joined trie of %q differs from one made at once", m.names)
	}
}

// TestPoolDropsWhatPasses copies what a Passing writer has made: the copies stay,
// and the memory of the originals goes.
func TestPoolDropsWhatPasses(t *testing.T) {
	pool := NewPool(1 << 20)
	from, to := pool.Passing(), pool.Writer()
	var refs []uint32
	for i := range 100_000 {
		old := poolLeaf(from, []byte{3, byte(i), byte(i >> 8), byte(i >> 16)}, 0)
		ref, b := to.Alloc(5)
		copy(b, from.At(old.Ref)[:5])
		refs = append(refs, ref)
	}
	s := pool.Finish(true)
	for i, ref := range refs {
		if want := string([]byte{4, 3, byte(i), byte(i >> 8), byte(i >> 16)}); string(s.At(ref)[:5]) != want {
			t.Fatalf("copy %d is %v, expected %v", i, s.At(ref)[:5], []byte(want))
		}
	}
	if held, used := s.Size(); held > 100_000*8+2*chunkBytes || used > 100_000*8+1000 {
		t.Errorf("%d octets are held and %d used for 800000", held, used)
	}
}
