package qp

import (
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
)

// Audit checks tries that were read from a file, so that nothing that is done
// with them later can reach beyond their memory or run for ever. What is in
// order is a tree, every cell and every octet of which belongs to one leaf.
//
// Its methods may be called by several goroutines.
type Audit struct {
	s      *Space
	cells  [][]atomic.Uint32 // a bit for each cell that was met
	octets [][]atomic.Uint32 // a bit for each unit of octets that was met
	firsts [][]atomic.Uint32 // likewise for what First was asked about
}

// NewAudit returns an Audit of tries in s.
func NewAudit(s *Space) *Audit {
	a := &Audit{s: s, cells: make([][]atomic.Uint32, len(s.cells)), octets: bitsFor(s.bytes), firsts: bitsFor(s.bytes)}
	for i, c := range s.cells {
		a.cells[i] = make([]atomic.Uint32, len(c)/32+1)
	}
	return a
}

func bitsFor(chunks [][]byte) [][]atomic.Uint32 {
	set := make([][]atomic.Uint32, len(chunks))
	for i, c := range chunks {
		set[i] = make([]atomic.Uint32, len(c)/octetUnit/32+1)
	}
	return set
}

// First reports whether it is asked about ref, a place in octets, for the first time.
func (a *Audit) First(ref uint32) bool {
	at := ref & unitMask
	word, mask := &a.firsts[ref>>unitBits][at/32], uint32(1)<<(at%32)
	return word.Load()&mask == 0 && word.Or(mask)&mask == 0
}

// Errors of an Audit.
var (
	errOutside = errors.New("reference leads outside of the memory, expected one within")
	errTwice   = errors.New("memory is used twice, expected once")
	errOrder   = errors.New("names are out of order, or a branch tests the wrong symbol")
	errName    = errors.New("malformed name, expected labels of 1 to 63 octets and 254 in all")
	errCount   = errors.New("number of names is not the one that was noted")
)

// Octets returns the octets from ref to the end of their chunk, and false where
// there is no such place.
func (a *Audit) Octets(ref uint32) ([]byte, bool) {
	if ref == 0 || !a.s.Has(ref) {
		return nil, false
	}
	return a.s.At(ref), true
}

// Claim notes n octets from ref on as used, and reports whether none were yet.
// They must be within the chunk.
func (a *Audit) Claim(ref uint32, n int) bool {
	units := (n + octetUnit - 1) / octetUnit
	return claim(a.octets[ref>>unitBits], int(ref&unitMask), units)
}

// claim sets the n bits from i on and reports whether all were 0.
func claim(set []atomic.Uint32, i, n int) bool {
	free := true
	for n > 0 {
		at := i % 32
		k := min(n, 32-at)
		mask := uint32(1<<k-1) << at
		free = set[i/32].Or(mask)&mask == 0 && free
		i, n = i+k, n-k
	}
	return free
}

// Trie checks t and hands each leaf to what leaf returns, which is called once
// for each of the goroutines that share the work.
func (a *Audit) Trie(t *Trie, leaf func() func(Leaf) error) error {
	if t.root.ref == 0 {
		if t.root != (cell{}) || t.n != 0 {
			return errCount
		}
		return nil
	}
	parts, err := a.split(t.root)
	if err != nil {
		return err
	}
	if err := a.run(parts, leaf); err != nil {
		return err
	}
	n := 0
	for i := range parts {
		n += parts[i].n
		if i > 0 && !a.inOrder(&parts[i-1], &parts[i]) {
			return errOrder
		}
	}
	if n != t.Len() {
		return fmt.Errorf("%w: %d, expected %d", errCount, n, t.n)
	}
	return nil
}

// part is a cell and the way to it from the root.
type part struct {
	way         []turn
	c           cell
	n           int    // leaves below
	first, last uint32 // their first and last
}

// turn is a branch's position and the symbol that was taken there.
type turn struct {
	off int
	sym uint8
}

const manyParts = 64

// split descends from the root until there are parts enough to share the work.
func (a *Audit) split(root cell) ([]part, error) {
	parts := []part{{c: root}}
	for more := true; more && len(parts) < manyParts; {
		more = false
		var next []part
		for _, p := range parts {
			if !p.c.isBranch() {
				next = append(next, p)
				continue
			}
			more = true
			twigs, err := a.twigs(p.c, p.way)
			if err != nil {
				return nil, err
			}
			set := p.c.bitmap()
			for _, twig := range twigs {
				way := append(p.way[:len(p.way):len(p.way)], turn{p.c.offset(), lowest(&set)})
				next = append(next, part{way: way, c: twig})
			}
		}
		parts = next
	}
	return parts, nil
}

// run walks over the parts in several goroutines.
func (a *Audit) run(parts []part, leaf func() func(Leaf) error) error {
	var next atomic.Int64
	errs := make([]error, min(len(parts), runtime.GOMAXPROCS(0)))
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			w := walker{a: a, leaf: leaf()}
			for errs[i] == nil {
				at := int(next.Add(1)) - 1
				if at >= len(parts) {
					return
				}
				errs[i] = w.part(&parts[at])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// inOrder reports whether the last name of p and the first one of q differ where
// the ways to them part.
func (a *Audit) inOrder(p, q *part) bool {
	for i, t := range p.way {
		if t != q.way[i] {
			var k, m Key
			k.Set(a.s.name(p.last))
			m.Set(a.s.name(q.first))
			return k.differ(&m) == t.off
		}
	}
	return false
}

// twigs returns those of the branch c behind the given way, if they are where
// they can be. Positions ascend along a way, so that it ends.
func (a *Audit) twigs(c cell, way []turn) ([]cell, error) {
	chunk, at, n := int(c.ref>>unitBits), int(c.ref&unitMask), c.size()
	switch {
	case c.ref == 0 || chunk >= len(a.s.cells) || at+n > len(a.s.cells[chunk]):
		return nil, errOutside
	case n < 2 || len(way) > 0 && way[len(way)-1].off >= c.offset():
		return nil, errOrder
	case !claim(a.cells[chunk], at, n):
		return nil, errTwice
	}
	return a.s.cells[chunk][at : at+n], nil
}

// lowest takes the lowest symbol out of a bitmap.
func lowest(set *uint64) uint8 {
	sym := uint8(bits.TrailingZeros64(*set) - 1)
	*set &^= bit(sym)
	return sym
}

// walker checks one part after the other.
type walker struct {
	a     *Audit
	leaf  func(Leaf) error
	p     *part
	way   []turn
	fresh int // turns of way that the leaf before did not take
	split int // position of the branch where the way left that leaf's
	key   [2]Key
	now   int // which key is to be set
}

func (w *walker) part(p *part) error {
	w.p, w.fresh, w.split = p, 0, -1
	w.way = append(w.way[:0], p.way...)
	return w.walk(p.c)
}

func (w *walker) walk(c cell) error {
	if !c.isBranch() {
		return w.arrive(c)
	}
	twigs, err := w.a.twigs(c, w.way)
	if err != nil {
		return err
	}
	set, depth := c.bitmap(), len(w.way)
	for i, twig := range twigs {
		if i > 0 {
			w.fresh, w.split = depth, c.offset()
		}
		w.way = append(w.way[:depth], turn{c.offset(), lowest(&set)})
		if err := w.walk(twig); err != nil {
			return err
		}
	}
	return nil
}

// arrive checks the leaf c. Where it and the one before differ first must be
// the branch that parts them: that all of these are right makes the trie so.
func (w *walker) arrive(c cell) error {
	b, ok := w.a.Octets(c.ref)
	if !ok {
		return errOutside
	}
	name, ok := wellFormed(b)
	if !ok {
		return errName
	}
	k := &w.key[w.now]
	w.now ^= 1
	k.Set(name)
	for _, t := range w.way[w.fresh:] {
		if k.at(t.off) != t.sym {
			return errOrder
		}
	}
	if w.p.n == 0 {
		w.p.first = c.ref
	} else if k.differ(&w.key[w.now]) != w.split {
		return errOrder
	}
	w.p.n++
	w.p.last = c.ref
	return w.leaf(c.leaf())
}

// wellFormed returns the name that b begins with.
func wellFormed(b []byte) ([]byte, bool) {
	n := int(b[0])
	if n >= len(b) || n > 254 {
		return nil, false
	}
	name := b[1 : 1+n]
	i := 0
	for i < n {
		if name[i] == 0 || name[i] > 63 {
			return nil, false
		}
		i += int(name[i]) + 1
	}
	return name, i == n
}
