package iterator

import (
	"net/netip"
	"slices"

	"onoma/dns"
	"onoma/resolver/cache"
)

// reply is what a server's message means for the question that it was asked as
// a server of a zone. It is immutable once made: flights share it.
type reply struct {
	outcome   Outcome
	rcode     dns.RCode
	aa        bool
	recursive bool          // RA without AA: perhaps a resolver's cache speaking
	chain     []cache.RRset // aliases in order, then the RRset asked for
	target    dns.Name      // OutcomeAlias: the name to go on with
	authority []cache.RRset // of a negative answer: SOA, then the proof; of a referral without DS: the proof
	negTTL    uint32        // of a negative answer; 0: not to be remembered
	negName   dns.Name      // the name that a negative answer is about
	child     referral
	msg       *dns.Message
	source    Source
	reason    string // OutcomeLame, OutcomeError: why
	cookie    cookieIn
	loose     bool         // the case of the name was not kept
	suspect   bool         // perhaps it is forged: not used
	scope     netip.Prefix // whom it is for; see Answer.Scope
}

// referral is the delegation that a reply leads to.
type referral struct {
	zone    dns.Name
	ttl     uint32
	servers []cache.NameServer
	ds      cache.RRset
	hasDS   bool
}

func lame(m *dns.Message, reason string) *reply {
	return &reply{outcome: OutcomeLame, rcode: m.RCode, reason: reason, msg: m}
}

// classify reads the reply m to the question q put to a server of zone.
func (it *Iterator) classify(zone dns.Name, q dns.Question, m *dns.Message) *reply {
	switch m.RCode {
	case dns.RCodeNoError, dns.RCodeNXDomain:
	case dns.RCodeYXDomain: // RFC 6672 §2.2: the name became too long
		if _, ok := group(m.Answer, zone, q.Type).dname(q.Name); !ok {
			return &reply{outcome: OutcomeError, rcode: m.RCode, reason: m.RCode.String(), msg: m}
		}
	default:
		return &reply{outcome: OutcomeError, rcode: m.RCode, reason: m.RCode.String(), msg: m}
	}
	r := &reply{
		rcode: m.RCode, msg: m, aa: m.Flags.Has(dns.FlagAA),
		recursive: m.Flags.Has(dns.FlagRA) && !m.Flags.Has(dns.FlagAA),
	}
	authority := group(m.Authority, zone, q.Type)
	defer r.gatherSigs(authority, group(m.Additional, zone, q.Type))
	name, done := it.followChain(r, zone, q, group(m.Answer, zone, q.Type))
	switch {
	case r.outcome == OutcomeLame || r.outcome == OutcomeError:
	case done:
		r.rcode = r.found(name)
		r.addWildcardProof(authority)
	case len(r.chain) == 0 && m.RCode == dns.RCodeNoError && it.referralIn(r, zone, q, authority):
		r.outcome = OutcomeReferral
	default:
		r.negative(zone, q, name, authority)
	}
	return r
}

// gatherSigs takes signatures over the chain from other sections, too, where some
// servers put them; whether they are any good is for validation to say.
func (r *reply) gatherSigs(others ...*sections) {
	for i := range r.chain {
		set := &r.chain[i]
		for _, s := range others {
			if sigs := s.signatures(set.Name, set.Type); len(sigs) > 0 && len(set.Sigs) < maxProofs {
				set.Sigs = append(slices.Clip(set.Sigs), sigs...)
			}
		}
	}
}

// followChain takes the aliases that lead away from the name asked for, as far
// as they stay in the zone, and the RRset at their end; done is false where
// there is none. Nothing else of the answer section is used.
func (it *Iterator) followChain(r *reply, zone dns.Name, q dns.Question, answer *sections) (name dns.Name, done bool) {
	name = q.Name
	seen := map[string]bool{}
	for !seen[name.Fold().Wire()] && it.speaksOf(zone, q.Name, name) && len(seen) <= it.Limits.Aliases {
		seen[name.Fold().Wire()] = true
		if set, ok := answer.find(name, q.Type); ok {
			set.Name = name // in the case that it was asked for in
			r.outcome = OutcomeAnswer
			r.chain = append(r.chain, set)
			return name, true
		}
		target, ok := r.alias(q, name, answer)
		if !ok {
			return name, r.outcome != OutcomeNone
		}
		name = target
		r.target = name
	}
	// The chain left the zone, or turned in a circle: the look-up goes on, and notices.
	r.outcome = OutcomeAlias
	return name, true
}

// speaksOf reports whether a server that is asked as one of zone's for a name may
// speak of another name, too: one in the zone that has the same route.
func (it *Iterator) speaksOf(zone, asked, name dns.Name) bool {
	return name.IsSubdomainOf(zone) && it.Routes().Same(asked, name)
}

// alias takes the CNAME at name, or the DNAME above it with the CNAME that it
// stands for. It makes that itself: what the server made is not looked at.
func (r *reply) alias(q dns.Question, name dns.Name, answer *sections) (target dns.Name, ok bool) {
	dname, below := answer.dname(name)
	if set, found := answer.find(name, dns.TypeCNAME); found && q.Type != dns.TypeCNAME && !below {
		set.Name = name
		set.Data = set.Data[:1] // RFC 2181 §10.1: one CNAME per name
		r.chain = append(r.chain, set)
		return nameOf(set.Data[0])
	}
	if !below {
		return dns.Name{}, false
	}
	dname.Data = dname.Data[:1]
	cname, target, fits := synthesise(dname, name)
	r.chain = append(r.chain, dname)
	if !fits {
		r.outcome, r.rcode = OutcomeAnswer, dns.RCodeYXDomain
		return dns.Name{}, false
	}
	r.chain = append(r.chain, cname)
	return target, true
}

// found is the response code of a chain that ends at name: what is there exists,
// and whether a DNAME made too long a name is seen here. What the server says is
// not signed.
func (r *reply) found(name dns.Name) dns.RCode {
	if n := len(r.chain); n > 0 && r.chain[n-1].Type == dns.TypeDNAME && !r.chain[n-1].Name.Equal(name) {
		return dns.RCodeYXDomain
	}
	return dns.RCodeNoError
}

// addWildcardProof keeps the denial of a closer match with an answer that came
// from a wildcard: a client that validates needs it (RFC 4035 §3.1.3.3).
func (r *reply) addWildcardProof(authority *sections) {
	for i := range r.chain {
		if fromWildcard(r.chain[i]) {
			r.chain[i].Proof = authority.proofs()
			return
		}
	}
}

// leadsTo makes the reply an alias that leads elsewhere. What is denied beside it is
// kept: a server of both zones may show that where it leads is not signed.
func (r *reply) leadsTo(name dns.Name, authority *sections) {
	r.outcome, r.target = OutcomeAlias, name
	r.chain[len(r.chain)-1].Proof = authority.proofs()
}

// negative reads a reply without the RRset asked for and without a referral:
// NXDOMAIN or NODATA for name, or an alias whose end it does not tell.
func (r *reply) negative(zone dns.Name, q dns.Question, name dns.Name, authority *sections) {
	soa, ok := soaFor(zone, name, authority)
	proofs := authority.proofs() // as good as an SOA: nobody but the zone can sign them
	switch {
	case ok && q.Type == dns.TypeDS && soa.Name.Equal(q.Name) && !q.Name.IsRoot():
		// RFC 4035 §3.1.4.1: DS is the parent's, and this is the child speaking.
		r.outcome, r.reason = OutcomeLame, "answered for the child side of the cut"
		return
	case !ok && len(r.chain) > 0 && r.rcode != dns.RCodeNXDomain:
		r.leadsTo(name, authority)
		return
	case !ok && (!r.aa && len(proofs) == 0 || upward(zone, r.msg.Authority)):
		r.outcome, r.reason = OutcomeLame, lameReason(zone, authority)
		return
	}
	r.outcome = OutcomeNoData
	if r.rcode == dns.RCodeNXDomain {
		r.outcome = OutcomeNXDomain
	}
	r.negName, r.authority = name, proofs
	if ok {
		// RFC 2308 §5: the SOA's own TTL counts as well as its MINIMUM field. A
		// negative answer without SOA is not remembered.
		r.negTTL = min(soa.TTL, soaMinimum(soa.Data[0]))
		r.authority = append([]cache.RRset{soa}, proofs...)
	}
}

// soaFor returns the SOA of a zone that name is in, of the zone asked or below.
func soaFor(zone, name dns.Name, authority *sections) (cache.RRset, bool) {
	for _, set := range authority.sets {
		if set.Type == dns.TypeSOA && name.IsSubdomainOf(set.Name) {
			set.Data = set.Data[:1]
			return set, true
		}
	}
	return cache.RRset{}, false
}

// upward reports whether the authority section refers to above the zone: what
// some servers say of zones that they do not have, AA or not.
func upward(zone dns.Name, authority []dns.Record) bool {
	for _, r := range authority {
		if r.Type == dns.TypeNS && zone.IsSubdomainOf(r.Name) && !zone.Equal(r.Name) {
			return true
		}
	}
	return false
}

func lameReason(zone dns.Name, authority *sections) string {
	for _, set := range authority.sets {
		if set.Type == dns.TypeNS && set.Name.Equal(zone) {
			return "referred to the zone that it should serve"
		}
	}
	return "no answer, no referral and no authority"
}

// referralIn looks for a delegation to below the zone and at or above the name
// asked for; for DS it must be above (RFC 4035 §3.1.4.1). An SOA beside it
// means that it is none.
func (it *Iterator) referralIn(r *reply, zone dns.Name, q dns.Question, authority *sections) bool {
	var best cache.RRset
	for _, set := range authority.sets {
		switch {
		case set.Type == dns.TypeSOA:
			return false
		case set.Type != dns.TypeNS, set.Name.Equal(zone), !q.Name.IsSubdomainOf(set.Name):
		case q.Type == dns.TypeDS && set.Name.Equal(q.Name):
		case best.Name.IsZero() || set.Name.NumLabels() > best.Name.NumLabels():
			best = set
		}
	}
	if best.Name.IsZero() {
		return false
	}
	r.child = referral{zone: best.Name, ttl: best.TTL}
	r.child.ds, r.child.hasDS = authority.find(best.Name, dns.TypeDS)
	r.child.servers = it.nameServers(best, zone, r.msg.Additional)
	if !r.child.hasDS {
		r.authority = authority.proofs()
	}
	return true
}

// nameServers reads an NS RRset and the glue for it. Glue is taken for names
// below the zone whose server speaks, the child's own among them, and for no
// others: those it cannot know (RFC 9471 §2: in-domain and sibling glue).
func (it *Iterator) nameServers(ns cache.RRset, zone dns.Name, additional []dns.Record) []cache.NameServer {
	glue := map[string][]netip.Addr{}
	for _, r := range additional {
		a, ok := addressOf(r)
		key := r.Name.Fold().Wire()
		if !ok || !it.usable(a) || !r.Name.IsSubdomainOf(zone) || slices.Contains(glue[key], a) {
			continue
		}
		if len(glue[key]) < it.Limits.Addresses {
			glue[key] = append(glue[key], a)
		}
	}
	var servers []cache.NameServer
	for _, i := range it.sample(len(ns.Data), it.Limits.NameServers) {
		if n, ok := nameOf(ns.Data[i]); ok {
			servers = append(servers, cache.NameServer{Name: n, Addrs: glue[n.Fold().Wire()]})
		}
	}
	return servers
}

// addressOf reads an A or AAAA record.
func addressOf(r dns.Record) (netip.Addr, bool) {
	if r.Class != dns.ClassIN || r.Type != dns.TypeA && r.Type != dns.TypeAAAA {
		return netip.Addr{}, false
	}
	a, ok := netip.AddrFromSlice(r.Data)
	return a, ok && a.Is4() == (r.Type == dns.TypeA)
}

// sample returns at most k of the numbers below n: all of them in order, or a
// random choice, so that no one can know which servers of a huge set are used.
func (it *Iterator) sample(n, k int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	if n <= k {
		return list
	}
	for i := range k {
		j := i + int(it.Env.Uint64()%uint64(n-i))
		list[i], list[j] = list[j], list[i]
	}
	return list[:k]
}
