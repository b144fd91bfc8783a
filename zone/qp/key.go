package qp

const (
	maxLabels = 127
	// maxKey bounds the symbols of a name: at most 250 octets in labels, each
	// two symbols, and a separator for each of the four labels that this takes.
	maxKey = 512
)

// sep is the symbol that ends a label. It is the lowest, so that a name comes
// before the names below it, and those before the next sibling.
const sep = 0

// symbols maps an octet to its first symbol and, where that one stands for a
// whole range, to the second one, which is never sep. Letters have no case.
var symbols = func() (t [256][2]uint8) {
	next := uint8(sep)
	// common octets get a symbol of their own, the ranges between them share one.
	assign := func(from, to int, alone bool) {
		for c := from; c <= to; c++ {
			if alone || c == from {
				next++
			}
			t[c][0] = next
			if !alone {
				t[c][1] = uint8(c - from + 1)
			}
		}
	}
	assign(0x00, '*'-1, false)
	assign('*', '*', true)
	assign('*'+1, '-'-1, false)
	assign('-', '-', true)
	assign('-'+1, '0'-1, false)
	assign('0', '9', true)
	assign('9'+1, 'A'-1, false)
	assign('Z'+1, '_'-1, false)
	assign('_', '_', true)
	assign('_'+1, 'a'-1, false)
	assign('a', 'z', true)
	assign('z'+1, 0xA8, false)
	assign(0xA9, 0xD6, false)
	assign(0xD7, 0xFF, false)
	for c := 'A'; c <= 'Z'; c++ {
		t[c] = t[c+'a'-'A']
	}
	return t
}()

// Key is a name as the trie sees it. It is scratch: set it, use it, set it again.
type Key struct {
	n      int                   // symbols
	labels int                   // labels of the name
	sym    [maxKey]uint8         //
	ends   [maxLabels + 1]uint16 // ends[d]: symbols of the topmost d labels
	offs   [maxLabels + 1]uint8  // offs[d]: where the name of the topmost d labels begins
}

// Set makes k the key of rel: a well-formed name in wire form, in any case,
// relative to the top of the trie and so without the octet of the root.
func (k *Key) Set(rel []byte) {
	d := 0
	for i := 0; i < len(rel) && d < maxLabels; i += int(rel[i]) + 1 {
		k.offs[d] = uint8(i)
		d++
	}
	k.labels = d
	for i, j := 0, d-1; i < j; i, j = i+1, j-1 {
		k.offs[i], k.offs[j] = k.offs[j], k.offs[i]
	}
	n := 0
	for i := range d {
		k.ends[i] = uint16(n)
		o := int(k.offs[i])
		for _, c := range rel[o+1 : o+1+int(rel[o])] {
			s := &symbols[c]
			k.sym[n] = s[0]
			n++
			if s[1] != 0 {
				k.sym[n] = s[1]
				n++
			}
		}
		k.sym[n] = sep
		n++
	}
	k.ends[d], k.n = uint16(n), n
	copy(k.offs[1:d+1], k.offs[:d])
	k.offs[0] = uint8(len(rel))
}

// Labels returns the number of labels of the name.
func (k *Key) Labels() int { return k.labels }

// Offset returns where in the name its topmost d labels begin.
func (k *Key) Offset(d int) int { return int(k.offs[d]) }

// Common returns how many of the topmost labels k and m have in common.
func (k *Key) Common(m *Key) int {
	at := k.differ(m)
	if at < 0 {
		return k.labels
	}
	n := 0
	for n < k.labels && int(k.ends[n+1]) <= at {
		n++
	}
	return n
}

// at returns the symbol at position i; behind the end all are sep.
func (k *Key) at(i int) uint8 {
	if i < k.n {
		return k.sym[i]
	}
	return sep
}

// differ returns the first position at which k and m differ, and -1 where
// they are the same name.
func (k *Key) differ(m *Key) int {
	n := min(k.n, m.n)
	for i := range n {
		if k.sym[i] != m.sym[i] {
			return i
		}
	}
	if k.n == m.n {
		return -1
	}
	// The longer name goes on with a label where the other one has ended.
	return n
}

// Compare orders keys as their names are ordered.
func (k *Key) Compare(m *Key) int {
	i := k.differ(m)
	if i < 0 {
		return 0
	}
	return int(k.at(i)) - int(m.at(i))
}

// Prefix returns a number that orders as the name does, as far as the ten
// symbols that it holds go: 60 bits.
func (k *Key) Prefix() uint64 {
	var p uint64
	for i := range 10 {
		p = p<<6 | uint64(k.at(i))
	}
	return p
}
