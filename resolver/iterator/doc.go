// Package iterator finds answers by asking: from the root downward, zone by
// zone, as RFC 1034 §5.3.3 has it, and remembers what it learns in a
// [cache.Records].
//
// A look-up runs in the caller's goroutine and blocks on its [Env], which is
// the clock, the randomness and the network; the package starts no goroutine.
// All state shared between look-ups is in the cache, in the book of servers
// (round-trip times, dead and lame ones) and in the table of flights, through
// which look-ups that need the same question asked of the same zone wait for
// one another; each has its own lock, none is held while asking, and of two
// only flights.mu may be taken first.
//
// What keeps it safe: every client's question has one [Budget] (see [Limits]) that
// all look-ups made on its behalf draw from, validation too. Data is taken only from the zone
// that the server was asked as. Delegations come from referrals alone and are
// leases: nothing learnt below a cut outlives what the parent granted.
//
// RFCs: 1034, 2181 §5, 2308, 6672 (DNAME), 6891, 8020, 8109 and 9609 (priming),
// 9156 (query name minimisation), 9520 (failures), 8914 (extended errors).
package iterator
