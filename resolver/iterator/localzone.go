package iterator

import (
	"net/netip"

	"onoma/dns"
	"onoma/zone"
)

// inMemory stands for a zone in memory where a server's address is told: in
// Answer.Sources and Options.Doubted.
var inMemory = netip.IPv6Unspecified()

// IsLocal reports whether it is a zone in memory.
func (s Source) IsLocal() bool { return s.Addr == inMemory }

// fromLocal answers from the zone of a route; its doubted answers are not given
// twice, and without a version there is none.
func (t *task) fromLocal(r *Route, q dns.Question) (*reply, error) {
	v := r.Local.Current()
	if v == nil {
		return nil, failure(dns.EDENotReady, "there is no good copy of the zone %s", r.Zone)
	}
	for _, d := range t.opts.Doubted {
		if d.IsLocal() && d.Type == q.Type && d.Name.Equal(q.Name) {
			return nil, failure(dns.EDENoReachableAuthority, "the copy of the zone %s is bogus", r.Zone)
		}
	}
	answer := t.it.classify(r.Zone, q, AnswerFrom(v, q))
	answer.source = Source{Name: q.Name, Type: q.Type, Addr: inMemory}
	if answer.outcome == OutcomeLame || answer.outcome == OutcomeError {
		return nil, failure(dns.EDENoReachableAuthority, "the copy of the zone %s: %s", r.Zone, answer.reason)
	}
	if answer.outcome == OutcomeReferral {
		t.learn(r.cut, q, answer) // the zone itself is as quick as the cache
	}
	t.traceLocal(r, q, answer)
	return answer, nil
}

// localReply is what one of the zones in memory says about q, if one does
// without asking anybody.
func (t *task) localReply(q dns.Question) (*finding, bool) {
	r := t.routes.For(q)
	if r == nil || r.Kind != RouteLocal {
		return nil, false
	}
	answer, err := t.fromLocal(r, q)
	if err != nil || answer.outcome == OutcomeReferral {
		return nil, false
	}
	return t.finding(r.cut, answer), true
}

// zoneAnswer is an answer from a zone in the making (RFC 1034 §4.3.2, steps 3
// and 4). Aliases are not followed: who asked does that.
type zoneAnswer struct {
	v    *zone.Version
	name []byte
	q    dns.Question
	m    zone.Match
	msg  *dns.Message
}

// AnswerFrom is what a server of the zone would say to q, DNSSEC records included.
func AnswerFrom(v *zone.Version, q dns.Question) *dns.Message {
	a := &zoneAnswer{v: v, name: []byte(q.Name.Wire()), q: q}
	a.msg = &dns.Message{Flags: dns.FlagQR | dns.FlagAA, Questions: []dns.Question{q}}
	v.Lookup(&a.m, a.name)
	m := &a.m
	switch {
	case !m.Cut.IsZero() && (m.Node.IsZero() || q.Type != dns.TypeDS):
		a.referral()
	case !m.DName.IsZero():
		a.give(&a.msg.Answer, m.DName.Name(), m.DName, dns.TypeDNAME)
	case !m.Node.IsZero():
		a.found(m.Node)
	case !m.Wildcard.IsZero():
		a.found(m.Wildcard) // RFC 4592 §3.3: its records get the name asked for
	default:
		a.msg.RCode = dns.RCodeNXDomain
		a.negative()
		a.deny(a.m.Node, true)
	}
	return a.msg
}

// give adds a set of node with its signatures, under a name.
func (a *zoneAnswer) give(section *[]dns.Record, owner dns.Name, node zone.Node, t dns.Type) bool {
	set, ok := node.RRset(t)
	if !ok {
		return false
	}
	a.add(section, owner, set)
	if sigs, ok := set.Sigs(); ok {
		a.add(section, owner, sigs)
	}
	return true
}

func (a *zoneAnswer) add(section *[]dns.Record, owner dns.Name, set zone.RRset) {
	for data := range set.RData() {
		*section = append(*section, dns.Record{Name: owner, Type: set.Type(), Class: dns.ClassIN, TTL: set.TTL(), Data: append(dns.RData(nil), data...)})
	}
}

// found answers from node, which is the name's own or the wildcard that matches it.
func (a *zoneAnswer) found(node zone.Node) {
	isWildcard := a.m.Node.IsZero()
	switch {
	case a.give(&a.msg.Answer, a.q.Name, node, a.q.Type), a.give(&a.msg.Answer, a.q.Name, node, dns.TypeCNAME):
		if isWildcard {
			a.denyCloser()
		}
	default:
		a.negative()
		a.deny(node, isWildcard)
	}
}

// referral points to the zone below the cut, with DS or the proof that there is
// none (RFC 4035 §3.1.4), and all glue that the zone has.
func (a *zoneAnswer) referral() {
	a.msg.Flags &^= dns.FlagAA
	cut := a.m.Cut
	ns, ok := cut.RRset(dns.TypeNS)
	if !ok {
		return
	}
	a.add(&a.msg.Authority, cut.Name(), ns)
	if !a.give(&a.msg.Authority, cut.Name(), cut, dns.TypeDS) {
		a.deny(cut, false)
	}
	for glue := range ns.Glue() {
		for _, t := range [...]dns.Type{dns.TypeA, dns.TypeAAAA} {
			if set, ok := glue.Host.RRset(t); ok {
				a.add(&a.msg.Additional, glue.Host.Name(), set)
			}
		}
	}
}

func (a *zoneAnswer) negative() {
	a.give(&a.msg.Authority, a.v.Origin(), a.v.Apex(), dns.TypeSOA)
}

// deny adds the proof that node lacks the type that was asked for; or, where the
// name itself does not exist (RFC 4035 §3.1.3, RFC 5155 §7.2), the proof of that
// and of what there is of a wildcard: node, or none.
func (a *zoneAnswer) deny(node zone.Node, isMissing bool) {
	encloser := a.name[a.m.EncloserAt:]
	wildcard := append([]byte{1, '*'}, encloser...)
	switch a.v.Denial() {
	case zone.DenialNSEC:
		if !isMissing {
			a.show(a.v.NSECCover([]byte(node.Name().Wire())), dns.TypeNSEC)
			return
		}
		a.show(a.v.NSECCover(a.name), dns.TypeNSEC)
		a.show(a.v.NSECCover(wildcard), dns.TypeNSEC)
	case zone.DenialNSEC3:
		if !isMissing {
			if n, exact := a.v.NSEC3For(node); exact {
				a.show(n, dns.TypeNSEC3)
				return
			}
			a.denyFrom([]byte(node.Name().Wire())) // opt-out: the closest provable encloser (RFC 5155 §7.2.7)
			return
		}
		a.denyFrom(a.name)
		n, _ := a.v.NSEC3Name(wildcard) // covers it, or is its own: then it says which types there are
		a.show(n, dns.TypeNSEC3)
	}
}

// denyCloser proves that nothing matches closer than the wildcard.
func (a *zoneAnswer) denyCloser() {
	switch a.v.Denial() {
	case zone.DenialNSEC:
		a.show(a.v.NSECCover(a.name), dns.TypeNSEC)
	case zone.DenialNSEC3:
		n, _ := a.v.NSEC3Name(a.name[a.m.NextCloserAt:])
		a.show(n, dns.TypeNSEC3)
	}
}

// denyFrom adds the closest encloser proof for a name that has no NSEC3 of its
// own (RFC 5155 §7.2.1).
func (a *zoneAnswer) denyFrom(name []byte) {
	var cover zone.Node
	for len(name) >= a.v.Origin().Len() {
		n, exact := a.v.NSEC3Name(name)
		if exact {
			a.show(n, dns.TypeNSEC3)
			a.show(cover, dns.TypeNSEC3)
			return
		}
		cover = n
		if name[0] == 0 {
			return
		}
		name = name[1+int(name[0]):]
	}
}

// show adds a record of denial, each once.
func (a *zoneAnswer) show(n zone.Node, t dns.Type) {
	if n.IsZero() {
		return
	}
	owner := n.Name()
	for _, r := range a.msg.Authority {
		if r.Type == t && r.Name.Equal(owner) {
			return
		}
	}
	a.give(&a.msg.Authority, owner, n, t)
}
