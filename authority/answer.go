package authority

import (
	"onoma/dns"
	"onoma/zone"
)

// answer answers a question about our zones (RFC 1034 §4.3.2). It reports
// whether it could: not where NSEC3 cannot prove what must be proved.
func (w *worker) answer() bool {
	w.table = w.srv.zones.current.Load()
	w.sname, w.at = w.q.Name, dns.HeaderLen
	switch found := w.findZone(); {
	case !found:
		w.fail(dns.RCodeRefused, edeNotOurs)
		return true
	case w.v == nil:
		w.fail(dns.RCodeServFail, edeNoData)
		return true
	}
	w.aa, w.large = true, w.v.IsLarge()
	for w.step() {
	}
	if !w.prove() {
		return false
	}
	w.addresses()
	if w.q.Class == dns.ClassANY {
		// RFC 1035 §6.2: never authoritative unless all classes are covered.
		w.aa = false
	}
	return true
}

// findZone makes the zone that answers for sname the current one (step 2): the
// one with the longest origin, but for DS at an origin the parent's.
func (w *worker) findZone() bool {
	name := dns.AppendFolded(w.fold[:0], w.sname)
	z, at := w.table.enclosing(name, 0)
	if z == nil {
		return false
	}
	if w.q.Type == dns.TypeDS && at == 0 && len(name) > 1 {
		if parent := w.parentOf(name); parent != nil {
			z = parent
		}
	}
	w.useZone(z)
	return true
}

// useZone takes the zone's version, which stays for the whole of the answer
// unless the chain leads elsewhere meanwhile.
func (w *worker) useZone(z *zone.Zone) {
	if z != w.zone {
		w.zone, w.v, w.online = z, z.Current(), nil
		if w.v != nil && w.v.Denial() == zone.DenialCompact {
			w.online = z.Online()
		}
		// RFC 9824 §5.1: told in all responses of a zone to which it applies.
		w.co = w.co || w.q.CO && w.compact()
	}
}

// parentOf returns the zone that has the parent's side of the cut at origin. RFC
// 4035 §3.1.4.1: a server without it answers from the child that there is no DS.
// A zone further up, that has a delegation between, is not the parent.
func (w *worker) parentOf(origin []byte) *zone.Zone {
	z, _ := w.table.enclosing(origin, 1+int(origin[0]))
	if z == nil {
		return nil
	}
	v := z.Current()
	if v == nil {
		return nil
	}
	v.Lookup(&w.m, w.sname)
	if !w.m.Cut.IsZero() && w.m.Node.IsZero() {
		return nil
	}
	return z
}

// step matches sname (step 3) and reports whether an alias leads on.
func (w *worker) step() bool {
	w.v.Lookup(&w.m, w.sname)
	m := &w.m
	switch {
	case !m.Cut.IsZero() && (m.Node.IsZero() || w.q.Type != dns.TypeDS):
		w.referral()
	case !m.DName.IsZero():
		return w.dname()
	case !m.Node.IsZero():
		return w.found(m.Node)
	case !m.Wildcard.IsZero():
		// RFC 4592 §3.3.1-2: the source of synthesis, whose records get sname as
		// their owner. Its NS and DNAME mean nothing but themselves (§4.2, §4.4).
		return w.found(m.Wildcard)
	default:
		w.nxdomain()
	}
	return false
}

// found answers from node, which is sname's own or the wildcard that matches it.
func (w *worker) found(node zone.Node) bool {
	synthesised := w.m.Node.IsZero()
	switch w.q.Type {
	case dns.TypeANY:
		w.any(node, synthesised)
		return false
	case dns.TypeRRSIG:
		if w.signatures(node, synthesised) {
			return false
		}
	case dns.TypeNSEC:
		if w.online != nil {
			w.nsec(node)
			return false
		}
	}
	if set, ok := node.RRset(w.q.Type); ok {
		w.fate = fateAnswer
		if !w.brought(node, set, synthesised) {
			w.give(set, synthesised)
		}
		if synthesised {
			w.owe(proofWildcard)
		}
		if set.Type() == dns.TypeNS && len(w.sname) == 1 {
			w.hosts = set // of the root, RFC 9609 §4: what priming resolvers come for
		}
		return false
	}
	if node.HasCNAME() {
		return w.cname(node, synthesised)
	}
	w.nodata(synthesised)
	return false
}

// brought reports whether the chain has put set into the answer section before:
// a DNAME that leads to its own owner. A synthesised one has another owner.
func (w *worker) brought(node zone.Node, set zone.RRset, synthesised bool) bool {
	return set.Type() == dns.TypeDNAME && !synthesised && !w.show(node, dns.TypeDNAME)
}

// any answers QTYPE ANY: over UDP with one RRset, which is enough for a client
// that has lost its way and little for one that never sent the question (RFC
// 8482 §4.1, §4.4); over TCP with all of them.
func (w *worker) any(node zone.Node, synthesised bool) {
	none := true
	w.fate = fateAnswer
	for set := range node.RRsets() {
		none = false
		if !w.brought(node, set, synthesised) {
			w.give(set, synthesised)
		}
		if w.full || !w.tcp {
			break
		}
		if sigs, ok := set.Sigs(); ok && !w.q.DO && (!synthesised || w.online == nil) {
			// RFC 4035 §3.1: without DO, signatures are RRsets like any other.
			w.need(dns.SectionAnswer, w.here(0), sigs)
		}
	}
	switch {
	case none:
		w.nodata(synthesised)
		return
	case synthesised:
		w.owe(proofWildcard)
	}
}

// signatures answers QTYPE RRSIG, and reports whether there is anything to
// answer. RFC 4034 §3: each signature has the TTL of what it covers, so that
// these are not one RRset in the sense of RFC 2181 §5.2.
func (w *worker) signatures(node zone.Node, synthesised bool) bool {
	if w.online != nil && (synthesised || node.IsENT()) {
		w.signatureOfNSEC(node)
		return true
	}
	some := false
	for set := range node.RRsets() {
		if sigs, ok := set.Sigs(); ok {
			some = true
			w.need(dns.SectionAnswer, w.here(0), sigs)
		}
	}
	if some {
		w.fate = fateAnswer
	}
	if some && synthesised {
		w.owe(proofWildcard)
	}
	return some
}

// nodata answers that the name exists, and the type does not.
func (w *worker) nodata(synthesised bool) {
	w.fate = fateNoData
	w.soa()
	if synthesised {
		w.owe(proofWildcardNoData)
	} else {
		w.owe(proofNoData)
	}
}

// nxdomain answers that neither the name nor anything below it exists (RFC
// 8020). The code is that of the last name of a chain (RFC 6604 §3).
func (w *worker) nxdomain() {
	w.fate = fateNXDomain
	if !w.compact() || w.q.CO {
		// RFC 9824 §3.1: else the NSEC tells it, to a client that wants DNSSEC.
		w.rcode = dns.RCodeNXDomain
	}
	w.soa()
	w.owe(proofNameError)
}

// soa adds the SOA that says how long a negative answer holds: the least of its
// own TTL and its MINIMUM (RFC 2308 §3).
func (w *worker) soa() {
	set := w.v.SOA()
	if w.readySOA(set) {
		return
	}
	apex := w.here(len(w.sname) - w.v.Origin().Len())
	w.needTTL(dns.SectionAuthority, apex, set, dns.SOAMinimum(set.First()))
}
