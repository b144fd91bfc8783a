package daemon

import (
	"onoma/config"
	"onoma/resolver"
)

// subnetsOf is which servers are told the networks of the resolver's clients.
func subnetsOf(c *config.ClientSubnet) resolver.ClientSubnet {
	return resolver.ClientSubnet{Zones: c.Zones, IPv4: c.IPv4, IPv6: c.IPv6, FromClients: c.FromClients}
}
