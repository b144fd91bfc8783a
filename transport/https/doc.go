// Package https serves DNS over HTTPS (RFC 8484): HTTP/1.1 and HTTP/2 over TCP and HTTP/3 over QUIC on the same port, and asks
// one question over any of them. HTTP is the standard library's and quic-go's; here is what a request and its response mean,
// and who may have how many connections.
//
// Concurrency: HTTP's own, a goroutine for each request. It borrows a Worker to answer, and waits where the query was detached.
//
// RFCs: 8484, 2308 §5 (how long a negative answer may be kept), 7838 (Alt-Svc leads to HTTP/3).
package https
