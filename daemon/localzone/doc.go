// Package localzone keeps the zones that a resolver answers from without asking
// anybody: from files, which are read again when they change, and from primaries,
// of which the copies are kept on the disk, so that a restart asks nobody.
//
// A [Keeper] is what makes versions for a secondary.Secondary, in the place of the
// pipeline: each copy is judged before it is answered from, and one that is not
// good changes nothing. Timers are those of the zones' SOA records; a copy that
// nobody has confirmed for too long is withdrawn. Its methods may be called by any
// number of goroutines; judging is done under no lock, by the goroutine that brings
// the copy.
//
// RFCs: 8806 (a copy of the root zone), 8976 (ZONEMD), 5936 and 1995 (transfers).
package localzone
