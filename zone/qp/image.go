package qp

import "unsafe"

// CellSize is the octets that a cell takes in an image.
const CellSize = cellBytes

// Image is the memory of a Space as octets, chunk by chunk, to be written to a
// file or filled from one. Cells are as the machine has them: its byte order
// is part of what an image means.
type Image struct{ s *Space }

// Image returns the memory of s, which is read but not changed through it.
func (s *Space) Image() Image { return Image{s} }

// NewImage returns an image of zeros with chunks of these lengths, cells counted
// in CellSize. Space returns what was put into it, to be read after Check only.
func NewImage(cells, octets []int) (Image, bool) {
	if len(cells) > maxChunks || len(octets) > maxChunks {
		return Image{}, false
	}
	s := &Space{cells: make([][]cell, len(cells)), bytes: make([][]byte, len(octets))}
	for i, n := range cells {
		if n < 1 || n > chunkCells {
			return Image{}, false
		}
		s.cells[i] = make([]cell, n)
	}
	for i, n := range octets {
		if n < 1 {
			return Image{}, false
		}
		s.bytes[i] = make([]byte, n)
	}
	return Image{s}, true
}

// Space returns the space that the image is of.
func (m Image) Space() Space { return *m.s }

// Chunks returns how many chunks there are of cells and of octets.
func (m Image) Chunks() (cells, octets int) { return len(m.s.cells), len(m.s.bytes) }

// Cells returns the i-th chunk of cells.
func (m Image) Cells(i int) []byte {
	c := m.s.cells[i]
	// A cell is three words without padding, so this is all of its memory.
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(c))), len(c)*cellBytes)
}

// Octets returns the i-th chunk of octets.
func (m Image) Octets(i int) []byte { return m.s.bytes[i] }

// Root returns the trie's root in three words, and NewTrie makes a trie of them.
func (t *Trie) Root() [3]uint32 { return [3]uint32{t.root.a, t.root.b, t.root.ref} }

// NewTrie returns a trie of an image, to be used after Check only.
func NewTrie(root [3]uint32, n int) Trie { return Trie{cell{root[0], root[1], root[2]}, uint32(n)} }
