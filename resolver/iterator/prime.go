package iterator

import (
	"net/netip"

	"onoma/dns"
	"onoma/resolver/cache"
)

// root returns the delegation of the root, asking the hinted servers for the
// present ones where that is due (RFC 8109 §3, RFC 9609 §3). Where none of them
// answers, the hints themselves serve, and the next look-up tries again.
func (t *task) root() (*cache.Delegation, error) {
	now := t.it.now()
	d, ok := t.it.Cache.Delegation(dns.Root, now)
	if ok && !d.Due(now) {
		return d, nil
	}
	hints := t.it.hintedRoot(now)
	q := dns.Question{Name: dns.Root, Type: dns.TypeNS, Class: dns.ClassIN}
	r, err := t.ask(hints, q)
	switch {
	case err != nil && t.final(err):
		return nil, err
	case err == nil && r.outcome == OutcomeAnswer && len(r.chain) == 1:
		return t.primed(hints, r), nil
	case ok:
		return d, nil
	}
	return hints, nil
}

// hintedRoot is the root's delegation as configured.
func (it *Iterator) hintedRoot(now uint32) *cache.Delegation {
	d := &cache.Delegation{Zone: dns.Root, Parent: dns.Root, Granted: now, Expire: now}
	for _, h := range it.Hints {
		d.Servers = append(d.Servers, cache.NameServer{Name: h.Name, Addrs: h.Addrs})
	}
	return d
}

// primed makes the root's delegation of a priming response. Addresses that did
// not fit into it are those of the hints, for servers that are still listed.
func (t *task) primed(hints *cache.Delegation, r *reply) *cache.Delegation {
	now, ns := t.it.now(), r.chain[0]
	d := &cache.Delegation{Zone: dns.Root, Parent: dns.Root, Granted: now}
	d.Expire = now + max(60, min(ns.TTL, seconds(t.it.Limits.MaxTTL)))
	d.Servers = t.it.nameServers(ns, dns.Root, r.msg.Additional)
	reachable := false
	for i := range d.Servers {
		s := &d.Servers[i]
		if len(s.Addrs) == 0 {
			s.Addrs = hintedAddrs(hints, s.Name)
		}
		reachable = reachable || len(s.Addrs) > 0
	}
	if !reachable {
		return hints
	}
	t.it.Cache.PutDelegation(d, now)
	return d
}

func hintedAddrs(hints *cache.Delegation, name dns.Name) []netip.Addr {
	for _, h := range hints.Servers {
		if h.Name.Equal(name) {
			return h.Addrs
		}
	}
	return nil
}
