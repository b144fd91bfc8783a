// Package authority answers queries from zones: it is the name server of
// RFC 1034 §4.3.2 for the zones that a [Server] is given.
//
// A Server is a table of zones and a transport.Handler. Each UDP loop and TCP
// connection has a Worker of its own with all the scratch memory that an answer
// takes. The table is immutable behind an atomic pointer, as are the versions
// of the zones: a Worker takes no lock, allocates nothing and waits for nobody.
//
// What an answer consists of is decided in one place each: the algorithm in
// answer.go, aliases in alias.go, delegations in referral.go, proofs of absence
// in denial.go, nsec3.go and compact.go, the limits of the message in reply.go, whatever is
// not a question about a zone in check.go and chaos.go, EDNS options in
// options.go, and whether the client gets the answer at all in limit.go.
//
// Whole zones go out in transfer.go and the files beside it, by goroutines of
// their own. Signatures of messages are checked and made in tsig.go.
//
// Requests to change zones (RFC 2136) are handed to an [Updates] in update.go, which
// package authority/update implements.
//
// Not served: recursion (RA clear). NOTIFY is refused.
//
// RFCs: 1034, 1035, 1982 and 1995 (IXFR), 1996 (NOTIFY), 2136 (UPDATE), 2181, 2308 (negative answers), 3225 and 4035 (DNSSEC), 3597,
// 4592 (wildcards), 5001 (NSID), 5155 (NSEC3), 5936 (AXFR), 6604 (rcodes of chains), 6672
// (DNAME), 6891 (EDNS), 7314 (EXPIRE), 7828 (keepalive), 7830 and 8467 (padding),
// 7873 and 9018 (cookies), 8020, 8482 (ANY), 8914 (extended errors), 8945 (TSIG),
// 9103 (transfers over TLS), 9471 (glue), 9567 (report channel), 9609 (priming), 9619 (one
// question), 9660 (ZONEVERSION), 9824 (compact denial).
package authority
