package authority

import (
	"onoma/dns"
	"onoma/zone"
)

// cname answers with the alias at sname and goes to its target.
func (w *worker) cname(node zone.Node, synthesised bool) bool {
	w.fate = fateAlias
	set, ok := node.RRset(dns.TypeCNAME)
	if !ok || !w.give(set, synthesised) {
		return false
	}
	if synthesised {
		w.owe(proofWildcard)
	}
	return w.follow(set.First())
}

// dname answers with the DNAME above sname and the CNAME that follows from it
// (RFC 6672 §3.2), and goes to where that leads.
func (w *worker) dname() bool {
	set, ok := w.m.DName.RRset(dns.TypeDNAME)
	if !ok {
		return false
	}
	if w.show(w.m.DName, dns.TypeDNAME) && !w.need(dns.SectionAnswer, w.here(w.m.EncloserAt), set) {
		return false
	}
	target := set.First()
	if w.m.EncloserAt+len(target) > dns.MaxNameLen {
		w.rcode, w.fate = dns.RCodeYXDomain, fateAnswer // RFC 6672 §2.2
		return false
	}
	next := append(w.names[w.links][:0], w.sname[:w.m.EncloserAt]...)
	next = append(next, target...)
	// RFC 6672 §3.1: with the DNAME's TTL, and never signed (§5.3.1).
	here := w.here(0)
	if !w.record(dns.SectionAnswer, &here, dns.TypeCNAME, set.TTL(), next) {
		w.full = true
		return false
	}
	if w.q.Type == dns.TypeCNAME {
		w.fate = fateAnswer // the CNAME that is asked for (RFC 1034 §4.3.2 step 3a)
		return false
	}
	return w.follow(next)
}

// follow makes target the name to be answered, and reports whether it is ours
// to answer: in one of our zones, and neither where the chain has been already
// nor one too many. The answer then is the chain so far, with NOERROR; AA is
// about its first name (RFC 1035 §4.1.1).
func (w *worker) follow(target []byte) bool {
	w.fate = fateAlias
	w.visited[w.links] = w.sname
	w.links++
	for _, name := range w.visited[:w.links] {
		if dns.EqualNames(name, target) {
			return false
		}
	}
	if w.links == maxLinks {
		return false
	}
	w.sname, w.at = target, 0
	return w.findZone() && w.v != nil
}
