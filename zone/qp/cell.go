package qp

import "math/bits"

// cell is a branch or a leaf.
//
// A branch: bit 0 of a is 1; bits 1 to 49 of the word b:a say which symbols
// occur (symbol s is bit s+1), bits 50 to 58 hold the position of the symbol
// that is tested; ref is the first twig.
//
// A leaf: bit 0 of a is 0, the user's flags are above it; b is the user's own
// word; ref is the octet string.
//
// Reference 0 is never given out, so a cell with it is nothing: the root of an
// empty trie.
type cell struct{ a, b, ref uint32 }

const (
	branchTag   = 1
	offsetShift = 50
	bitmapMask  = 1<<offsetShift - 2
	maxTwigs    = 49
)

func branch(off int, bitmap uint64, ref uint32) cell {
	w := branchTag | bitmap | uint64(off)<<offsetShift
	return cell{uint32(w), uint32(w >> 32), ref}
}

func bit(sym uint8) uint64 { return 2 << sym }

func (c cell) isBranch() bool { return c.a&branchTag != 0 }
func (c cell) word() uint64   { return uint64(c.b)<<32 | uint64(c.a) }
func (c cell) offset() int    { return int(c.b >> (offsetShift - 32)) }
func (c cell) bitmap() uint64 { return c.word() & bitmapMask }
func (c cell) size() int      { return bits.OnesCount64(c.bitmap()) }

// rank returns how many twigs stand before that of the symbol with bit b.
func (c cell) rank(b uint64) uint32 {
	return uint32(bits.OnesCount64(c.bitmap() & (b - 1)))
}

// Leaf is what the trie keeps for a name.
type Leaf struct {
	Flags uint32 // 31 bits of the user's
	Aux   uint32 // of the user's
	Ref   uint32 // of the octet string that begins with the name
}

func (l Leaf) cell() cell { return cell{l.Flags << 1, l.Aux, l.Ref} }
func (c cell) leaf() Leaf { return Leaf{c.a >> 1, c.b, c.ref} }
