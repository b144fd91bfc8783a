package config

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"

	"onoma/dns"
)

// Route says where the answers for a zone and all below it come from, if not from
// the servers that the tree of the DNS names: one of iterate, forward, stub, file
// and primaries.
type Route struct {
	// Zone is the zone; what is below it has the route, too, down to the zones that have their own.
	Zone dns.Name `yaml:"zone,key"`
	// Iterate exempts the zone from the route of one above it.
	Iterate bool `yaml:"iterate" default:"false"`
	// Forward are other resolvers that are asked.
	Forward []Upstream `yaml:"forward"`
	// Stub are servers of the zone that are asked instead of those that its parent names.
	Stub []Upstream `yaml:"stub"`
	// File is a zone file that is answered from; it is read again when it changes.
	File string `yaml:"file" path:"file"`
	// Primaries are servers that the zone is fetched from, to be answered from memory; named in servers, or addresses. Copies are kept in the data directory.
	Primaries Servers `yaml:"primaries"`
	// ZONEMD checks what file or primaries give by its digest (RFC 8976), and by signatures where trust anchors lead to it: verify where there is a digest, require that there is one, or off.
	ZONEMD string `yaml:"zonemd" default:"verify" oneof:"off|verify|require"`
	// Fallback looks names up without the route where it fails.
	Fallback bool `yaml:"fallback" default:"false"`
	// Prime asks the servers of stub only which servers the zone has.
	Prime bool `yaml:"prime" default:"false"`
	// Insecure has nothing validated there and below (RFC 7646): for private zones that the public tree knows nothing of.
	Insecure bool `yaml:"insecure" default:"false"`
}

// Upstream is a server that a resolver asks, and how.
type Upstream struct {
	Scheme string         // "" for UDP and TCP, tcp, tls, quic, https, or h3
	Addr   netip.AddrPort // with the port alone where Host is given
	Host   dns.Name       // whose addresses are looked up; the zero Name: Addr has it
	Auth   string         // the name that its certificate has to have
	Path   string         // of https and h3
	Text   string         // as it was written
}

var typeUpstream = reflect.TypeFor[Upstream]()

// upstreamSchemes are the ways to ask, with their ports.
var upstreamSchemes = map[string]uint16{"": portDNS, "tcp": portDNS, "tls": portTLS, "quic": portTLS, "https": 443, "h3": 443}

// ParseUpstream reads ADDR, or SCHEME://ADDR:PORT/PATH#NAME with what of it the
// scheme has. In the place of an address a name may stand; of the encrypted schemes
// it is then the one that the certificate has to have.
func ParseUpstream(s string) (u Upstream, err error) {
	u.Text = s
	rest := s
	if scheme, behind, ok := strings.Cut(s, "://"); ok {
		u.Scheme, rest = scheme, behind
	}
	port, ok := upstreamSchemes[u.Scheme]
	if !ok || u.Scheme == "" && strings.Contains(s, "://") {
		return u, fmt.Errorf("there is no transport %s", u.Scheme)
	}
	isEncrypted := u.Scheme != "" && u.Scheme != "tcp"
	rest, u.Auth, ok = strings.Cut(rest, "#")
	if ok && (!isEncrypted || u.Auth == "") {
		return u, errors.New("a name behind # is that of a certificate")
	}
	if u.Scheme == "https" || u.Scheme == "h3" {
		u.Path = defaultPath
		if at := strings.IndexByte(rest, '/'); at >= 0 {
			rest, u.Path = rest[:at], rest[at:]
		}
	}
	if addr, err := parseAddress(rest); err == nil {
		u.Addr = withPort(addr, port)
		if isEncrypted && u.Auth == "" {
			u.Auth = addr.Addr().String() // RFC 8310 §8.1: an address in the certificate does, too
		}
		return u, nil
	}
	host, number, hasPort := strings.Cut(rest, ":")
	if hasPort {
		given, err := netip.ParseAddrPort("0.0.0.0:" + number)
		if err != nil || given.Port() == 0 {
			return u, fmt.Errorf("%q is not a port", number)
		}
		port = given.Port()
	}
	u.Addr = netip.AddrPortFrom(netip.Addr{}, port)
	if u.Host, err = dns.ParseNameIDNA(host); err != nil || u.Host.NumLabels() == 0 {
		return u, errors.New("neither an address nor a name")
	}
	if isEncrypted && u.Auth == "" {
		u.Auth = strings.TrimSuffix(u.Host.String(), ".")
	}
	return u, nil
}

func (d *decoder) checkRoute(m *mapping, r *Route) {
	kinds := 0
	for _, is := range [...]bool{r.Iterate, len(r.Forward) > 0, len(r.Stub) > 0, r.File != "", len(r.Primaries) > 0} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		d.fail(m.node, "one of iterate, forward, stub, file and primaries", "the route of %s has %d of them", r.Zone, kinds)
	case r.Prime && len(r.Stub) == 0:
		d.fail(m.at("prime"), "stub", "the route of %s has nothing to prime", r.Zone)
	case r.Fallback && r.Iterate:
		d.fail(m.at("fallback"), "it elsewhere", "the route of %s has nothing to fall back from", r.Zone)
	}
}

// checkRoutes looks at all routes of a resolver.
func (d *decoder) checkRoutes(m *mapping, r *Resolver) {
	seen := map[dns.Name]bool{}
	for i := range r.Routes {
		zone := r.Routes[i].Zone.Fold()
		if seen[zone] {
			d.fail(m.at("routes"), "one route for it", "routes has %s twice", zone)
		}
		seen[zone] = true
	}
	if r.LocalRoot && seen[dns.Root] {
		d.fail(m.at("local-root"), "one of them", "local-root is a route of the root zone, and routes has another")
	}
}
