package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"onoma/dns"
)

// endpoint is an ADDR:PORT of the command line; the port may be left out.
type endpoint netip.AddrPort

var errEndpoint = errors.New("expected ADDR:PORT, as in 127.0.0.1:53 or [::1]:53")

// UnmarshalText reads an address for UDP and TCP.
func (e *endpoint) UnmarshalText(text []byte) error {
	s := string(text)
	if scheme, _, ok := strings.Cut(s, "://"); ok {
		return fmt.Errorf("%q: no transport %s here, only UDP and TCP: %w", s, scheme, errEndpoint)
	}
	if a, err := netip.ParseAddrPort(s); err == nil {
		*e = endpoint(a)
		return nil
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		return fmt.Errorf("%q: %w", s, errEndpoint)
	}
	*e = endpoint(netip.AddrPortFrom(a, 53))
	return nil
}

// addrPorts returns the endpoints as the packages below want them.
func addrPorts(es []endpoint) []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(es))
	for i, e := range es {
		addrs[i] = netip.AddrPort(e)
	}
	return addrs
}

// zoneFile is a NAME=FILE of the command line.
type zoneFile struct {
	name dns.Name
	file string
}

// UnmarshalText reads NAME=FILE.
func (z *zoneFile) UnmarshalText(text []byte) error {
	name, file, ok := strings.Cut(string(text), "=")
	if !ok || file == "" {
		return fmt.Errorf("%q: expected NAME=FILE, as in example.com=example.com.zone", text)
	}
	n, err := dns.ParseNameIDNA(name)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	z.name, z.file = n, file
	return nil
}

// dnsName is a domain name of the command line, which may be internationalised.
type dnsName struct{ dns.Name }

// UnmarshalText reads a name.
func (n *dnsName) UnmarshalText(text []byte) (err error) {
	if n.Name, err = dns.ParseNameIDNA(string(text)); err != nil {
		return fmt.Errorf("%q is not a domain name: %w", text, err)
	}
	return nil
}
