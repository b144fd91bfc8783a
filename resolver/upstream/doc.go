// Package upstream is a resolver's way to servers: sockets and connections, shared
// by all look-ups on all processors. [Network] is the iterator's Env in the real
// world.
//
// Over UDP each exchange has a socket to itself, connected to the server, on a port
// that nobody can know beforehand and that is given up with the next exchange; the
// sockets themselves are used again. The first reply that is well formed and does
// not match ends the exchange as spoofed, and the iterator goes to TCP; junk is
// passed over.
//
// Connections (TCP, TLS, and by clients that are given QUIC and HTTPS) are kept in
// one map for all. Each carries many questions at once, is closed when idle, and is
// replaced once when it breaks. The key is the whole target: a connection that
// proved a name and one that proved nothing are never the same, and TLS sessions of
// the two are remembered apart.
//
// Locks: datagrams.mu, lines.mu and stream.mu each guard one map or list; nothing
// blocks under them but stream.writing, which serializes writes.
//
// RFCs: 5452, 7766, 7858, 8310 (opportunistic and strict privacy), 9250, 9715.
package upstream
