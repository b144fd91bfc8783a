package qp

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// labels returns the labels of a relative name in lower case, the topmost first.
func labels(rel []byte) (ls [][]byte) {
	for i := 0; i < len(rel); i += int(rel[i]) + 1 {
		l := slices.Clone(rel[i+1 : i+1+int(rel[i])])
		for j, c := range l {
			if 'A' <= c && c <= 'Z' {
				l[j] = c + 'a' - 'A'
			}
		}
		ls = append(ls, l)
	}
	slices.Reverse(ls)
	return ls
}

// compare is RFC 4034 §6.1 as it is written.
func compare(a, b []byte) int {
	return slices.CompareFunc(labels(a), labels(b), func(x, y []byte) int { return bytes.Compare(x, y) })
}

func sign(n int) int { return max(-1, min(1, n)) }

// model is the slow and obvious trie: names in order, each with its leaf.
type model struct {
	names []string
	leafs []Leaf
}

func (m *model) find(rel []byte) (int, bool) {
	return slices.BinarySearchFunc(m.names, rel, func(n string, r []byte) int { return compare([]byte(n), r) })
}

func (m *model) put(rel []byte, l Leaf) {
	i, ok := m.find(rel)
	if !ok {
		m.names = slices.Insert(m.names, i, string(rel))
		m.leafs = slices.Insert(m.leafs, i, l)
	}
	m.names[i], m.leafs[i] = string(rel), l
}

func (m *model) delete(rel []byte) bool {
	i, ok := m.find(rel)
	if ok {
		m.names, m.leafs = slices.Delete(m.names, i, i+1), slices.Delete(m.leafs, i, i+1)
	}
	return ok
}

func (m *model) clone() model { return model{slices.Clone(m.names), slices.Clone(m.leafs)} }

// isAbove reports whether a is b or an ancestor of it.
func isAbove(a, b []byte) bool {
	x, y := labels(a), labels(b)
	return len(x) <= len(y) && slices.EqualFunc(x, y[:len(x)], bytes.Equal)
}

// drawName makes names that meet often: few labels out of few octets, with some
// of each range of the symbol table.
func drawName(t *rapid.T, what string) []byte {
	octet := rapid.SampledFrom([]byte("aAbz-_*09\x00\x29/:[`{\xa8\xa9\xd6\xd7\xff"))
	ls := rapid.SliceOfN(rapid.SliceOfN(octet, 1, 4), 0, 4).Draw(t, what)
	var rel []byte
	for _, l := range ls {
		rel = append(append(rel, byte(len(l))), l...)
	}
	return rel
}

func store(w *Writer, rel []byte) uint32 {
	ref, b := w.Alloc(1 + len(rel))
	b[0] = byte(len(rel))
	copy(b[1:], rel)
	return ref
}

func same(t *rapid.T, s *Space, tr *Trie, m *model) {
	if tr.Len() != len(m.names) {
		t.Fatalf("%d names, expected %d", tr.Len(), len(m.names))
	}
	c := s.Walk(tr)
	for i, name := range m.names {
		l, ok := c.Next()
		if !ok || l != m.leafs[i] || !bytes.Equal(s.Name(l), []byte(name)) {
			t.Fatalf("walk at %d: %v %v, expected %q %v", i, l, ok, name, m.leafs[i])
		}
	}
	if _, ok := c.Next(); ok {
		t.Fatal("walk goes on behind the last name")
	}
}

func TestKeyOrderIsCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 6), 0, 3)
		a, b := drawName(t, "a"), drawName(t, "b")
		if rapid.Bool().Draw(t, "raw") {
			a, b = nil, nil
			for _, l := range raw.Draw(t, "la") {
				a = append(append(a, byte(len(l))), l...)
			}
			for _, l := range raw.Draw(t, "lb") {
				b = append(append(b, byte(len(l))), l...)
			}
		}
		var x, y Key
		x.Set(a)
		y.Set(b)
		want := compare(a, b)
		if got := sign(x.Compare(&y)); got != want {
			t.Fatalf("Compare(%q, %q) = %d, expected %d", a, b, got, want)
		}
		if p, q := x.Prefix(), y.Prefix(); want < 0 && p > q || want > 0 && p < q {
			t.Fatalf("prefixes of %q and %q do not order as the names", a, b)
		}
	})
}

func TestLongestNames(t *testing.T) {
	var w = NewWriter(&Space{}, false)
	var tr Trie
	var k Key
	var names [][]byte
	for _, fill := range []byte{0x00, 'a', 0xff} {
		long := slices.Concat([]byte{61}, bytes.Repeat([]byte{fill}, 61))
		for range 3 {
			long = append(append(long, 63), bytes.Repeat([]byte{fill}, 63)...)
		}
		names = append(names, long, bytes.Repeat([]byte{1, fill}, 127))
	}
	for i, n := range names {
		w.Put(&tr, &k, Leaf{Aux: uint32(i), Ref: store(w, n)})
	}
	for i, n := range names {
		if l, ok := w.Find(&tr, &k, n); !ok || l.Aux != uint32(i) {
			t.Errorf("name %d is not found", i)
		}
		top := n[len(n)-1-topLen(n):]
		c := w.WalkBelow(&tr, &k, top)
		if _, ok := c.Next(); !ok {
			t.Errorf("name %d is not found below its topmost label", i)
		}
	}
}

func topLen(rel []byte) int {
	n := 0
	for i := 0; i < len(rel); i += int(rel[i]) + 1 {
		n = int(rel[i])
	}
	return n
}

// TestTrieAgainstModel edits many versions and compares each, when it is made
// and once more at the end, with a sorted list.
func TestTrieAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type version struct {
			s Space
			t Trie
			m model
		}
		var (
			now  version
			kept []version
			k    Key
			aux  uint32
		)
		for range rapid.IntRange(1, 6).Draw(t, "versions") {
			extend := rapid.Bool().Draw(t, "extend")
			w := NewWriter(&now.s, extend)
			now.m = now.m.clone()
			for range rapid.IntRange(0, 40).Draw(t, "edits") {
				name := drawName(t, "name")
				if rapid.IntRange(0, 3).Draw(t, "what") == 0 {
					if got, want := w.Delete(&now.t, &k, name), now.m.delete(name); got != want {
						t.Fatalf("Delete(%q) = %v, expected %v", name, got, want)
					}
					continue
				}
				aux++
				l := Leaf{Flags: aux & 7, Aux: aux, Ref: store(w, name)}
				w.Put(&now.t, &k, l)
				now.m.put(name, l)
			}
			now.s = w.Finish()
			same(t, &now.s, &now.t, &now.m)
			kept = append(kept, now)
		}
		for i := range kept {
			v := &kept[i]
			same(t, &v.s, &v.t, &v.m)
			for range 8 {
				checkQueries(t, &v.s, &v.t, &v.m, drawName(t, "query"))
			}
		}
	})
}

func checkQueries(t *rapid.T, s *Space, tr *Trie, m *model, q []byte) {
	var k Key
	i, exact := m.find(q)
	if l, ok := s.Find(tr, &k, q); ok != exact || ok && l != m.leafs[i] {
		t.Fatalf("Find(%q) = %v, %v", q, l, ok)
	}
	for _, before := range []bool{false, true} {
		j := i - 1
		if exact && !before {
			j = i
		}
		l, ex, ok := s.Floor(tr, &k, q, before)
		if ok != (j >= 0) || ok && l != m.leafs[j] || ex != (exact && !before) {
			t.Fatalf("Floor(%q, %v) = %v, %v, %v, expected index %d", q, before, l, ex, ok, j)
		}
	}
	var below []Leaf
	for j, n := range m.names {
		if isAbove(q, []byte(n)) {
			below = append(below, m.leafs[j])
		}
	}
	var got []Leaf
	for c := s.WalkBelow(tr, &k, q); ; {
		l, ok := c.Next()
		if !ok {
			break
		}
		got = append(got, l)
	}
	if !slices.Equal(got, below) {
		t.Fatalf("WalkBelow(%q): %v, expected %v", q, got, below)
	}
	want := len(below) > 1 || len(below) == 1 && !exact
	if got := s.HasBelow(tr, &k, q); got != want {
		t.Fatalf("HasBelow(%q) = %v", q, got)
	}
}

// TestLookupAgainstModel makes bulk tries with all ancestors in them.
func TestLookupAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m model
		w := NewWriter(&Space{}, false)
		m.put(nil, Leaf{Ref: store(w, nil)})
		for _, n := range rapid.SliceOfN(rapid.Custom(func(t *rapid.T) []byte { return drawName(t, "name") }), 0, 40).Draw(t, "names") {
			for at := 0; at < len(n); at += int(n[at]) + 1 {
				if _, ok := m.find(n[at:]); !ok {
					m.put(n[at:], Leaf{Flags: rapid.Uint32Range(0, 7).Draw(t, "flags"), Ref: store(w, n[at:])})
				}
			}
		}
		b := NewBulk(w)
		for i, n := range m.names {
			var k Key
			k.Set([]byte(n))
			b.Add(&k, m.leafs[i])
		}
		tr := b.Finish()
		w.Trim()
		s := w.Finish()
		same(t, &s, &tr, &m)
		for range 10 {
			q := drawName(t, "query")
			checkQueries(t, &s, &tr, &m, q)
			checkLookup(t, &s, &tr, &m, q)
		}
	})
}

func checkLookup(t *rapid.T, s *Space, tr *Trie, m *model, q []byte) {
	const stop = 6
	ls := len(labels(q))
	var want Search
	for d := 0; d <= ls; d++ {
		at := 0
		for range ls - d {
			at += int(q[at]) + 1
		}
		i, ok := m.find(q[at:])
		if !ok {
			break
		}
		want.Leaf, want.Depth, want.Exact = m.leafs[i], d, d == ls
		if d < ls && m.leafs[i].Flags&stop != 0 {
			want.Stop = true
			break
		}
	}
	var got Search
	if !s.Lookup(tr, &got, q, stop) {
		t.Fatalf("Lookup(%q) finds not even the top", q)
	}
	if got.Leaf != want.Leaf || got.Depth != want.Depth || got.Exact != want.Exact || got.Stop != want.Stop {
		t.Fatalf("Lookup(%q) = %v %d %v %v, expected %v %d %v %v", q, got.Leaf, got.Depth, got.Exact, got.Stop,
			want.Leaf, want.Depth, want.Exact, want.Stop)
	}
}

func TestUpdate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			s  Space
			tr Trie
			m  model
			k  Key
		)
		w := NewWriter(&s, false)
		for range rapid.IntRange(0, 60).Draw(t, "names") {
			name := drawName(t, "name")
			l := Leaf{Aux: rapid.Uint32Range(0, 3).Draw(t, "aux"), Ref: store(w, name)}
			w.Put(&tr, &k, l)
			m.put(name, l)
		}
		s = w.Finish()
		old, was := tr, m.clone()
		w = NewWriter(&s, true)
		flag := func(l Leaf) Leaf {
			if l.Aux == 1 {
				l.Flags = 9
			}
			return l
		}
		w.Update(&tr, flag)
		for i := range m.leafs {
			m.leafs[i] = flag(m.leafs[i])
		}
		fresh := w.Finish()
		same(t, &s, &old, &was)
		same(t, &fresh, &tr, &m)
	})
}

func TestDiffAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			s, r Space
			x, y Trie
			m, n model
			k    Key
		)
		fill := func(w *Writer, tr *Trie, m *model) {
			for range rapid.IntRange(0, 30).Draw(t, "edits") {
				name := drawName(t, "name")
				if rapid.IntRange(0, 3).Draw(t, "what") == 0 {
					w.Delete(tr, &k, name)
					m.delete(name)
					continue
				}
				l := Leaf{Aux: rapid.Uint32().Draw(t, "aux"), Ref: store(w, name)}
				w.Put(tr, &k, l)
				m.put(name, l)
			}
		}
		w := NewWriter(&s, false)
		fill(w, &x, &m)
		s = w.Finish()
		if rapid.Bool().Draw(t, "related") {
			w, y, n = NewWriter(&s, true), x, m.clone()
		} else {
			w = NewWriter(&r, false)
		}
		fill(w, &y, &n)
		r = w.Finish()

		got, want, calls := map[string]bool{}, map[string]bool{}, 0
		show := func(side byte, s *Space, l Leaf) string {
			var k Key
			k.Set(s.Name(l))
			return fmt.Sprint(string(side), k.sym[:k.n], l.Aux)
		}
		Diff(&s, &x, &r, &y, func(a, b Leaf, hasA, hasB bool) {
			if hasA {
				got[show('-', &s, a)] = true
			}
			if hasB {
				got[show('+', &r, b)] = true
			}
			calls++
		})
		for i, name := range m.names {
			if j, ok := n.find([]byte(name)); !ok || n.leafs[j] != m.leafs[i] {
				want[show('-', &s, m.leafs[i])] = true
			}
		}
		for i, name := range n.names {
			if j, ok := m.find([]byte(name)); !ok || m.leafs[j] != n.leafs[i] {
				want[show('+', &r, n.leafs[i])] = true
			}
		}
		if calls > len(got) {
			t.Fatalf("%d calls for %d sides of names", calls, len(got))
		}
		// Tries of different memory have everything in their difference that they
		// cannot tell apart by reference.
		for one := range want {
			if !got[one] {
				t.Fatalf("%s is missing in %v", one, got)
			}
		}
		if len(got) != len(want) && len(s.bytes) > 0 && len(r.bytes) > 0 && &s.bytes[0][0] == &r.bytes[0][0] {
			t.Fatalf("%v, expected %v", got, want)
		}
	})
}

func TestWalkAfterAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, m := NewWriter(&Space{}, false), model{}
		var trie Trie
		var k Key
		for _, rel := range rapid.SliceOfN(rapid.Custom(func(t *rapid.T) []byte { return drawName(t, "name") }), 0, 30).Draw(t, "names") {
			ref, b := w.Alloc(1 + len(rel))
			b[0] = byte(copy(b[1:], rel))
			l := Leaf{Ref: ref}
			k.Set(rel)
			w.Put(&trie, &k, l)
			m.put(rel, l)
		}
		for range 10 {
			rel, past := drawName(t, "after"), rapid.Bool().Draw(t, "past")
			if len(m.names) > 0 && rapid.Bool().Draw(t, "known") {
				rel = []byte(rapid.SampledFrom(m.names).Draw(t, "one"))
			}
			var want, got []string
			for _, n := range m.names {
				if compare([]byte(n), rel) > 0 && !(past && isAbove(rel, []byte(n))) {
					want = append(want, n)
				}
			}
			c := w.WalkAfter(&trie, &k, rel, past)
			for l, ok := c.Next(); ok; l, ok = c.Next() {
				got = append(got, string(w.Name(l)))
			}
			if !slices.EqualFunc(got, want, func(a, b string) bool { return compare([]byte(a), []byte(b)) == 0 }) {
				t.Fatalf("after %q, past %v: got %q, expected %q", rel, past, got, want)
			}
		}
	})
}
