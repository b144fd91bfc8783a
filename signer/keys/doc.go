// Package keys decides when which key of a zone does what. It is the state machine behind every rollover: of ZSK, KSK and
// CSK, from one algorithm to another, from one key to a pair and back, from unsigned to signed and back, in an emergency,
// with standby keys, and beside other providers' keys (RFC 8901).
//
// A [Ring] holds one zone's keys and what caches may still hold of the zone: each version of the DNSKEY set, each set of keys
// that signed the zone, the DS records at the parent. [Ring.Step] takes the time and the [Facts] (what was seen to be served,
// by how many servers, since when) and goes as far as is allowed: a key's record (DNSKEY, its signatures over the zone, its
// signature over the DNSKEY set, its DS) comes or goes only if afterwards the zone is valid for every resolver, whatever mix
// of versions it has cached. That one rule is all; nothing here is a script of a certain kind of rollover. The model is that
// of 'Flexible and Robust Key Rollover' (Mekking, Schaeffer): each record is [Hidden], [Rumoured], [Omnipresent] or
// [Unretentive]. The words of RFC 7583 ([Key.Phase]) are names for people, derived from those states.
//
// The package does no I/O, reads no clock and starts no goroutine. A Ring belongs to one goroutine.
//
// RFCs: 4035 §2.2 and 6840 §5.11 (which signatures must be there), 6781 §4 and 7583 (rollovers and their times), 7344 and 8078
// (CDS, CDNSKEY), 8901 (several providers), 9276 (NSEC3).
package keys
