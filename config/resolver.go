package config

import (
	"net/netip"

	"onoma/dns"
)

// Resolver answers questions for names of others, by asking. It has addresses of
// its own: what it listens on answers from no zone, and what the zones are served
// on asks nobody.
type Resolver struct {
	// Listen is where questions are taken, as in the outermost listen; without it there is no resolver.
	Listen []Endpoint `yaml:"listen" restart:"true"`
	// Threads is the number of UDP loops for each address, each tied to a CPU; 0: one loop that shares the CPUs with others.
	Threads int `yaml:"threads" default:"0" range:"0..1024" restart:"true"`
	// Allow are the networks that may ask; without it loopback and private networks.
	Allow []netip.Prefix `yaml:"allow" restart:"true"`
	// RootHints is a file of root servers like IANA's named.root; without it those of the Internet. Where some have loopback addresses, others may have such, too.
	RootHints string `yaml:"root-hints" path:"file" restart:"true"`
	// TrustAnchor is a file of DS or DNSKEY records that are trusted, or IANA's root-anchors.xml, or off: answers are not validated. Without it they are those of the Internet's root; where root-hints are one's own, none.
	TrustAnchor string `yaml:"trust-anchor" path:"file" off:"word" restart:"true"`
	// TrustAnchorState is the file in which the anchors follow their zone's keys by themselves (RFC 5011); without it one in data, off for anchors that stay as they are.
	TrustAnchorState string `yaml:"trust-anchor-state" path:"file" off:"word" restart:"true"`
	// Insecure are names at and below which nothing is validated (RFC 7646): zones of one's own that the public tree does not know, and what is broken for long. What ends by itself is set by "onoma ctl insecure".
	Insecure []dns.Name `yaml:"insecure"`
	// Routes say where answers come from otherwise than from the servers that the tree of the DNS names, by zone.
	Routes []Route `yaml:"routes"`
	// UpstreamCA is a file of whose certificates are believed of servers that are asked as NAME (PEM); without it those that the system believes.
	UpstreamCA string `yaml:"upstream-ca" path:"file" restart:"true"`
	// InfoURL is a page for people about this resolver, which clients are told of that ask (RFC 9606).
	InfoURL string `yaml:"info-url" restart:"true"`
	// LocalRoot keeps a copy of the root zone (RFC 8806), verified by its digest and signatures, and answers from it; where there is no good copy, the root servers are asked as ever.
	LocalRoot bool `yaml:"local-root" default:"false"`
	// Port is that of all name servers; another than 53 is for labs.
	Port int `yaml:"port" default:"53" range:"1..65535" restart:"true"`
	// IPv4 has servers asked over IPv4.
	IPv4 bool `yaml:"ipv4" default:"true" restart:"true"`
	// IPv6 has servers asked over IPv6.
	IPv6 bool `yaml:"ipv6" default:"true" restart:"true"`
	// Source are the addresses that servers are asked from, one of each family at most; without one the system chooses.
	Source []netip.Addr `yaml:"source" restart:"true"`
	// OpportunisticEncryption asks servers over TLS or QUIC, once they are found to speak it on port 853 (RFC 9539): who listens on the way learns less. Nobody has to prove anything, no answer is delayed by it; it costs a connection attempt to each server in a day.
	OpportunisticEncryption bool `yaml:"opportunistic-encryption" default:"false" restart:"true"`
	// Minimise sends servers no more of a name than they need to know (RFC 9156).
	Minimise bool `yaml:"minimise" default:"true" restart:"true"`
	// RandomCase writes the letters of names in questions to servers in a case of chance, which a forged reply must guess; those that do not keep it are noticed.
	RandomCase bool `yaml:"random-case" default:"true" restart:"true"`
	// NeverAsk are networks in which no name server is asked, whatever delegations say. Addresses that nobody can be reached at are never asked, nor is the resolver itself.
	NeverAsk []netip.Prefix `yaml:"never-ask" restart:"true"`
	// ReportErrors tells those whom servers name for it of answers that do not pass validation (RFC 9567).
	ReportErrors bool `yaml:"report-errors" default:"false" restart:"true"`
	// Hosts is a hosts file that is answered from first, and read again when it changes; off for none.
	Hosts string `yaml:"hosts" default:"off" path:"file" off:"true" restart:"true"`
	// ClientSubnet has some name servers told the networks of clients (ECS, RFC 7871).
	ClientSubnet ClientSubnet `yaml:"client-subnet"`
	// Cache is what is remembered, and how long clients wait for what is not.
	Cache ResolverCache `yaml:"cache"`
	// Lookups is the most look-ups at the same time; the oldest give way to more.
	Lookups int `yaml:"lookups" default:"2048" range:"16..1000000" restart:"true"`
	// NAT64 is the prefix of a translator, as in 64:ff9b::/96, through which servers that have only an IPv4 address are asked.
	NAT64 netip.Prefix `yaml:"nat64" restart:"true"`
	// ClientLimits bound what the resolver does for one client.
	ClientLimits ClientLimits `yaml:"client-limits"`
	// Policy is how clients are answered otherwise than the DNS has it.
	Policy ResolverPolicy `yaml:"policy"`
}

func (d *decoder) checkResolver(m *mapping, r *Resolver) {
	if len(r.Listen) == 0 && len(m.entries) > 0 {
		d.fail(m.node, "listen, as in listen: [\"127.0.0.1:53\"]", "the resolver listens nowhere")
	}
	if !r.IPv4 && !r.IPv6 {
		d.fail(m.at("ipv6"), "one of them", "both ipv4 and ipv6 are off: no server can be asked")
	}
	d.checkRoutes(m, r)
	for i, a := range r.Source {
		for _, b := range r.Source[:i] {
			if a.Is4() == b.Is4() {
				d.fail(m.at("source"), "one of each family at most", "source has both %v and %v", b, a)
			}
		}
	}
}
