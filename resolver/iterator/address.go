package iterator

import (
	"net/netip"
	"slices"
)

var (
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")   // RFC 1122 §3.2.1.3
	reserved    = netip.MustParsePrefix("240.0.0.0/4") // RFC 1112 §4, with the limited broadcast
)

// usable reports whether a may be the address of a name server. An attacker who
// puts other ones into glue would have us send packets to ourselves, to the
// local network at large, or to nowhere at our expense.
func (it *Iterator) usable(a netip.Addr) bool {
	switch {
	case !a.IsValid(), a.Is4() && it.NoIPv4 && !it.NAT64.IsValid(), a.Is6() && it.NoIPv6:
		return false
	case a.Is4In6(), a.Zone() != "", slices.ContainsFunc(it.NeverAsk, func(p netip.Prefix) bool { return p.Contains(a) }):
		return false
	case a.IsLoopback():
		return it.AllowLoopbackServers
	case a.IsUnspecified(), a.IsMulticast(), a.IsLinkLocalUnicast():
		return false
	}
	return !thisNetwork.Contains(a) && !reserved.Contains(a)
}
