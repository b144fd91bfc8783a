// Package local has the names that a resolver answers by itself, without asking
// any server: those of the machine's hosts file, and the special-use names that
// must not leave the network.
//
// [Special] and [Hosts] are immutable once made and safe for concurrent use;
// whoever re-reads a hosts file makes a new Hosts.
//
// RFCs: 6761 (localhost, invalid, test), 6762 §22 (local), 7686 (onion), 9476
// (alt), 9461, 9462 and 9606 (what the resolver says of itself), 8375 (home.arpa), 9462 §6.4 (resolver.arpa), 6303 and 7793 (reverse
// zones of private and special addresses), 8880 (why ipv4only.arpa is not here).
package local

import (
	"onoma/dns"
	"onoma/resolver/cache"
)

// Answer is what a local name has to say.
type Answer struct {
	RCode      dns.RCode
	Sets       []cache.RRset
	Authority  []cache.RRset // of a negative answer: the SOA
	Additional []cache.RRset // beside the answer
	TTL        uint32
}
