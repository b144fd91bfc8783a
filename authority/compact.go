package authority

import (
	"onoma/dns"
	"onoma/zone"
)

// Answers of zones that have no chain of denial and are signed when asked (RFC
// 9824). Everything that is in such a zone has its signatures there; these are
// the answers that are made up: NSEC records, and what wildcards stand for, under
// the name that was asked for, so that nobody sees where a wildcard is.

// made is an RRset for one answer, and its signatures. The buffers stay.
type made struct {
	set     zone.Unsigned
	records []byte
	sigs    []byte
	types   []dns.Type
}

// compact reports whether what is missing in the current zone is to be signed.
func (w *worker) compact() bool { return w.online != nil && w.q.DO }

// give answers with a set of sname's node or of the wildcard that matches it.
func (w *worker) give(set zone.RRset, synthesised bool) bool {
	if !synthesised || !w.compact() {
		return w.need(dns.SectionAnswer, w.here(0), set)
	}
	w.made.set = zone.Unsigned{Owner: w.sname, Type: set.Type(), TTL: set.TTL(), Packed: set.Packed()}
	return w.needMade(dns.SectionAnswer, w.here(0))
}

// needMade adds the set that was made, signed, or has the response truncated.
func (w *worker) needMade(s dns.Section, p place) bool {
	if w.full || w.q.DO && !w.signMade() {
		return false
	}
	u := &w.made.set
	m := w.b.Mark()
	if w.packed(s, &p, u.Type, u.TTL, u.Packed) && (!w.q.DO || w.packed(s, &p, dns.TypeRRSIG, u.TTL, w.made.sigs)) {
		return true
	}
	w.b.Rollback(m)
	w.full = true
	return false
}

// signMade signs the set that was made. Where that fails there is no answer:
// nothing unsigned comes out of a signed zone. What the limiter will not let out
// is not worth a signature.
func (w *worker) signMade() bool {
	if !w.isLetOut() {
		w.full, w.unsigned = true, true
		return false
	}
	u := &w.made.set
	u.Patient = w.patient
	var outcome zone.Signing
	w.made.sigs, outcome = w.online.Sign(w.made.sigs[:0], u)
	if outcome != zone.Signed {
		w.full, w.unsigned, w.later = true, true, outcome == zone.Later
	}
	return outcome == zone.Signed
}

// proveCompact adds the NSEC that says all about the last name of the chain: what
// types it has, or that it does not exist.
func (w *worker) proveCompact(p *proof) {
	at := 0
	if p.kind == proofNoDS {
		at = p.encloserAt
	}
	w.makeNSEC(p.name[at:], p.node)
	w.needMade(dns.SectionAuthority, w.here(at))
}

// nsec answers QTYPE NSEC. Since every name that exists has one, this is no
// denial.
func (w *worker) nsec(node zone.Node) {
	w.fate = fateAnswer
	w.makeNSEC(w.sname, node)
	w.needMade(dns.SectionAnswer, w.here(0))
}

// signatureOfNSEC answers QTYPE RRSIG at a name that has no signatures in the
// zone, or those of a wildcard: with one, as RFC 8482 §4.1 does for ANY.
func (w *worker) signatureOfNSEC(node zone.Node) {
	w.fate = fateAnswer
	w.makeNSEC(w.sname, node)
	if w.full || !w.signMade() {
		return
	}
	p := w.here(0)
	w.full = !w.packed(dns.SectionAnswer, &p, dns.TypeRRSIG, w.made.set.TTL, w.made.sigs)
}

// makeNSEC makes the NSEC of name in the current zone. node has its types: it is
// name's own or the wildcard that matches it; the zero one for a name that does
// not exist.
func (w *worker) makeNSEC(name []byte, node zone.Node) {
	m := &w.made
	m.types = append(appendTypes(m.types[:0], node), dns.TypeRRSIG, dns.TypeNSEC)
	if node.IsZero() {
		m.types = append(m.types, dns.TypeNXNAME) // RFC 9824 §3.1
	}
	m.records = appendSuccessor(append(m.records[:0], 0, 0), name, w.v.Origin().Len())
	m.records = dns.AppendTypeBitmap(m.records, m.types...)
	n := len(m.records) - 2
	m.records[0], m.records[1] = byte(n>>8), byte(n)
	soa := w.v.SOA()
	m.set = zone.Unsigned{
		Owner: name, Type: dns.TypeNSEC,
		TTL:    min(soa.TTL(), dns.SOAMinimum(soa.First())), // RFC 9077 §3.1
		Packed: m.records,
		Known:  !w.m.Node.IsZero() || !w.m.Cut.IsZero(),
	}
}

// appendTypes appends the types that the parent's side of a name has. RFC 4035
// §2.3: at a cut only NS and DS are that.
func appendTypes(types []dns.Type, node zone.Node) []dns.Type {
	for set := range node.RRsets() {
		switch t := set.Type(); {
		case t == dns.TypeNSEC:
		case node.IsCut() && t != dns.TypeNS && t != dns.TypeDS:
		default:
			types = append(types, t)
		}
	}
	return types
}

// appendSuccessor appends the name that follows name in canonical order, in lower
// case, so that all spellings of a name have the same NSEC: RFC 9824 §3.1 has the
// immediate successor, which is the name with a label of one zero octet before it.
// Where a name is too long for that, it is what RFC 4471 §3.1.2 has instead. The
// zone's last name has its first behind it: the origin (RFC 4034 §4.1.1), which is
// the last origin octets of name.
func appendSuccessor(dst, name []byte, origin int) []byte {
	if len(name)+2 <= dns.MaxNameLen {
		return dns.AppendFolded(append(dst, 1, 0), name)
	}
	for at := 0; len(name)-at > origin; at += 1 + int(name[at]) {
		label, rest := name[at+1:at+1+int(name[at])], name[at+1+int(name[at]):]
		if len(label) < dns.MaxLabelLen && len(name)-at < dns.MaxNameLen {
			dst = dns.AppendFolded(append(dst, byte(len(label)+1)), label)
			return dns.AppendFolded(append(dst, 0), rest)
		}
		if n := lastBelow(label); n > 0 {
			dst = dns.AppendFolded(append(dst, byte(n)), label[:n])
			dst[len(dst)-1] = nextOctet(dst[len(dst)-1])
			return dns.AppendFolded(dst, rest)
		}
	}
	return dns.AppendFolded(dst, name[len(name)-origin:])
}

// lastBelow returns the length of label without the octets at its end that have
// none behind them.
func lastBelow(label []byte) int {
	n := len(label)
	for n > 0 && label[n-1] == 0xFF {
		n--
	}
	return n
}

// nextOctet returns the octet that follows c in the order of names, in which
// there are no capitals.
func nextOctet(c byte) byte {
	if c == 'A'-1 {
		return 'Z' + 1
	}
	return c + 1
}
