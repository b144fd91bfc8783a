// Package dnssec is the cryptography of signed zones: keys and signatures (RFC
// 4034, 5702, 6605, 8080), signed RRsets (RFC 4034 §3, RFC 4035 §5.3), DS and CDS
// (RFC 4034 §5, RFC 8078), what NSEC, NSEC3 and compact answers prove (RFC 4035
// §5.4, RFC 5155 §8, RFC 9824), digests of whole zones (RFC 8976), and messages
// signed by public keys (RFC 2931).
//
// It knows no clock, no network and no zone. Its functions hold no state, and its
// values, Denial apart, do not change: any goroutine may use them.
package dnssec
