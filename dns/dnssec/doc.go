// Package dnssec is the cryptography of signed zones: the hash of NSEC3 owner
// names (RFC 5155 §5).
//
// Its functions hold no state: any goroutine may call them.
package dnssec
