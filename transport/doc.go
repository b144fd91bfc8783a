// Package transport owns the sockets: it takes queries off the wire, hands them to a Handler and puts the answers back,
// over UDP (in batches), TCP (RFC 7766) and TLS (RFC 7858); and it asks one server one question (Client). A message is bytes here: of its
// content the package knows the ID, the QR bit and, as a client, where the question section ends.
//
// Concurrency: a Worker belongs to one goroutine at a time. A UDP loop is one goroutine that owns its socket's receive side,
// its buffers, its Worker and its counters; nothing on the way of a query is allocated, locked or shared. A TCP connection is
// one goroutine that borrows a Worker while it has something to answer. A Worker that cannot answer at once detaches the
// query (Query.Detach) and answers from any goroutine later.
//
// RFCs: 1035 §4.2, 5452 §9 (matching replies), 7766 (TCP), 7858 (TLS), 9715 (no fragmentation by path MTU). Locks: tcpConn.mu before
// connTable.mu, never the other way round.
package transport
