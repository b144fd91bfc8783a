package lab

import (
	"fmt"
	"net/netip"
	"slices"

	"onoma/console"
)

// planned is an operator as the lab is built: who it is, and its servers.
type planned struct {
	name    string // of its directory below zones
	title   string // for people
	role    string // one of those below
	servers []plannedServer
}

// What operators are.
const (
	roleRoot      = console.RoleRoot
	roleTLD       = console.RoleTLD
	roleAuthority = console.RoleAuthority
)

// plannedServer is a name server at the address BLOCK.third.fourth.
type plannedServer struct {
	name          string
	third, fourth byte
}

// Where everything is within the block. The third octet tells what a server is.
const (
	rootOctet, tldOctet, hostOctet = 0, 1, 2
	resolverHost                   = 53
	quietHost                      = 54 // from where operators ask for themselves
	deskHost                       = 55 // from where registries look at children
	pageHost                       = 80
)

// tldNames are the top-level domains that the lab has registries for; each has
// two servers, at 2i+1 and 2i+2.
var tldNames = []string{"com", "net", "org", "dev", "guru", "app"}

// providers host zones, at 2i+1 and 2i+2 with their two servers.
var providers = []struct{ name, title, ns1, ns2 string }{
	{"acropolis", "Acropolis Hosting", "ns1.acropolis-dns.net", "ns2.acropolis-dns.org"},
	{"awsdns", "AWS DNS Hosting", "ns-123.awsdns-45.org", "ns-456.awsdns-78.com"},
	{"meltemi", "Meltemi Hosting", "ns1.meltemi-dns.com", "ns2.meltemi-dns.app"},
	{"example", "Example Hosting", "ns1.example.com", "ns2.example.com"},
	{"hermes", "Hermes Mail", "ns1.hermes-mail.com", "ns2.hermes-mail.org"},
	{"cdn", "Cloudfront CDN", "ns1.cloudfront.net", "ns2.edge-network.dev"},
}

// plan lists all operators, the root's first, then TLDs, then providers.
func plan() []planned {
	root := planned{name: "root", title: "root", role: roleRoot}
	for i := range byte(13) {
		root.servers = append(root.servers, plannedServer{fmt.Sprintf("%c.root-servers.net", 'a'+i), rootOctet, i + 1})
	}
	all := []planned{root}
	for i, t := range tldNames {
		n := byte(2 * i)
		all = append(all, planned{name: t, title: t, role: roleTLD, servers: []plannedServer{
			{"a.nic." + t, tldOctet, n + 1}, {"b.nic." + t, tldOctet, n + 2},
		}})
	}
	for i, p := range providers {
		n := byte(2 * i)
		all = append(all, planned{name: p.name, title: p.title, role: roleAuthority, servers: []plannedServer{
			{p.ns1, hostOctet, n + 1}, {p.ns2, hostOctet, n + 2},
		}})
	}
	return all
}

// isHosted reports whether the lab has a registry for the top-level domain.
func isHosted(tld string) bool { return slices.Contains(tldNames, tld) }

// block is the part of 127.0.0.0/8 that a lab uses: its second octet.
type block byte

// standardBlock is where a lab is unless told otherwise; zone files are shipped
// with its addresses.
const standardBlock block = 53

func (b block) addr(third, fourth byte) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(b), third, fourth})
}

func (b block) prefix() netip.Prefix { return netip.PrefixFrom(b.addr(0, 0), 16) }
