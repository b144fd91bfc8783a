// Package certs has the certificates of the encrypted transports: from files that are read again when they change, from an
// ACME server (RFC 8555) that proves control of the names over the very listeners that serve them (TLS-ALPN-01, RFC 8737), or
// made up in memory for labs and tests. Each gives a *tls.Config to be shared by DNS over TLS, QUIC and HTTPS.
//
// Concurrency: everything may be called from many goroutines. A handshake never waits for a disk or for the network: it takes
// what an atomic pointer holds, and starts a look at the files when the last one is some seconds old.
package certs
