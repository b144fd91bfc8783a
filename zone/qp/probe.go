package qp

import "unsafe"

// Probe is a descent that is taken step by step. In a large trie nearly every
// step waits for memory, some 80 ns; of many probes that step in turns all but
// the first find what they asked for in the round before.
type Probe struct {
	key  Key
	next *cell // asked for
	lost bool  // no name begins like this one: on to the first that is there
}

const line = 64 // octets that come from memory together

// Begin starts a descent from the top of t towards rel.
func (s *Space) Begin(t *Trie, p *Probe, rel []byte) {
	p.key.Set(rel)
	p.next, p.lost = &t.root, false
}

// Step goes on by one branch, and reports the leaf where the descent ends: the
// name itself, or one beside where it would be. A trie without names has none.
func (s *Space) Step(p *Probe) (l Leaf, done bool) {
	c := *p.next
	if !c.isBranch() {
		return c.leaf(), true
	}
	i := uint32(0)
	if !p.lost {
		b := bit(p.key.at(c.offset()))
		if p.lost = c.word()&b == 0; !p.lost {
			i = c.rank(b)
		}
	}
	p.next = s.twig(c, i)
	prefetch(unsafe.Pointer(p.next))
	return Leaf{}, false
}

// Ask asks for n octets of the octet string at ref, or as many lines as a few.
func (s *Space) Ask(ref uint32, n int) {
	b := s.At(ref)
	for i := 0; i < len(b) && i < n; i += line {
		prefetch(unsafe.Pointer(&b[i]))
	}
}
