package authority

import (
	"onoma/dns"
	"onoma/zone"
)

// proofKind says what has to be proved to a client that wants DNSSEC.
type proofKind uint8

const (
	proofNoData         proofKind = iota // RFC 4035 §3.1.3.1, RFC 5155 §7.2.3-4
	proofNoDS                            // RFC 4035 §3.1.4, RFC 5155 §7.2.7
	proofNameError                       // RFC 4035 §3.1.3.2, RFC 5155 §7.2.2
	proofWildcard                        // RFC 4035 §3.1.3.3, RFC 5155 §7.2.6
	proofWildcardNoData                  // RFC 4035 §3.1.3.4, RFC 5155 §7.2.5
)

// proof is what one step of the chain still owes: the records stand in the
// authority section, when the answer section is complete.
type proof struct {
	kind         proofKind
	v            *zone.Version
	name         []byte
	node         zone.Node // name's own, that of the cut, or the wildcard
	encloser     zone.Node
	encloserAt   int // where these names begin in name
	nextCloserAt int
}

// shown is an RRset that is in the message and must not be in it twice.
type shown struct {
	node zone.Node
	typ  dns.Type
}

// maxShown is how many of them an answer can have: for each step three proofs
// and a DNAME.
const maxShown = 4 * (maxLinks + 1)

// owe notes a proof about what the last Lookup found.
func (w *worker) owe(kind proofKind) {
	if !w.q.DO || w.v.Denial() == zone.DenialNone {
		return
	}
	if w.v.Denial() == zone.DenialCompact && (w.online == nil || kind == proofWildcard) {
		return // nobody to make it, or none needed: the expansion has a signature of its own
	}
	m := &w.m
	p := &w.proof[w.proofs]
	w.proofs++
	p.kind, p.v, p.name = kind, w.v, w.sname
	p.encloser, p.encloserAt, p.nextCloserAt = m.Encloser, m.EncloserAt, m.NextCloserAt
	switch kind {
	case proofNoData:
		p.node = m.Node
	case proofNoDS:
		p.node = m.Cut
	case proofNameError:
		p.node = zone.Node{}
	case proofWildcard, proofWildcardNoData:
		p.node = m.Wildcard
	}
}

// prove adds all proofs that are owed, the last step's first, which says more
// about the question. It fails where a hash collision forbids a proof.
func (w *worker) prove() bool {
	for i := w.proofs - 1; i >= 0 && !w.full; i-- {
		p := &w.proof[i]
		switch p.v.Denial() {
		case zone.DenialNSEC:
			w.proveNSEC(p)
		case zone.DenialCompact:
			w.proveCompact(p)
		default:
			if !w.proveNSEC3(p) {
				return false
			}
		}
	}
	return true
}

func (w *worker) proveNSEC(p *proof) {
	switch p.kind {
	case proofNoData, proofNoDS:
		if p.node.Has(dns.TypeNSEC) {
			w.showNSEC(p.node)
			return
		}
		// An empty non-terminal has none of its own: the one before it spans it.
		w.showNSEC(p.v.NSECCover(p.name[p.encloserAt:]))
	case proofWildcard:
		w.showNSEC(p.v.NSECCover(p.name))
	case proofNameError, proofWildcardNoData:
		// That sname does not exist; and that the wildcard does not either, or
		// has no such type: one NSEC may do for both.
		w.showNSEC(p.v.NSECCover(p.name))
		w.showNSEC(p.v.NSECCover(w.wildcardOf(p.name[p.encloserAt:])))
	}
}

// wildcardOf returns the name *.encloser, good until the next use of w.owner.
func (w *worker) wildcardOf(encloser []byte) []byte {
	return append(append(w.owner[:0], 1, '*'), encloser...)
}

func (w *worker) showNSEC(n zone.Node) { w.showSet(n, dns.TypeNSEC) }

// showSet adds a record of denial, unless it is there already.
func (w *worker) showSet(n zone.Node, t dns.Type) {
	set, ok := n.RRset(t)
	switch {
	case !ok || !w.show(n, t):
	case t == dns.TypeNSEC3:
		w.need(dns.SectionAuthority, w.ofHash(n), set)
	default:
		w.need(dns.SectionAuthority, w.of(n), set)
	}
}

// show reports whether n's RRset of type t is not in the message yet, and notes
// that it now is.
func (w *worker) show(n zone.Node, t dns.Type) bool {
	for i := range w.shown[:w.sent] {
		if s := &w.shown[i]; s.typ == t && s.node.Equal(n) {
			return false
		}
	}
	if w.sent == len(w.shown) {
		return false
	}
	w.shown[w.sent] = shown{n, t}
	w.sent++
	return true
}
