package authority

import (
	"onoma/dns"
	"onoma/zone"
)

// prove adds a node's NSEC or NSEC3 record, once.
func (w *worker) prove(n zone.Node, t dns.Type) {
	if n.IsZero() || w.proven == len(w.proofs) {
		return
	}
	for _, p := range w.proofs[:w.proven] {
		if p.Equal(n) {
			return
		}
	}
	w.proofs[w.proven] = n
	w.proven++
	if set, ok := n.RRset(t); ok {
		w.add(dns.SectionAuthority, n.AppendName(w.owner[:0]), set)
	}
}

// denial returns the kind of proof that is to be given, none without DO.
func (w *worker) denial(v *zone.Version) zone.Denial {
	if !w.q.DO {
		return zone.DenialNone
	}
	return v.Denial()
}

// proveNoName proves that neither the name nor a wildcard for it exists.
func (w *worker) proveNoName(v *zone.Version) {
	switch w.denial(v) {
	case zone.DenialNSEC: // RFC 4035 §3.1.3.2
		w.prove(v.NSECCover(w.name), dns.TypeNSEC)
		w.prove(v.NSECCover(w.wildcardName(w.m.EncloserAt)), dns.TypeNSEC)
	case zone.DenialNSEC3: // RFC 5155 §7.2.2
		encloser := w.proveEncloser(v, w.name, w.m.EncloserAt, w.m.NextCloserAt)
		n, _ := v.NSEC3Name(w.wildcardName(encloser))
		w.prove(n, dns.TypeNSEC3)
	}
}

// wildcardName returns the wildcard below an ancestor of the name. It uses w.owner.
func (w *worker) wildcardName(encloser int) []byte {
	return append(append(w.owner[:0], 1, '*'), w.name[encloser:]...)
}

// proveEncloser is the closest encloser proof of RFC 5155 §7.2.1: a record that
// matches the closest encloser, and one that covers the next closer name. Both
// are given as where they begin in name; the encloser proven is returned.
//
// It goes up from an encloser that has no record of its own, as an empty
// non-terminal has not that only opted-out names lie below: what is proven is
// the "closest provable encloser".
func (w *worker) proveEncloser(v *zone.Version, name []byte, encloser, next int) int {
	apex := len(name) - v.Origin().Len()
	for {
		n, exact := v.NSEC3Name(name[encloser:])
		if exact {
			w.prove(n, dns.TypeNSEC3)
			break
		}
		if encloser >= apex {
			return encloser // a chain without the apex proves nothing
		}
		next, encloser = encloser, encloser+int(name[encloser])+1
	}
	if n, exact := v.NSEC3Name(name[next:]); !exact {
		w.prove(n, dns.TypeNSEC3)
	}
	return encloser
}

// proveNoData proves that n, the name itself, lacks the type.
func (w *worker) proveNoData(v *zone.Version, n zone.Node) {
	switch w.denial(v) {
	case zone.DenialNSEC: // RFC 4035 §3.1.3.1; an empty non-terminal is covered, not matched
		w.prove(v.NSECCover(w.name), dns.TypeNSEC)
	case zone.DenialNSEC3: // RFC 5155 §7.2.3 and §7.2.4
		w.proveNSEC3Type(v, n, w.name)
	}
}

// proveNSEC3Type adds the record that matches the name, or where it was opted
// out the closest provable encloser proof.
func (w *worker) proveNSEC3Type(v *zone.Version, n zone.Node, name []byte) {
	if match, exact := v.NSEC3For(n); exact {
		w.prove(match, dns.TypeNSEC3)
		return
	}
	w.proveEncloser(v, name, int(name[0])+1, 0)
}

// proveNoDS proves that a delegation is insecure (RFC 4035 §3.1.4, RFC 5155 §7.2.7).
func (w *worker) proveNoDS(v *zone.Version, cut zone.Node) {
	name := w.name[w.m.EncloserAt:]
	if v.Denial() == zone.DenialNSEC {
		w.prove(v.NSECCover(name), dns.TypeNSEC)
		return
	}
	w.proveNSEC3Type(v, cut, name)
}

// expansion is a name that was answered from a wildcard: what is to be proven
// once the answer section is complete.
type expansion struct {
	version *zone.Version
	name    []byte
	next    int // where the next closer name begins in name
}

// expanded remembers that w.name was answered from a wildcard.
func (w *worker) expanded(v *zone.Version) {
	if w.denial(v) != zone.DenialNone && w.wild < len(w.wilds) {
		w.wilds[w.wild] = expansion{v, w.name, w.m.NextCloserAt}
		w.wild++
	}
}

// proveWildcards proves of each name answered from a wildcard that no closer
// name exists. The authority section begins with it.
func (w *worker) proveWildcards() {
	for i := range w.wild {
		x := w.wilds[i]
		switch x.version.Denial() {
		case zone.DenialNSEC: // RFC 4035 §3.1.3.3
			w.prove(x.version.NSECCover(x.name), dns.TypeNSEC)
		case zone.DenialNSEC3: // RFC 5155 §7.2.6
			n, _ := x.version.NSEC3Name(x.name[x.next:])
			w.prove(n, dns.TypeNSEC3)
		}
	}
	w.wild = 0
}

// proveWildcardNoData proves that the wildcard which stands for the name lacks
// the type.
func (w *worker) proveWildcardNoData(v *zone.Version) {
	switch w.denial(v) {
	case zone.DenialNSEC: // RFC 4035 §3.1.3.4
		w.prove(w.m.Wildcard, dns.TypeNSEC)
		w.prove(v.NSECCover(w.name), dns.TypeNSEC)
	case zone.DenialNSEC3: // RFC 5155 §7.2.5
		w.proveEncloser(v, w.name, w.m.EncloserAt, w.m.NextCloserAt)
		n, _ := v.NSEC3For(w.m.Wildcard)
		w.prove(n, dns.TypeNSEC3)
	}
}
