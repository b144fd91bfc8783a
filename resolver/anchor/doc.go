// Package anchor keeps the trust anchors of a zone in step with its keys (RFC
// 5011): a new key is believed after a hold-down of 30 days in which the zone's
// own signatures vouched for it, one that revokes itself is gone at once, and one
// that is missing stays trusted for a year.
//
// [Point] is the state of one zone, a pure machine: what was seen of the DNSKEY
// set and the time go in, states and the time of the next look come out. It asks
// nobody and has no clock. [Parse] and [Point.Append] are its file, in the form
// that Unbound and autotrust have, so that a state moves from there to here and
// back; [Store] writes it whole or not at all.
//
// It also has what resolvers tell others of their anchors: the names of RFC 8145
// and 8509. A Point belongs to one goroutine.
//
// RFCs: 5011, 8145 §5, 8509.
package anchor
