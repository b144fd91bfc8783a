package authority

import (
	"encoding/binary"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// answer finds the zone and follows the question through all zones that are
// here, alias by alias.
func (w *worker) answer(proto transport.Proto) {
	zones := *w.server.zones.Load()
	v := w.version(zones)
	if v == nil {
		return
	}
	if w.q.Type == dns.TypeAXFR || w.q.Type == dns.TypeIXFR {
		w.fail(dns.RCodeRefused, dns.EDEProhibited) // RFC 5936 §2.2.1: no permission
		return
	}
	w.authoritative()
	for w.step(v, proto) {
		if v = w.target(zones); v == nil {
			break
		}
	}
	w.proveWildcards()
}

// version returns the zone version that the question is for.
func (w *worker) version(zones table) *zone.Version {
	n := copy(w.folded[:], w.name)
	name := w.folded[:n]
	dns.FoldName(name)
	var z *zone.Zone
	if w.q.Type == dns.TypeDS && n > 1 {
		// RFC 4035 §3.1.4.1: DS is the parent's, if a zone above is here.
		z = zones.find(name, true)
	}
	if z == nil {
		z = zones.find(name, false)
	}
	if z == nil {
		w.fail(dns.RCodeRefused, dns.EDENotAuthoritative)
		return nil
	}
	v := z.Current()
	if v == nil {
		w.fail(dns.RCodeServFail, dns.EDENotReady)
	}
	return v
}

// target returns the version of the zone that the last alias leads into, nil
// where it leads out of all zones, or around.
func (w *worker) target(zones table) *zone.Version {
	for i := range w.links - 1 {
		if dns.EqualNames(w.chainName(i), w.name) {
			return nil
		}
	}
	if dns.EqualNames(w.q.Name, w.name) {
		return nil
	}
	n := copy(w.folded[:], w.name)
	dns.FoldName(w.folded[:n])
	z := zones.find(w.folded[:n], false)
	if z == nil {
		return nil
	}
	return z.Current()
}

func (w *worker) chainName(i int) []byte {
	name := w.chain[i][:]
	n, err := dns.WireNameLen(name)
	if err != nil {
		return nil
	}
	return name[:n]
}

// step answers for w.name from one zone. It returns true where an alias makes
// w.name another name.
func (w *worker) step(v *zone.Version, proto transport.Proto) bool {
	m := &w.m
	v.Lookup(m, w.name)
	ds := w.q.Type == dns.TypeDS && !m.Node.IsZero() && !m.Node.IsApex()
	switch {
	case !m.Cut.IsZero() && !ds:
		w.referral(v)
	case !m.DName.IsZero():
		return w.dname()
	case !m.Node.IsZero():
		return w.node(v, m.Node, proto, false)
	case !m.Wildcard.IsZero():
		return w.node(v, m.Wildcard, proto, true)
	default:
		w.rcode = dns.RCodeNXDomain
		w.soa(v)
		w.proveNoName(v)
	}
	return false
}

// node answers from a name that exists, or from the wildcard that stands for it.
func (w *worker) node(v *zone.Version, n zone.Node, proto transport.Proto, wild bool) bool {
	if w.q.Type == dns.TypeANY {
		return w.none(v, n, w.any(n, proto), wild)
	}
	set, ok := n.RRset(w.q.Type)
	alias := false
	if !ok {
		set, ok = n.RRset(dns.TypeCNAME)
		alias = ok
	}
	if ok {
		w.add(dns.SectionAnswer, w.name, set)
	}
	w.none(v, n, ok, wild)
	if ok && set.Type() == dns.TypeNS && n.IsApex() {
		w.proveWildcards()
		truncated := w.truncated
		w.glue(set)             // RFC 9609 §3: what a resolver primes with
		w.truncated = truncated // RFC 9609 §4.2: addresses that do not fit are no reason for TC
	}
	return alias && w.follow(set.First())
}

// none adds the proof of what is not there: the type, or a closer name than
// the wildcard.
func (w *worker) none(v *zone.Version, n zone.Node, found, wild bool) bool {
	switch {
	case found && wild:
		w.expanded(v)
	case wild:
		w.soa(v)
		w.proveWildcardNoData(v)
	case !found:
		w.soa(v)
		w.proveNoData(v, n)
	}
	return false
}

// any answers a question for all types: over UDP with one RRset (RFC 8482
// §4.1), else with all.
func (w *worker) any(n zone.Node, proto transport.Proto) bool {
	found := false
	for set := range n.RRsets() {
		found = true
		if proto == transport.UDP {
			w.add(dns.SectionAnswer, w.name, set)
			break
		}
		// Signatures are records of the name too: all means all, DO or not.
		w.addTTL(dns.SectionAnswer, w.name, set, set.TTL(), true)
	}
	return found
}

// follow makes target the next name. It fails where the chain is too long.
func (w *worker) follow(target []byte) bool {
	if w.links == maxChain || w.truncated {
		return false
	}
	n := copy(w.chain[w.links][:], target)
	w.name = w.chain[w.links][:n]
	w.links++
	return true
}

// dname answers for a name below a DNAME: the DNAME, and the CNAME that it
// makes of it (RFC 6672 §3.1).
func (w *worker) dname() bool {
	set, ok := w.m.DName.RRset(dns.TypeDNAME)
	if !ok {
		w.fail(dns.RCodeServFail, dns.EDEOther)
		return false
	}
	owner := w.name[w.m.EncloserAt:]
	w.add(dns.SectionAnswer, owner, set)
	target := set.First()
	prefix := w.name[:w.m.EncloserAt]
	if len(prefix)+len(target) > dns.MaxNameLen {
		w.rcode = dns.RCodeYXDomain // RFC 6672 §2.2
		return false
	}
	data := append(append(w.owner[:0], prefix...), target...)
	if !w.truncated && !w.record(dns.SectionAnswer, w.name, dns.TypeCNAME, set.TTL(), data) {
		w.truncated = true
	}
	return !(w.q.Type == dns.TypeCNAME) && w.follow(data)
}

// referral says who serves the names below a cut.
func (w *worker) referral(v *zone.Version) {
	if w.links == 0 {
		w.b.SetFlags(w.b.Flags() &^ dns.FlagAA)
	}
	w.proveWildcards()
	cut := w.m.Cut
	set, ok := cut.RRset(dns.TypeNS)
	if !ok {
		w.fail(dns.RCodeServFail, dns.EDEOther)
		return
	}
	owner := w.name[w.m.EncloserAt:]
	w.addUnsigned(dns.SectionAuthority, owner, set)
	if w.q.DO && v.Denial() != zone.DenialNone {
		if ds, ok := cut.RRset(dns.TypeDS); ok {
			w.add(dns.SectionAuthority, owner, ds)
		} else {
			w.proveNoDS(v, cut)
		}
	}
	w.glue(set)
}

// glue adds the addresses of name servers. Those below the cut must be there,
// or the client could not go on (RFC 9471 §3.1); the others as room allows.
func (w *worker) glue(set zone.RRset) {
	if w.truncated {
		return
	}
	for _, required := range [...]bool{true, false} {
		for g := range set.Glue() {
			if g.InDomain == required {
				w.addresses(g.Host, required)
			}
		}
	}
}

func (w *worker) addresses(host zone.Node, required bool) {
	owner := host.AppendName(w.owner[:0])
	for _, t := range [...]dns.Type{dns.TypeA, dns.TypeAAAA} {
		set, ok := host.RRset(t)
		if !ok {
			continue
		}
		if !w.addition(owner, set) {
			w.truncated = w.truncated || required
			continue
		}
		// Addresses that are no glue are signed. Their signatures may stay away
		// where they do not fit (RFC 4035 §3.1.1).
		if sigs, there := set.Sigs(); there && w.q.DO {
			w.addition(owner, sigs)
		}
	}
}

// addition adds an RRset to the additional section whole, or not at all.
func (w *worker) addition(owner []byte, set zone.RRset) bool {
	mark := w.b.Mark()
	if w.records(dns.SectionAdditional, owner, set) {
		return true
	}
	w.b.Rollback(mark)
	return false
}

// soa adds the SOA record of a negative answer, to be kept for the lesser of
// its TTL and its MINIMUM field (RFC 2308 §3).
func (w *worker) soa(v *zone.Version) {
	w.proveWildcards()
	set := v.SOA()
	rdata := set.First()
	ttl := min(set.TTL(), binary.BigEndian.Uint32(rdata[len(rdata)-4:]))
	owner := w.name[len(w.name)-v.Origin().Len():]
	w.addTTL(dns.SectionAuthority, owner, set, ttl, w.q.DO)
}

// add adds an RRset with its signatures, where those are wanted.
func (w *worker) add(s dns.Section, owner []byte, set zone.RRset) {
	w.addTTL(s, owner, set, set.TTL(), w.q.DO)
}

func (w *worker) addUnsigned(s dns.Section, owner []byte, set zone.RRset) {
	w.addTTL(s, owner, set, set.TTL(), false)
}

// addTTL adds an RRset whole, or not at all and then the answer is truncated.
func (w *worker) addTTL(s dns.Section, owner []byte, set zone.RRset, ttl uint32, signed bool) {
	if w.truncated {
		return
	}
	mark := w.b.Mark()
	ok := w.recordsTTL(s, owner, set, ttl)
	if ok && signed {
		if sigs, there := set.Sigs(); there {
			ok = w.recordsTTL(s, owner, sigs, ttl)
		}
	}
	if !ok {
		w.b.Rollback(mark)
		w.truncated = true
	}
}

func (w *worker) records(s dns.Section, owner []byte, set zone.RRset) bool {
	return w.recordsTTL(s, owner, set, set.TTL())
}

func (w *worker) recordsTTL(s dns.Section, owner []byte, set zone.RRset, ttl uint32) bool {
	for rdata := range set.RData() {
		if !w.record(s, owner, set.Type(), ttl, rdata) {
			return false
		}
	}
	return true
}

// record adds one record. An owner that is an ending of the question's name is
// written as a pointer into it, so it comes back in the client's own case.
func (w *worker) record(s dns.Section, owner []byte, t dns.Type, ttl uint32, rdata []byte) bool {
	if w.links == 0 && len(owner) <= len(w.q.Name) && &owner[len(owner)-1] == &w.q.Name[len(w.q.Name)-1] && len(owner) > 1 {
		return w.b.RecordAt(s, dns.HeaderLen+len(w.q.Name)-len(owner), t, dns.ClassIN, ttl, rdata)
	}
	return w.b.Record(s, owner, t, dns.ClassIN, ttl, rdata)
}
