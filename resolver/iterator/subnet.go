package iterator

import (
	"net/netip"
	"slices"

	"onoma/dns"
	"onoma/resolver/cache"
)

// Servers of the zones in Config.Tell are told the client's network (ECS, RFC 7871),
// and may answer each network otherwise. Whom an answer is for is its scope: the zero
// Prefix is everybody, another one the clients in it, and Untold those of whose
// network nothing is said. Only what is for everybody is remembered here.

// Untold is the scope of an answer to a question without the client's network, of a
// server that would have been told it: RFC 7871 §7.3.1 has it kept apart.
var Untold = netip.PrefixFrom(netip.IPv4Unspecified(), 0)

// mostNetworks is how many networks one question is asked for at the same time: each
// more is one more query whose reply a forger may guess (CVE-2025-5994). Who comes
// when there are as many gets the answer for those of whom nothing is said.
const mostNetworks = 8

// tells reports whether the servers of zone are told a client's network with q: only
// with what the client itself wants to know, or an alias of it leads to.
func (t *task) tells(zone *cache.Delegation, q dns.Question) bool {
	if len(t.it.Tell) == 0 || t.opts.Proof || len(t.stack) != 1 || t.stack[0] != keyOf(q.Name, q.Type) {
		return false
	}
	switch q.Type {
	case dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeSVCB, dns.TypeTXT:
		return slices.ContainsFunc(t.it.Tell, zone.Zone.IsSubdomainOf)
	}
	return false
}

// subnetOption is the option of a query; RFC 7871 §7.1.1.
func (x *exchange) subnetOption() []dns.Option {
	if !x.subnet.IsValid() {
		return nil
	}
	return []dns.Option{dns.ClientSubnet{Source: x.subnet}.Option()}
}

// scopeIn returns whom a reply is for. One without the option is for everybody (RFC
// 7871 §7.3). One that speaks of another network than the query is not what was
// asked for (§7.3), and good for nobody else.
func (x *exchange) scopeIn(m *dns.Message) (scope netip.Prefix, fits bool) {
	o, ok := m.EDNS.Option(dns.OptionECS)
	if !ok || x.plain || !x.subnet.IsValid() {
		return netip.Prefix{}, true
	}
	said, err := o.ECS()
	switch {
	case err != nil || said.Source != x.subnet:
		return x.subnet, false
	case said.Scope == 0:
		return netip.Prefix{}, true
	}
	// §7.3.1: a longer scope than was asked for cannot be told apart.
	return netip.PrefixFrom(x.subnet.Addr(), min(int(said.Scope), x.subnet.Bits())).Masked(), true
}

// balks reports whether a server may not want to be told of networks (RFC 7871 §7.1.3).
func (x *exchange) balks(r *reply) bool {
	return x.subnet.IsValid() && !x.plain && r.outcome != OutcomeTruncated &&
		(ednsTrouble(r) || r.outcome == OutcomeError && r.rcode == dns.RCodeRefused)
}

// forWhom notes whom what was found is for. What is denied, and what is said of other
// zones, is for everybody (RFC 7871 §7.4).
func (r *reply) forWhom(scope netip.Prefix) {
	switch {
	case len(r.chain) == 0:
		r.scope = netip.Prefix{}
	case scope.IsValid():
		r.scope = scope
	}
}
