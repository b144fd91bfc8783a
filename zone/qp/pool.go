package qp

import "sync"

// Pool is a Space in the making that several Writers fill at the same time, each
// its own chunks. What one of them has written the others may read once they
// have heard of it, by whatever orders their memory accesses.
type Pool struct {
	mu     sync.Mutex
	cells  [][]cell // as many as there can be, so that the table never moves
	bytes  [][]byte
	nCells int // chunks in use
	nBytes int
	size   int // octets that are expected
	free   struct {
		cells   []cell
		bytes   []byte
		passing []byte
	}
	writers []*Writer
}

// slabMost is how much memory is taken from the system at once: large enough
// for huge pages, and so that the rest of the last one does not matter.
const slabMost = 16 << 20

// NewPool returns a Pool for about size octets.
func NewPool(size int) *Pool {
	return &Pool{cells: make([][]cell, maxChunks), bytes: make([][]byte, maxChunks), size: size}
}

// Writer returns another Writer that writes to the Pool.
func (p *Pool) Writer() *Writer {
	w := &Writer{Space: Space{cells: p.cells, bytes: p.bytes}, pool: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writers = append(p.writers, w)
	return w
}

// Passing returns a Writer whose octets may be dropped at the end: they lie in
// chunks apart.
func (p *Pool) Passing() *Writer {
	w := p.Writer()
	w.passing = true
	return w
}

// Finish returns what has been written, but with drop not the octets of Writers
// that are Passing. The Writers must not be used any more.
func (p *Pool) Finish(drop bool) Space {
	for _, w := range p.writers {
		w.close()
		for _, f := range w.filled {
			switch {
			case f.cells:
				p.cells[f.chunk] = p.cells[f.chunk][:f.n]
			case w.passing && drop:
				p.bytes[f.chunk] = make([]byte, octetUnit) // no chunk is empty
			default:
				p.bytes[f.chunk] = p.bytes[f.chunk][:f.n]
			}
		}
	}
	s := Space{cells: make([][]cell, p.nCells), bytes: make([][]byte, p.nBytes)}
	copy(s.cells, p.cells)
	copy(s.bytes, p.bytes)
	return s
}

// slab returns how many units of some octets to take at once, at least n.
func (p *Pool) slab(octets, n int) int {
	return max(n, min(slabMost, p.size/4)/octets)
}

// moreBytes gives w a chunk with room for n octets.
func (w *Writer) moreBytes(n int) {
	if w.openBytes != nil && w.err == nil {
		w.filled = append(w.filled, filled{w.atBytes, len(w.openBytes), false})
	}
	p := w.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	size := max(n, chunkBytes)
	if p.nBytes == 0 {
		size += octetUnit
	}
	if p.nBytes == maxChunks {
		w.err = ErrFull
		w.openBytes = make([]byte, 0, n)
		return
	}
	free := &p.free.bytes
	if w.passing {
		free = &p.free.passing
	}
	if len(*free) < size {
		*free = make([]byte, p.slab(1, size))
		adviseHuge(*free)
	}
	chunk := (*free)[:size:size]
	*free = (*free)[size:]
	p.bytes[p.nBytes] = chunk
	w.openBytes, w.atBytes = chunk[:0], uint32(p.nBytes)
	if p.nBytes == 0 { // reference 0 is none
		w.openBytes = chunk[:octetUnit]
	}
	p.nBytes++
}

// moreCells gives w a chunk of cells.
func (w *Writer) moreCells() {
	if w.openCells != nil && w.err == nil {
		w.filled = append(w.filled, filled{w.atCells, len(w.openCells), true})
	}
	p := w.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.nCells == maxChunks {
		w.err = ErrFull
		w.openCells = make([]cell, 0, maxTwigs)
		return
	}
	if len(p.free.cells) < chunkCells {
		p.free.cells = make([]cell, p.slab(cellBytes, chunkCells)/chunkCells*chunkCells)
		adviseHuge(octetsOf(p.free.cells))
	}
	chunk := p.free.cells[:chunkCells:chunkCells]
	p.free.cells = p.free.cells[chunkCells:]
	p.cells[p.nCells] = chunk
	w.openCells, w.atCells = chunk[:0], uint32(p.nCells)
	if p.nCells == 0 { // reference 0 is none
		w.openCells = chunk[:1]
	}
	p.nCells++
}

// filled is how far a chunk has been filled. Until Finish all chunks have their
// full length, since others read the table at any time.
type filled struct {
	chunk uint32
	n     int
	cells bool
}

// close notes how far the chunks are filled that w has had.
func (w *Writer) close() {
	if w.err != nil {
		return
	}
	if w.openBytes != nil {
		w.filled = append(w.filled, filled{w.atBytes, len(w.openBytes), false})
	}
	if w.openCells != nil {
		w.filled = append(w.filled, filled{w.atCells, len(w.openCells), true})
	}
	w.openBytes, w.openCells = nil, nil
}

// poolBytes is Alloc for a Writer of a Pool.
func (w *Writer) poolBytes(n int) (uint32, []byte) {
	at := len(w.openBytes)
	if w.openBytes == nil || at+n > cap(w.openBytes) {
		w.moreBytes(n)
		at = len(w.openBytes)
	}
	w.openBytes = w.openBytes[:at+n]
	w.live += n
	return w.atBytes<<unitBits | uint32(at/octetUnit), w.openBytes[at : at+n : at+n]
}

// poolCells is alloc for a Writer of a Pool.
func (w *Writer) poolCells(n int) (uint32, []cell) {
	at := len(w.openCells)
	if w.openCells == nil || at+n > cap(w.openCells) {
		w.moreCells()
		at = len(w.openCells)
	}
	w.openCells = w.openCells[:at+n]
	w.live += n * cellBytes
	return w.atCells<<unitBits | uint32(at), w.openCells[at : at+n : at+n]
}
