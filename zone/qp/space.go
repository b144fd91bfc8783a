package qp

const (
	// A reference is a chunk's number and the unit within the chunk.
	unitBits  = 16
	unitMask  = 1<<unitBits - 1
	maxChunks = 1 << (32 - unitBits)

	chunkCells = 1 << unitBits
	octetUnit  = 4 // octet strings begin at multiples of this
	chunkBytes = octetUnit << unitBits
	cellBytes  = 12

	// The smallest chunks, which matter where there are very many small zones. The
	// first one has room for such a zone; Trim gives back the rest.
	leastCells = 8
	leastBytes = 128
	firstBytes = 512
)

// Space is memory for tries and their octet strings.
type Space struct {
	cells [][]cell
	bytes [][]byte
}

// Trie is a set of names within a Space. The zero Trie is empty.
type Trie struct {
	root cell
	n    uint32 // all names have references of their own
}

// Len returns the number of names.
func (t *Trie) Len() int { return int(t.n) }

// At returns the octets from ref on to the end of their chunk.
func (s *Space) At(ref uint32) []byte {
	return s.bytes[ref>>unitBits][(ref&unitMask)*octetUnit:]
}

// name returns the name that the octet string at ref begins with.
func (s *Space) name(ref uint32) []byte {
	b := s.At(ref)
	return b[1 : 1+int(b[0])]
}

// Name returns the name of a leaf, relative to the top of the trie.
func (s *Space) Name(l Leaf) []byte { return s.name(l.Ref) }

func (s *Space) twig(c cell, i uint32) *cell {
	return &s.cells[c.ref>>unitBits][c.ref&unitMask+i]
}

func (s *Space) twigs(c cell) []cell {
	i := int(c.ref & unitMask)
	return s.cells[c.ref>>unitBits][i : i+c.size()]
}

// Size returns the octets of memory that are held, and how many of those are
// in use or were.
func (s *Space) Size() (held, used int) {
	for _, c := range s.cells {
		held += cap(c) * cellBytes
		used += len(c) * cellBytes
	}
	for _, c := range s.bytes {
		held += cap(c)
		used += len(c)
	}
	return held, used
}

// Has reports whether ref is an octet string of this Space, given that it is one
// of a Space that was made from this one or that this one was made from.
func (s *Space) Has(ref uint32) bool {
	chunk := int(ref >> unitBits)
	return chunk < len(s.bytes) && int(ref&unitMask)*octetUnit < len(s.bytes[chunk])
}
