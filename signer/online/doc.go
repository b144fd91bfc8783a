// Package online signs what answers need and zones do not hold: the denials of
// zones without a chain (compact denial, RFC 9824), wildcard expansions under
// the name that was asked for, and records that are made up for the one who asks.
//
// A [Signer] is one for the whole server: a cache of signatures, bounded in
// octets, and a budget of signatures per second. A [Zone] is one zone's door to
// it, with that zone's keys; it implements zone.Online, which package authority
// asks. Where the budget is gone there is no signature, hence no answer: never an
// unsigned one. Names that a zone has are served from a share of cache and budget
// that questions for made-up names cannot touch, and no zone gets all of it.
//
// A signature is a function of the set, the key and the hour: all servers that
// hold the same keys give the same answer, whoever is asked. The keys of RFC 6605
// and RFC 8080 sign deterministically here.
//
// Concurrency: everything may be called by any number of goroutines. There are no
// locks and no goroutines; what is found in the cache is handed out without
// allocating.
//
// RFCs: 4034 §3 (RRSIG), 9824 §2 and §7 (what online signing costs).
package online
