// Package secondary keeps zones as their primaries have them: it asks for SOA
// records when a zone's timers or a NOTIFY say so, fetches what has changed, or
// the whole zone, and hands it as one [zone.Change] to who makes versions.
//
// The core (machine) has no I/O: events and time go in, actions come out, for
// all zones out of one heap of times. No zone has a goroutine or a timer of its
// own; a bounded number of goroutines asks and fetches. The methods of a
// [Secondary] may be called by any number of goroutines.
//
// RFCs: 1034 §4.3.5 and 1035 (timers), 1982 (serial numbers), 1995 (IXFR), 1996
// (NOTIFY), 5936 (AXFR), 7314 (EXPIRE), 8945 (TSIG), 9103 (TLS), 9250 (QUIC).
package secondary
