// Package propagation follows each version of each zone until every secondary serves it. It owns what is known of secondaries:
// the serial number that each serves, when it was heard, how far it is behind and why. It asks them for their SOA record, at
// once when one has acknowledged a NOTIFY (RFC 1996) or has ended a transfer, then after longer and longer waits; those that
// serve the newest version are asked again only now and then, so that one that goes back is noticed. Serial numbers are compared
// as RFC 1982 says.
//
// What to ask and when is decided by a core without sockets, clock and goroutines. A Follower runs it: one goroutine keeps the
// time, a bounded number of others ask, a few look for the addresses of secondaries, however many zones there are. The methods
// of a Follower may be called by any number of goroutines, also before it runs.
//
// What propagates is the zone to its servers, not data to caches: what caches hold expires when its TTL says so.
package propagation
