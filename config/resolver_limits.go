package config

import (
	"net/netip"
	"time"
)

// ClientLimits keep some of the resolver's clients from using up what all share. Answers out of the cache are never limited.
type ClientLimits struct {
	// Enabled limits anybody at all.
	Enabled bool `yaml:"enabled" default:"true" restart:"true"`
	// Soft is what a client may cost, in questions to servers per second, while many wait; networks around it may cost more, but not as much more as they are larger.
	Soft int `yaml:"soft" default:"1000" range:"1..1000000000" restart:"true"`
	// Hard is what it may cost at any time.
	Hard int `yaml:"hard" default:"10000" range:"1..1000000000" restart:"true"`
	// Action is what is done for a client that costs more: refuse, tcp-only (who comes by TCP is answered), or drop.
	Action string `yaml:"action" default:"refuse" oneof:"refuse|tcp-only|drop" restart:"true"`
	// Waiting is the most queries of an IPv4 address, or of an IPv6 /64, that wait for answers.
	Waiting int `yaml:"waiting" default:"1000" range:"1..1000000" restart:"true"`
	// Late is how late a large answer by UDP may be; after that it is cut short, and the client comes again (CVE-2024-33655). 0s is no limit.
	Late time.Duration `yaml:"late" default:"1900ms" range:"0s..1m" restart:"true"`
	// Exempt are networks that are not limited, those of proxies and forwarders for many; without it loopback.
	Exempt []netip.Prefix `yaml:"exempt" restart:"true"`
}
