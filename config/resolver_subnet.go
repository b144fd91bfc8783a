package config

import "onoma/dns"

// ClientSubnet has some name servers told the networks of clients (ECS, RFC 7871), so that they can answer with what is near them. Without zones nobody is told.
type ClientSubnet struct {
	// Zones are those whose servers are told, and the servers of zones below them; the root is all.
	Zones []dns.Name `yaml:"zones" restart:"true"`
	// IPv4 is how many bits of an IPv4 address they are told.
	IPv4 int `yaml:"ipv4" default:"24" range:"1..24" restart:"true"`
	// IPv6 is how many bits of an IPv6 address they are told.
	IPv6 int `yaml:"ipv6" default:"56" range:"1..56" restart:"true"`
	// FromClients takes the networks that clients name in options of their own in the place of their addresses: for a resolver whose clients are forwarders.
	FromClients bool `yaml:"from-clients" default:"false" restart:"true"`
}
