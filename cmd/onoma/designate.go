package main

import (
	"net"
	"net/netip"

	"onoma/resolver"
)

// ways are the encrypted transports that a place has been bound to, in the order in
// which clients should like them: those that carry nothing but DNS come first.
func (o *opening) ways(listen []endpoint) []resolver.Designation {
	var list []resolver.Designation
	add := func(path string, at []netip.AddrPort, alpn ...string) {
	next:
		for _, a := range at {
			for i := range list {
				if w := &list[i]; w.ALPN[0] == alpn[0] && w.Port == a.Port() && w.Path == path {
					w.Addrs = append(w.Addrs, reached(a.Addr())...)
					continue next
				}
			}
			list = append(list, resolver.Designation{ALPN: alpn, Port: a.Port(), Path: path, Addrs: reached(a.Addr())})
		}
	}
	add("", o.addrs["quic"], "doq")
	add("", o.addrs["tls"], "dot")
	n := 0
	for _, e := range listen {
		if e.scheme == "https" {
			add(e.path, o.addrs["https"][n:n+1], "h2", "h3")
			n++
		}
	}
	return list
}

// reached are the addresses of this machine that a listener stands for: where it is
// any, those of the interfaces that others can reach.
func reached(a netip.Addr) (list []netip.Addr) {
	a = a.Unmap()
	if !a.IsUnspecified() {
		return []netip.Addr{a.WithZone("")}
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, ifa := range all {
		p, err := netip.ParsePrefix(ifa.String())
		if b := p.Addr().Unmap(); err == nil && b.IsGlobalUnicast() && (a.Is6() || b.Is4()) {
			list = append(list, b)
		}
	}
	return list
}
