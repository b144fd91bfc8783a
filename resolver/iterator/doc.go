// Package iterator finds answers by asking: from the root downward, zone by
// zone, as RFC 1034 §5.3.3 has it, and remembers what it learns in a
// [cache.Records].
//
// A look-up runs in the caller's goroutine; each question to a server has one of
// its own, which notes in the book of servers how it went, and may outlive the
// look-up where another server was quicker. [Env] is the clock, the randomness
// and the network. All state shared between look-ups is in the cache, in the book
// (round-trip times, dead and lame servers, cookies, our own link), in the crowds
// that wait for zones, and in the table of flights, through which look-ups that
// need the same question asked of the same zone wait for one another; each has its
// own lock, none is held while asking, and of two only flights.mu may be taken first.
//
// Who is asked, and how: search (candidates.go) chooses among a zone's servers by
// what the book says of them (servers.go), race.go asks a second one where the
// first is late, ask.go decides what a reply amounts to and in which other way to
// ask, link.go whose fault a silence is.
//
// What keeps it safe: every client's question has one [Budget] (see [Limits]) that
// all look-ups made on its behalf draw from, validation too. Data is taken only from the zone
// that the server was asked as. Delegations come from referrals alone and are
// leases: nothing learnt below a cut outlives what the parent granted.
//
// What Secure proofs show of other names, and Secure DNAMEs and wildcards, is
// answered without asking (see denier); nothing of that crosses a route.
//
// RFCs: 1034, 2181 §5, 2308, 5452, 6672 (DNAME), 6891, 7873 and 9018 (cookies), 8020, 8109 and 9609 (priming),
// 9156 (query name minimisation), 9520 (failures), 8914 (extended errors).
package iterator
