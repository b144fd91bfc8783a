// Package catalog makes and follows catalog zones: zones whose records list the
// zones that name servers are to serve (RFC 9432).
//
// [Read] takes the members from a version of a zone, or says why it is broken. A
// [Consumer] holds what several catalogs list and which of them owns which zone,
// and turns each new version of a catalog into [Action] values, at the cost of
// what has changed. A [Manager] carries those out at a [Host], in batches, and
// keeps in a [Keeper] what a restart must know, so that nothing is added or
// transferred twice. A [Producer] makes the changes of this server's own catalog.
//
// Concurrency: a Consumer belongs to one goroutine, and neither it nor a Producer
// does any I/O. A Manager may be used by any number of goroutines.
//
// RFCs: 9432 (catalog zones); section numbers without another RFC are its own.
package catalog
