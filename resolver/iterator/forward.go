package iterator

import (
	"net/netip"
	"slices"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
)

// Another resolver has work of its own before it can answer, and a connection
// takes round trips: so long is waited at least.
const (
	forwardWait   = time.Second
	encryptedWait = 2 * time.Second
)

// patience returns how long to wait for a server of the route, where its own
// habit says wait.
func (r *Route) patience(to *Target, wait time.Duration) time.Duration {
	if to.Proto.IsEncrypted() {
		wait = max(wait, encryptedWait)
	}
	if r.forwards() {
		wait = max(wait, forwardWait)
	}
	return wait
}

// addConfigured takes the servers of the search's route as candidates. Who
// configures a loopback address means it.
func (s *search) addConfigured() {
	it := s.t.it
	for _, server := range s.route.Servers {
		a := server.Target.Addr.Addr()
		switch {
		case !a.IsValid():
			s.addNamed(server.Name)
		case a.Is4() && it.NoIPv4, a.Is6() && it.NoIPv6:
		default:
			s.list = append(s.list, &candidate{addr: a, name: server.Name, to: server.Target})
		}
	}
}

// addNamed takes the addresses of a configured name that are known.
func (s *search) addNamed(name dns.Name) {
	known := false
	for _, typ := range s.t.it.addressTypes() {
		if e, ok := s.t.it.Cache.RRset(name, typ, s.t.it.now()); ok {
			known = s.add(name, addresses(e.Sets[0], s.t.it.Limits.Addresses)) || known
		}
	}
	if !known {
		s.pending = append(s.pending, name)
	}
}

// targetOf returns how a server of that name is asked.
func (s *search) targetOf(name dns.Name) Target {
	if s.route != nil {
		for _, server := range s.route.Servers {
			if server.Name.Equal(name) {
				return server.Target
			}
		}
	}
	return Target{Addr: netip.AddrPortFrom(netip.Addr{}, s.t.it.UpstreamPort)}
}

// beginning returns what a walk along a route begins with.
func (t *task) beginning(r *Route) (*cache.Delegation, error) {
	if r.Kind != RouteStub || !r.Prime {
		return r.cut, nil
	}
	now := t.it.now()
	if d, ok := t.it.Cache.Delegation(r.Zone, now); ok && !d.Due(now) {
		return d, nil
	}
	reply, err := t.ask(r.cut, dns.Question{Name: r.Zone, Type: dns.TypeNS, Class: dns.ClassIN})
	switch {
	case err != nil:
		return nil, err
	case reply.outcome != OutcomeAnswer || len(reply.chain) != 1:
		return nil, failure(dns.EDENoReachableAuthority, "the configured servers of %s do not say which its servers are", r.Zone)
	}
	d := &cache.Delegation{Zone: r.Zone, Parent: r.Zone, Granted: now}
	d.Expire = now + max(60, min(reply.chain[0].TTL, seconds(t.it.Limits.MaxTTL)))
	d.Servers = t.it.nameServers(reply.chain[0], r.Zone, reply.msg.Additional)
	t.it.Cache.PutDelegation(d, now)
	return d, nil
}

// classifyForwarded reads the reply m of another resolver to q, asked for what is
// in zone. Of the answer section the chain from the name asked for is taken, as
// long as it stays within the route; of a denial what stands at or above the name,
// which is remembered for that name alone. Delegations are not taken at all.
func (it *Iterator) classifyForwarded(zone dns.Name, q dns.Question, m *dns.Message) *reply {
	r := &reply{rcode: m.RCode, msg: m}
	tooLong := m.RCode == dns.RCodeYXDomain // RFC 6672 §2.2
	if m.RCode != dns.RCodeNoError && m.RCode != dns.RCodeNXDomain && !tooLong {
		r.outcome, r.reason = OutcomeError, m.RCode.String()
		return r
	}
	authority := group(m.Authority, dns.Root, q.Type)
	name, done := it.followChain(r, zone, q, group(m.Answer, zone, q.Type))
	switch {
	case r.outcome == OutcomeError:
	case done:
		r.rcode = r.found(name)
		r.addWildcardProof(authority)
	case tooLong:
		r.outcome, r.reason = OutcomeError, m.RCode.String()
	case len(r.chain) > 0 && m.RCode == dns.RCodeNoError && !hasType(m.Authority, dns.TypeSOA): // it does not tell the alias's end
		r.leadsTo(name, authority)
	case !m.Flags.Has(dns.FlagRA) && !m.Flags.Has(dns.FlagAA) && !hasType(m.Authority, dns.TypeSOA, dns.TypeNSEC, dns.TypeNSEC3): // a referral, or nothing
		r.outcome, r.reason = OutcomeLame, "it offers no recursion"
	default:
		r.denied(q, name, authority)
	}
	return r
}

func hasType(list []dns.Record, types ...dns.Type) bool {
	return slices.ContainsFunc(list, func(r dns.Record) bool { return slices.Contains(types, r.Type) })
}

// denied reads what another resolver denies.
func (r *reply) denied(q dns.Question, name dns.Name, authority *sections) {
	soa, ok := soaFor(dns.Root, name, authority)
	if ok && q.Type == dns.TypeDS && soa.Name.Equal(q.Name) && !q.Name.IsRoot() {
		r.outcome, r.reason = OutcomeLame, "answered for the child side of the cut" // RFC 4035 §3.1.4.1
		return
	}
	r.outcome, r.negName = OutcomeNoData, name
	if r.rcode == dns.RCodeNXDomain {
		r.outcome = OutcomeNXDomain
	}
	if !ok { // without SOA it is not remembered (RFC 2308 §5)
		r.authority = authority.proofs()
		return
	}
	r.negTTL = min(soa.TTL, soaMinimum(soa.Data[0]))
	r.authority = append([]cache.RRset{soa}, slices.DeleteFunc(authority.proofs(), func(set cache.RRset) bool {
		return !set.Name.IsSubdomainOf(soa.Name)
	})...)
}
