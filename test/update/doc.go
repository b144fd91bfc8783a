// Package update tests DNS UPDATE (RFC 2136): a table of requests whose answers and
// effects are compared with BIND's, and the clients of this distribution against a
// server of this process.
package update
