// Package parent is the child's half of a delegation: what a signed zone does
// with the zone above it.
//
// A Watcher knows which DS records each server of the parent serves for a zone.
// While a change is under way it looks often, at rest now and then, so that a DS
// that somebody removed or typed by hand is noticed. It tells the parent of new
// CDS and CSYNC records by NOTIFY, at the receiver that the parent names by DSYNC,
// and where it is configured puts the DS set there itself by UPDATE. What was seen
// is a View, with findings in words: a key is trusted or left only where all
// servers of the parent say so.
//
// Publication is functions without state: CDS and CDNSKEY sets, forms of a DS to
// hand to a registrar, and the signals below the names of name servers by which a
// parent can take a first DS (SignalChanges).
//
// Who is asked when is a state machine without clock, sockets and goroutines
// (core), with one heap of times for all zones and a queue for each server. A
// Watcher locks it, and asks with a bounded number of goroutines; its methods may be
// called by any number of them. Options.Changed is called by the goroutine of Run,
// one call at a time.
//
// A UDP answer that brings news is believed only when the server repeats it over
// TCP: it decides about keys, and who guesses must not be able to.
//
// RFCs: 4035 §3.1.4.1 (who answers for DS), 7344 and 8078 (CDS, CDNSKEY), 7477
// (CSYNC), 7583 (what is waited for), 9615 (signals), 9859 (DSYNC, NOTIFY), 9567
// (error reports), 2136 (UPDATE), 8945 (TSIG).
package parent
