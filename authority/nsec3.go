package authority

import (
	"onoma/dns"
	"onoma/zone"
)

// proveNSEC3 adds one proof. It fails where a name that does not exist hashes
// to that of an NSEC3 record, so that nothing can prove its absence: "the server
// MUST return a response with an RCODE of 2" (RFC 5155 §7.2.9).
func (w *worker) proveNSEC3(p *proof) bool {
	switch p.kind {
	case proofNoData, proofNoDS:
		if n, exact := p.v.NSEC3For(p.node); exact {
			w.showNSEC3(n)
			return true
		}
		// Without an NSEC3 of its own it is an insecure delegation within an
		// opt-out span, or an empty non-terminal that leads to nothing else: RFC
		// 5155 §7.2.4 and §7.2.7 have the closest provable encloser instead.
		_, ok := w.proveEncloser(p, p.node, p.encloserAt)
		return ok
	case proofNameError:
		at, ok := w.proveEncloser(p, p.encloser, p.encloserAt)
		return ok && w.proveNoWildcard(p, at)
	case proofWildcard:
		return w.coverNSEC3(p.v, p.name[p.nextCloserAt:])
	default:
		at, ok := w.proveEncloser(p, p.encloser, p.encloserAt)
		if ok && at == p.encloserAt {
			n, _ := p.v.NSEC3For(p.node)
			w.showNSEC3(n)
		}
		return ok
	}
}

// proveEncloser adds the closest encloser proof (RFC 5155 §7.2.1): the NSEC3
// that matches the deepest ancestor that has one, from node at name[at:]
// upwards, and the one that covers the name a label longer. It returns where
// that encloser begins.
func (w *worker) proveEncloser(p *proof, node zone.Node, at int) (int, bool) {
	next, cover := p.nextCloserAt, zone.Node{}
	n, exact := p.v.NSEC3For(node)
	for !exact {
		if n.IsZero() || len(p.name)-at <= p.v.Origin().Len() {
			return at, false // not even the apex has one: the chain is broken
		}
		next, cover = at, n
		at += 1 + int(p.name[at])
		n, exact = p.nsec3Above(at)
	}
	w.showNSEC3(n)
	if !cover.IsZero() {
		w.showNSEC3(cover)
		return at, true
	}
	return at, w.coverNSEC3(p.v, p.name[next:])
}

// nsec3Above is NSEC3Name for an ancestor of the name. That of the apex is known.
func (p *proof) nsec3Above(at int) (n zone.Node, exact bool) {
	if len(p.name)-at == p.v.Origin().Len() {
		return p.v.NSEC3For(p.v.Apex())
	}
	return p.v.NSEC3Name(p.name[at:])
}

// proveNoWildcard adds the NSEC3 that covers *.encloser. Where the encloser is
// not the true one, but the next above that is in the chain, there may be such a
// wildcard: the opt-out span that was shown makes the answer insecure anyway.
func (w *worker) proveNoWildcard(p *proof, at int) bool {
	n, exact := p.v.NSEC3Name(w.wildcardOf(p.name[at:]))
	if exact {
		return at != p.encloserAt
	}
	w.showNSEC3(n)
	return true
}

// coverNSEC3 adds the NSEC3 that covers a name which does not exist.
func (w *worker) coverNSEC3(v *zone.Version, name []byte) bool {
	n, exact := v.NSEC3Name(name)
	if exact {
		return false
	}
	w.showNSEC3(n)
	return true
}

func (w *worker) showNSEC3(n zone.Node) { w.showSet(n, dns.TypeNSEC3) }
