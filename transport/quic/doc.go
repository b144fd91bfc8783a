// Package quic serves DNS over dedicated QUIC connections (RFC 9250) and asks one question over one. QUIC itself is
// quic-go's; here is how queries lie on streams, what ends a stream or a connection with which error, and who may have how
// many of both.
//
// Concurrency: a connection has one goroutine, which answers queries that came whole in the order of their streams. A stream
// of which a part is missing is waited for in a goroutine of its own, and an answer that finds no credit is sent by one. A
// detached query holds its stream until it is done. Addresses are validated by Retry (RFC 9000 §8.1.2) while many
// handshakes are open.
//
// RFCs: 9250, 9000 and 9001 by quic-go, 7828 and 7830 as 9250 changes them.
package quic
