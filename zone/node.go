package zone

import (
	"iter"

	"onoma/dns"
	"onoma/zone/qp"
)

// Node is a name of a version with its RRsets: a small value, copied freely.
// The zero Node is none.
type Node struct {
	v    *Version
	leaf qp.Leaf
}

// IsZero reports whether n is no node.
func (n Node) IsZero() bool { return n.v == nil }

// AppendName appends the owner name to dst, in wire form and in its own case.
func (n Node) AppendName(dst []byte) []byte {
	dst = append(dst, n.v.sp.Name(n.leaf)...)
	return append(dst, n.v.origin.Wire()...)
}

// AppendRelative appends the labels of the owner name in front of the origin.
func (n Node) AppendRelative(dst []byte) []byte { return append(dst, n.v.sp.Name(n.leaf)...) }

// In reports whether n is a node of v.
func (n Node) In(v *Version) bool { return n.v == v }

// Name returns the owner name; it allocates.
func (n Node) Name() dns.Name {
	if n.IsZero() {
		return dns.Name{}
	}
	var buf [dns.MaxNameLen]byte
	name, _ := dns.NameFromWire(n.AppendName(buf[:0]))
	return name
}

// Equal reports whether n and m are the same node of the same version.
func (n Node) Equal(m Node) bool { return n.v == m.v && n.leaf.Ref == m.leaf.Ref }

// ID tells the node from all others of its version. It is not 0.
func (n Node) ID() uint32 { return n.leaf.Ref }

// IsApex reports whether the node's name is the origin.
func (n Node) IsApex() bool { return n.leaf.Flags&flagApex != 0 }

// IsCut reports whether the node is a delegation: NS below the apex.
func (n Node) IsCut() bool { return n.leaf.Flags&flagCut != 0 }

// HasDS reports whether the node has a DS RRset: at a cut, a signed delegation.
func (n Node) HasDS() bool { return n.leaf.Flags&flagDS != 0 }

// HasCNAME reports whether the node is an alias.
func (n Node) HasCNAME() bool { return n.leaf.Flags&flagCNAME != 0 }

// HasDNAME reports whether the node owns a DNAME.
func (n Node) HasDNAME() bool { return n.leaf.Flags&flagDNAME != 0 }

// IsENT reports whether the node is an empty non-terminal (RFC 4592 §2.2.2): a
// name without records that exists because others lie below it.
func (n Node) IsENT() bool { return n.leaf.Flags&flagENT != 0 }

// Has reports whether the node has an RRset of type t.
func (n Node) Has(t dns.Type) bool {
	_, ok := n.slot(t)
	return ok
}

// slot returns the slot of type t that has records.
func (n Node) slot(t dns.Type) ([]byte, bool) {
	if n.v == nil {
		return nil, false
	}
	count, b := slots(n.v.sp.At(n.leaf.Ref))
	for ; count > 0; count-- {
		if slotType(b) == t {
			return b, b[2]&formSigsOnly == 0
		}
		b = b[slotLen(b):]
	}
	return nil, false
}

// RRset returns the RRset of type t. That of RRSIG is all signatures of the node.
func (n Node) RRset(t dns.Type) (RRset, bool) {
	if t == dns.TypeRRSIG {
		return n.signatures()
	}
	b, ok := n.slot(t)
	if !ok {
		return RRset{}, false
	}
	return n.read(b), true
}

// read returns the RRset of a slot that has records.
func (n Node) read(b []byte) RRset {
	s := RRset{v: n.v, owner: n.leaf.Ref, typ: slotType(b)}
	form, at := b[2], 0
	if form&formShared != 0 {
		s.shared = le.Uint32(b[slotHead:])
		s.body, s.hosts, _ = readShared(n.v.sp.At(s.shared))
		at = slotHead + 4
	} else {
		s.body, at = readBody(b[slotHead:], form&formWide != 0)
		at += slotHead
	}
	if form&formSigned != 0 {
		s.sigs, s.wideSigs = b[at:], form&formWideSigs != 0
	}
	return s
}

// RRsets yields the RRsets, the SOA first and then by ascending type. RRSIGs
// come with what they cover ([RRset.Sigs]).
func (n Node) RRsets() iter.Seq[RRset] {
	return func(yield func(RRset) bool) {
		if n.v == nil {
			return
		}
		count, b := slots(n.v.sp.At(n.leaf.Ref))
		for ; count > 0; count-- {
			if b[2]&formSigsOnly == 0 && !yield(n.read(b)) {
				return
			}
			b = b[slotLen(b):]
		}
	}
}

// signatureSets yields the RRSIG RRsets by covered type, also those that cover
// nothing.
func (n Node) signatureSets() iter.Seq[RRset] {
	return func(yield func(RRset) bool) {
		count, b := slots(n.v.sp.At(n.leaf.Ref))
		for ; count > 0; count-- {
			if form := b[2]; form&formSigned != 0 {
				set, _ := readBody(b[sigsAt(b):], form&formWideSigs != 0)
				if !yield(RRset{v: n.v, owner: n.leaf.Ref, typ: dns.TypeRRSIG, body: set}) {
					return
				}
			}
			b = b[slotLen(b):]
		}
	}
}

// signatures puts all RRSIG records of the node together. Questions for RRSIG
// are rare, so that it may copy where there are several sets.
func (n Node) signatures() (RRset, bool) {
	if n.v == nil {
		return RRset{}, false
	}
	var all RRset
	for s := range n.signatureSets() {
		switch {
		case all.IsZero():
			all = s
		default:
			// RFC 2181 §5.2: one TTL for an RRset, so the least one.
			all.ttl = min(all.ttl, s.ttl)
			all.count += s.count
			all.packed = append(all.packed, s.packed...)
		}
	}
	return all, !all.IsZero()
}
