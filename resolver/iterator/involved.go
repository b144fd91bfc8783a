package iterator

import (
	"net/netip"

	"onoma/dns"
)

// maxInvolved bounds what Involved returns.
const maxInvolved = 128

// Involved returns the servers that have a say about a name, as far as is known without asking: those of its zone and of the zones
// above it but the root, and their addresses. The servers' own NS sets count beside the parents'.
func (it *Iterator) Involved(name dns.Name) (servers []dns.Name, addrs []netip.Addr) {
	now := it.now()
	for ; !name.IsRoot() && len(servers) < maxInvolved; name = name.Parent() {
		if d, ok := it.Cache.Delegation(name, now); ok {
			for _, s := range d.Servers {
				servers = append(servers, s.Name)
				addrs = append(addrs, s.Addrs...)
			}
		}
		if e, ok := it.Cache.RRset(name, dns.TypeNS, now); ok {
			for _, data := range e.Sets[0].Data {
				if target, ok := nameOf(data); ok {
					servers = append(servers, target)
				}
			}
		}
	}
	servers = servers[:min(len(servers), maxInvolved)]
	for _, server := range servers {
		for _, t := range [...]dns.Type{dns.TypeA, dns.TypeAAAA} {
			if e, ok := it.Cache.RRset(server, t, now); ok {
				addrs = append(addrs, addresses(e.Sets[0], it.Limits.Addresses)...)
			}
		}
	}
	return servers, addrs[:min(len(addrs), maxInvolved)]
}
