// Package dns is the vocabulary of the Domain Name System: names, record types,
// rdata, messages, EDNS options and transaction signatures, all in wire form.
//
// A [Name] is its uncompressed wire form, an [RData] is the uncompressed wire
// form of one record's data; text exists only at the edges. One table describes
// every record type ([Type]) as a row of field kinds, and parsing, printing,
// checking, canonical form and compression are walks over that table.
//
// Messages are read in two ways. The hot path of a server reads a query in
// place ([ParseQuery]) and appends its answer with a [Builder], without
// allocating. Tools and the resolver decode a whole [Message].
//
// The package does no I/O, reads no clock and starts no goroutine. Values are
// immutable and may be shared; a Builder belongs to one goroutine.
//
// RFCs: 1034, 1035, 2181, 3597, 4034 (canonical form), 4343 (case), 6891
// (EDNS), 8914 (EDE), 8945 (TSIG), 9460 (SVCB); the types cite their own.
package dns
