package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"onoma/dns"
	"onoma/transport/https"
	"onoma/transport/xdp"
)

// endpoint is what --listen takes: ADDR:PORT, SCHEME://ADDR:PORT or xdp://IFACE:PORT. The port may be left out.
type endpoint struct {
	scheme string // "" is UDP and TCP
	addr   netip.AddrPort
	path   string     // of "https"
	xdp    xdp.Config // where the scheme is "xdp"; there is no addr then
}

// schemes are the transports beside UDP and TCP, with their ports (RFC 7858 §3.1, 9250 §8.1, 9110 §4.2.2).
var schemes = map[string]uint16{"": 53, "tls": 853, "quic": 853, "https": 443}

var errEndpoint = errors.New("expected ADDR:PORT, as in 127.0.0.1:53 or [::1]:53, tls://ADDR, quic://ADDR, https://ADDR/PATH or xdp://IFACE")

// UnmarshalText reads one.
func (e *endpoint) UnmarshalText(text []byte) error {
	s := string(text)
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		scheme, rest = "", s
	}
	var err error
	if e.scheme = scheme; scheme == "xdp" {
		e.xdp, err = xdp.Parse(s)
		return err
	}
	port, ok := schemes[scheme]
	if !ok {
		return fmt.Errorf("%q: there is no transport %s: %w", s, scheme, errEndpoint)
	}
	if scheme == "https" {
		e.path = https.DefaultPath
		if at := strings.IndexByte(rest, '/'); at >= 0 {
			rest, e.path = rest[:at], rest[at:]
		}
	}
	if e.addr, err = parseAddrPort(rest, port); err != nil {
		return fmt.Errorf("%q: %w", s, err)
	}
	return nil
}

// parseAddrPort reads an address that may come with a port, or in brackets.
func parseAddrPort(s string, port uint16) (netip.AddrPort, error) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a, nil
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		return netip.AddrPort{}, errEndpoint
	}
	return netip.AddrPortFrom(a, port), nil
}

// addrsOf returns the addresses of the endpoints with this scheme.
func addrsOf(es []endpoint, scheme string) []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, e := range es {
		if e.scheme == scheme {
			addrs = append(addrs, e.addr)
		}
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
