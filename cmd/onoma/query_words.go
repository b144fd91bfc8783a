package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"onoma/dns"
	"onoma/inspect"
)

// words are the arguments of a query, sorted out.
type words struct {
	name   string
	typ    dns.Type
	class  dns.Class
	server string
}

// parseWords tells names, types, classes and servers apart as dig does: the first
// word that is neither a server, a type nor a class is the name, and once there is
// a name a word must be one of the others. A name that looks like a type ("mx") has
// to come with its final dot. Empty words are those not given.
func parseWords(args []string) (words, error) {
	var w words
	for _, s := range args {
		server, isServer := strings.CutPrefix(s, "@")
		typ, isType := dns.ParseType(s)
		class, isClass := dns.ParseClass(s)
		switch {
		case s == "":
		case strings.HasPrefix(s, "+"):
			return w, hint(fmt.Errorf("%q: expected flags with two dashes", s), "write --%s", s[1:])
		case isServer && w.server != "":
			return w, fmt.Errorf("%q: there is a server already: @%s", s, w.server)
		case isServer:
			w.server = server
		case isType && w.typ == 0:
			w.typ = typ
		case isClass && w.class == 0:
			w.class = class
		case w.name == "":
			w.name = s
		default:
			return w, fmt.Errorf("%q: expected a type or a class, the name is %q already", s, w.name)
		}
	}
	return w, nil
}

// question puts words and -x together: without any of them, the root's servers.
func (c *queryCmd) question(w words) (dns.Question, error) {
	q := dns.Question{Type: w.typ, Class: w.class}
	if q.Class == 0 {
		q.Class = dns.ClassIN
	}
	var err error
	switch {
	case c.Reverse.IsValid() && w.name != "":
		return q, fmt.Errorf("-x %s and the name %q: expected one of them", c.Reverse, w.name)
	case c.Reverse.IsValid():
		q.Name = inspect.ReverseName(c.Reverse)
		if q.Type == 0 {
			q.Type = dns.TypePTR
		}
	case w.name == "":
		q.Name = dns.Root
		if q.Type == 0 {
			q.Type = dns.TypeNS
		}
	default:
		if q.Name, err = dns.ParseNameIDNA(w.name); err != nil {
			return q, fmt.Errorf("%q is not a domain name: %w", w.name, err)
		}
		if q.Type == 0 {
			q.Type = dns.TypeA
		}
	}
	switch q.Type {
	case dns.TypeAXFR, dns.TypeIXFR:
		return q, fmt.Errorf("%s: a zone transfer is not one question with one reply", q.Type)
	}
	return q, nil
}

// servers finds the addresses to ask.
func (c *queryCmd) servers(ctx context.Context, t target) ([]netip.AddrPort, error) {
	addrs, err := lookUp(ctx, t.host)
	if err != nil {
		return nil, err
	}
	var servers []netip.AddrPort
	for _, a := range addrs {
		if v4 := a.Unmap().Is4(); c.IPv4 && !v4 || c.IPv6 && v4 {
			continue
		}
		servers = append(servers, netip.AddrPortFrom(a.Unmap(), t.port))
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("no server with an address of that IP version")
	}
	return servers, nil
}

// lookUp returns the addresses of a server that is given by name or address, or
// those of /etc/resolv.conf.
func lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	if host == "" {
		return systemResolvers("/etc/resolv.conf")
	}
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return []netip.Addr{a}, nil
	}
	n, err := dns.ParseNameIDNA(host)
	if err != nil {
		return nil, fmt.Errorf("@%s: expected a server's name or address: %w", host, err)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", strings.TrimSuffix(n.String(), "."))
	if err != nil {
		return nil, fmt.Errorf("finding the address of the server: %w", err)
	}
	return addrs, nil
}

// systemResolvers reads the nameserver lines of resolv.conf(5).
func systemResolvers(file string) ([]netip.Addr, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, hint(fmt.Errorf("finding a server: %w", err), "name one: @SERVER")
	}
	defer f.Close()
	var addrs []netip.Addr
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if w := strings.Fields(lines.Text()); len(w) >= 2 && w[0] == "nameserver" {
			if a, err := netip.ParseAddr(w[1]); err == nil {
				addrs = append(addrs, a)
			}
		}
	}
	if len(addrs) == 0 {
		return nil, hint(fmt.Errorf("%s names no server", file), "name one: @SERVER")
	}
	return addrs, lines.Err()
}

// edns is the value of --edns.
type edns struct {
	off     bool
	version uint8
}

// UnmarshalText reads a version, or "no".
func (e *edns) UnmarshalText(text []byte) error {
	if s := string(text); s == "no" {
		e.off = true
		return nil
	}
	n, err := strconv.ParseUint(string(text), 10, 8)
	if err != nil {
		return errors.New(`expected a version from 0 to 255, or "no"`)
	}
	e.version = uint8(n)
	return nil
}
