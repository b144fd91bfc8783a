package zone

import "onoma/zone/qp"

// Match is what Lookup found for a name. Its caller owns it and uses it again
// for the next name; the Nodes in it stay good for as long as the version.
type Match struct {
	Node     Node // the name itself, an empty non-terminal too; zero below a cut or a DNAME
	Encloser Node // closest encloser: the deepest existing name at or above (RFC 4592 §3.3.1); below a cut or DNAME, that node
	Cut      Node // topmost delegation strictly below the apex, at or above the name
	DName    Node // topmost DNAME owner strictly above the name and not below a cut
	Wildcard Node // *.<Encloser>, where there is no Node, Cut or DName

	// Where the names of these lie within the name that was looked up, as
	// octets from its start: what to compress against, what to hash.
	EncloserAt   int // Encloser's name (also that of Cut and DName, when they are set)
	NextCloserAt int // the name one label longer than Encloser's (RFC 5155 §1.3); EncloserAt where Node is exact

	search qp.Search
}

// Lookup fills m for qname, an uncompressed wire name in any case at or below
// the origin. It does not allocate.
//
// Nothing below a cut or a DNAME is found, also where there are records of that
// very name: they are glue or occluded (RFC 1034 §4.2.1, RFC 6672 §2.4).
func (v *Version) Lookup(m *Match, qname []byte) {
	rel := v.relative(qname)
	s := &m.search
	m.Node, m.Cut, m.DName, m.Wildcard = Node{}, Node{}, Node{}, Node{}
	v.sp.Lookup(&v.names, s, rel, flagsStop) // the apex is always there
	found := Node{v, s.Leaf}
	m.Encloser = found
	m.EncloserAt = s.Key.Offset(s.Depth)
	m.NextCloserAt = m.EncloserAt
	switch {
	case s.Exact:
		m.Node = found
		if found.IsCut() {
			m.Cut = found
		}
		return
	case !s.Stop:
	case found.IsCut():
		m.Cut = found
	default:
		m.DName = found
	}
	m.NextCloserAt = s.Key.Offset(s.Depth + 1)
	if !s.Stop && s.Leaf.Flags&flagWild != 0 {
		m.Wildcard = v.wildcard(&s.Key, rel[m.EncloserAt:])
	}
}

// wildcard returns the node of *.encloser. k is scratch.
func (v *Version) wildcard(k *qp.Key, encloser []byte) Node {
	var buf [256]byte
	name := append(append(buf[:0], 1, '*'), encloser...)
	l, ok := v.sp.Find(&v.names, k, name)
	return v.node(l, ok)
}
