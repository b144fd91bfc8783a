// Package resolver answers clients' questions for any name of the DNS: from its
// caches where it can, by asking where it must. [Resolver] is a
// [transport.Handler], and Resolve is the same for Go programs.
//
// A query takes one of two ways. Its answer is in the cache of whole messages
// (see the cache package): then the transport's own loop copies it, patches the
// TTLs and sends it, without a lock or an allocation. Or it leaves the loop as a
// copy, and a goroutine out of a bounded number looks it up (see iterator);
// identical questions wait for the same look-up, whatever their case, EDNS
// options and DO bit. When there are too many look-ups, the oldest that has run
// for a second gives way; where none has, the newcomer gets SERVFAIL at once.
//
// Before that come the access list (REFUSED and EDE 18 for others), names with
// local answers (see local) and what no resolver should look up (ANY, CHAOS).
// A question without RD is answered from the cache alone; what is not there is
// REFUSED with EDE 20.
//
// Where there are trust anchors, what was looked up is validated before anybody
// sees it, paid from the same budget, and remembered with what was found of it. An answer that does not pass is asked for
// again of other servers, a few times; then it is SERVFAIL with the reason (RFC
// 8914), which is remembered for a minute. AD goes to clients that show by AD or
// DO that they know it; with CD, what was found is passed on as it is, from cache
// entries of its own.
//
// Locks: jobs.mu guards the look-ups in flight; nothing is called under it.
//
// RFCs: 1035, 2181, 2308, 3225, 4035 §3.2, 6761, 6840 §5.7 to 5.9, 6891, 8482 (ANY), 8914, 9520.
package resolver
