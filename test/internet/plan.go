package internet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"

	"onoma/authority"
	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone/sign"
)

// operator is who answers for zones, at addresses of its own.
type operator struct {
	auth  *authority.Server
	addrs []netip.Addr
	habit habit // nil: it has none
	deaf  bool  // UDP alone
	down  atomic.Bool
}

func (n *Internet) newOperator(addresses int, h habit) *operator {
	op := &operator{auth: authority.New(authority.Options{}), habit: h}
	for range addresses {
		op.addrs = append(op.addrs, n.address())
	}
	n.operators = append(n.operators, op)
	return op
}

// algorithms of signed zones: all that may be signed with (RFC 9905 ends SHA-1).
var algorithms = []uint8{
	dnssec.ECDSAP256SHA256, dnssec.ECDSAP256SHA256, dnssec.ECDSAP256SHA256, dnssec.RSASHA256, dnssec.RSASHA256, dnssec.ED25519,
	dnssec.ECDSAP384SHA384, dnssec.RSASHA512, dnssec.ED448,
}

// denials of signed zones.
var denials = []sign.Denial{
	{Kind: sign.NSEC}, {Kind: sign.NSEC}, {Kind: sign.NSEC3}, {Kind: sign.NSEC3}, {Kind: sign.NSEC3, OptOut: true},
	{Kind: sign.NSEC3, Iterations: 5, Salt: []byte{0xca, 0xfe}},
}

// secure lets a zone be signed, in a way that chance chooses.
func (z *Zone) secure(random *rand.Rand) {
	z.algorithm = algorithms[random.IntN(len(algorithms))]
	z.denial = denials[random.IntN(len(denials))]
}

// plan decides what there is.
func (n *Internet) plan(random *rand.Rand) {
	n.planRoot()
	for i := range n.options.TLDs {
		n.planTLD(random, i)
	}
	hosters := n.planHosters(random)
	faults := n.faults()
	for i := range n.options.Zones {
		fault, broken := Fault{}, i < len(faults)
		if broken {
			fault = faults[i]
		} else if random.IntN(100) < n.options.Broken {
			fault, broken = faults[random.IntN(len(faults))], true
		}
		label := fmt.Sprintf("z%04d", i)
		if broken {
			label += "-" + fault.Name
		}
		z := n.under(n.tlds[random.IntN(len(n.tlds))], label)
		n.populate(z, hosters, random)
		if broken {
			z.Fault = fault.Name
			z.questions = nil
			z.ask("www", dns.TypeA).ask("nx", dns.TypeA)
			fault.apply(n, z)
		}
	}
}

func (n *Internet) faults() (list []Fault) {
	for _, f := range Faults {
		if !n.options.Quick || !f.Slow {
			list = append(list, f)
		}
	}
	return list
}

func (n *Internet) planRoot() {
	op := n.newOperator(3, nil)
	n.root = &Zone{Name: dns.Root, algorithm: dnssec.RSASHA256, denial: sign.Denial{Kind: sign.NSEC}, operators: []*operator{op}}
	for i, a := range op.addrs {
		n.root.servers = append(n.root.servers, nameServer{dns.MustName(fmt.Sprintf("%c.root-servers.internet.", 'a'+i)), a})
	}
	n.hints = n.root.servers
}

// planTLD makes a top-level domain with servers below its own name. Every fifth is unsigned.
func (n *Internet) planTLD(random *rand.Rand, i int) {
	z := n.child(n.root, fmt.Sprintf("t%02d", i))
	if i%5 != 4 {
		z.secure(random)
		z.denial = denials[i%len(denials)]
	}
	n.host(z, n.newOperator(2, nil))
	n.tlds = append(n.tlds, z)
}

// planHosters makes who serves most zones: each has a zone with the names of its servers.
func (n *Internet) planHosters(random *rand.Rand) (list []*Zone) {
	for i := range max(2, n.options.TLDs/2) {
		z := n.under(n.tlds[i], fmt.Sprintf("hoster%02d", i))
		if i%2 == 0 {
			z.secure(random)
		}
		n.host(z, n.newOperator(2, nil))
		z.write(random)
		list = append(list, z)
	}
	return list
}

// host lets an operator serve a zone by names of servers below the zone's.
func (n *Internet) host(z *Zone, ops ...*operator) {
	for _, op := range ops {
		z.operators = append(z.operators, op)
		for _, a := range op.addrs {
			z.servers = append(z.servers, nameServer{z.at(fmt.Sprintf("ns%d", len(z.servers)+1)), a})
		}
	}
}

// under makes a zone below another one, and lists it.
func (n *Internet) under(parent *Zone, label string) *Zone {
	z := n.child(parent, label)
	n.Zones = append(n.Zones, z)
	return z
}

func (n *Internet) child(parent *Zone, label string) *Zone {
	z := &Zone{parent: parent}
	z.Name = parent.at(label)
	parent.children = append(parent.children, z)
	return z
}

// populate writes a healthy zone: two of three are signed; most are at a hoster, some have servers with names of their own.
func (n *Internet) populate(z *Zone, hosters []*Zone, random *rand.Rand) {
	if random.IntN(3) > 0 {
		z.secure(random)
	}
	hoster := hosters[random.IntN(len(hosters))]
	z.operators = hoster.operators
	z.servers = hoster.servers
	if random.IntN(4) == 0 {
		z.servers = nil
		for i, s := range hoster.servers {
			z.servers = append(z.servers, nameServer{z.at(fmt.Sprintf("ns%d", i+1)), s.addr})
		}
	}
	z.write(random)
	other := n.Zones[random.IntN(len(n.Zones))]
	z.add("ext", 300, dns.TypeCNAME, "www."+other.Name.String())
	if other != z && other.Fault == "" {
		z.ask("ext", dns.TypeA)
	}
}

// write gives a zone the records that most zones have, and some questions about them.
func (z *Zone) write(random *rand.Rand) {
	ip := func() string { return fmt.Sprintf("192.0.2.%d", random.IntN(256)) }
	z.add("", 300, dns.TypeA, ip()).add("www", 300, dns.TypeA, ip()).add("www", 300, dns.TypeA, ip())
	z.add("www", 300, dns.TypeAAAA, fmt.Sprintf("2001:db8::%x", random.IntN(65536)))
	z.add("", 3600, dns.TypeMX, "10 mail").add("mail", 300, dns.TypeA, ip())
	z.add("", 300, dns.TypeTXT, `"v=spf1 -all"`)
	z.add("alias", 300, dns.TypeCNAME, "www")
	z.add("*.wild", 300, dns.TypeA, ip())
	z.add("host.below.ent", 300, dns.TypeA, ip())
	z.add("www", 300, dns.TypeHTTPS, "1 . alpn=h2")
	z.ask("www", dns.TypeA)
	all := [...]func(){
		func() { z.ask("", dns.TypeA) }, func() { z.ask("", dns.TypeMX) }, func() { z.ask("", dns.TypeTXT) },
		func() { z.ask("www", dns.TypeAAAA) }, func() { z.ask("www", dns.TypeMX) }, func() { z.ask("www", dns.TypeHTTPS) },
		func() { z.ask("nx", dns.TypeA) }, func() { z.ask("a.b.nx", dns.TypeAAAA) }, func() { z.ask("alias", dns.TypeA) },
		func() { z.ask("alias", dns.TypeMX) }, func() { z.ask("x.wild", dns.TypeA) }, func() { z.ask("x.y.wild", dns.TypeTXT) },
		func() { z.ask("ent", dns.TypeA) }, func() { z.ask("below.ent", dns.TypeTXT) }, func() { z.ask("", dns.TypeSOA) },
		func() { z.ask("", dns.TypeDS) }, func() { z.ask("", dns.TypeNS) }, func() { z.ask("host.below.ent", dns.TypeA) },
	}
	for _, i := range random.Perm(len(all))[:3] {
		all[i]()
	}
}

// Questions are what to ask, at most so many, in an order that chance chooses: faults are spread.
func (n *Internet) Questions(most int) (list []Asked) {
	for _, z := range n.Zones {
		for _, q := range z.questions {
			list = append(list, Asked{q, z})
		}
	}
	random := rand.New(rand.NewPCG(n.options.Seed, 20))
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:min(most, len(list))]
}

// Asked is a question, and the zone that it is about.
type Asked struct {
	dns.Question
	Zone *Zone
}
