package zonefile

import (
	"bytes"
	"errors"
	"io"
)

// maxBoundary is how far behind the end of a piece we look for a line to begin
// the next one with.
const maxBoundary = 64 << 10

// errCut says that a piece ended within an entry.
var errCut = errors.New("piece ends within an entry")

// bounds is where a piece lies in the file; to is its size at the last piece.
type bounds struct{ from, to int64 }

// worker reads pieces.
type worker struct {
	number int
	m      *merger
	z      Reader
	buf    []byte
}

func newWorker(number int, m *merger) *worker {
	w := &worker{number: number, m: m, buf: make([]byte, 1+m.p.Size+m.p.Ahead)}
	w.z.opts, w.z.ahead = m.z.opts, true
	return w
}

// read reads piece i.
func (w *worker) read(i int, guess context) *attempt {
	a := &attempt{guess: guess}
	text, final := w.text(i, a)
	if text == nil {
		return a
	}
	z := &w.z
	z.src = &source{origin: guess.origin, buf: text, end: len(text), err: errCut, begun: true}
	if final {
		z.src.err = io.EOF
	}
	z.owner = &z.src.owner
	z.ttl = guess.ttl
	z.ttl.stated, z.ttl.guessed = false, false
	a.piece = w.m.t.Begin(w.number)
	a.ok, a.failed = w.records(a.piece)
	a.piece.Done()
	a.lines = z.src.line + z.src.lines
	a.after = z.context()
	if z.owner.len > 0 {
		a.owner = z.owner
	}
	return a
}

// records hands all records to p and reports whether the text was without fault.
func (w *worker) records(p Piece) (ok bool, err error) {
	z := &w.z
	for z.src.pos+z.src.used < z.src.end {
		if err := z.src.next(&z.lex); err != nil || z.lex.fault != nil {
			return false, nil // cut off within an entry, or a mistake
		}
		if len(z.lex.toks) == 0 {
			continue
		}
		if z.isDirective() {
			if f := z.directive(); f != nil {
				return false, nil
			}
			continue
		}
		e, f := z.record()
		if f != nil {
			return false, nil
		}
		if err := p.Add(e); err != nil {
			return true, err
		}
	}
	return true, nil
}

// text returns the text of piece i, and whether that is the end of the file. It
// is nil where no good place to begin or end it is near. Both neighbours find
// the same boundary, since it depends on the text alone.
func (w *worker) text(i int, a *attempt) (text []byte, final bool) {
	m := w.m
	from := int64(m.p.First) + int64(i)*int64(m.p.Size)
	a.from, a.to = from, min(from+int64(m.p.Size), m.size)
	n := min(int64(len(w.buf)), m.size-from+1)
	b := w.buf[:n] // from the octet before, which may be a line's end
	if got, _ := m.text.ReadAt(b, from-1); int64(got) < n {
		return nil, false
	}
	first := boundary(b, 0, m.p.Ahead)
	last := len(b)
	if a.to < m.size {
		last = boundary(b, m.p.Size, m.p.Ahead)
	}
	if last < 0 {
		return nil, false
	}
	a.to = from - 1 + int64(last)
	if first < 0 {
		return nil, false
	}
	a.from = from - 1 + int64(first)
	return b[first:last:last], a.to == m.size
}

// boundary returns the first offset in b behind off, within ahead octets, where
// a line begins with what looks like an owner.
func boundary(b []byte, off, ahead int) int {
	b = b[:min(len(b), off+ahead)]
	for {
		n := bytes.IndexByte(b[off:], '\n')
		if n < 0 || off+n+1 >= len(b) {
			return -1
		}
		off += n + 1
		if c := b[off]; kinds[c] == word && c != '$' {
			return off
		}
	}
}
