package dnssec

import (
	"crypto/sha1"

	"onoma/dns"
)

const (
	// NSEC3SHA1 is the only hash algorithm of NSEC3 (RFC 5155 §11).
	NSEC3SHA1 = 1
	// NSEC3HashLen is the length of its hashes in octets.
	NSEC3HashLen = sha1.Size
)

// NSEC3Hash appends the hash of name to dst: SHA-1, iterated over the salt (RFC
// 5155 §5). name is in wire form and in lower case. It does not allocate.
func NSEC3Hash(dst, name []byte, iterations uint16, salt []byte) []byte {
	var buf [dns.MaxNameLen + 255]byte // a salt has at most 255 octets (RFC 5155 §3.1.4)
	h := sha1.Sum(append(append(buf[:0], name...), salt...))
	for ; iterations > 0; iterations-- {
		h = sha1.Sum(append(append(buf[:0], h[:]...), salt...))
	}
	return append(dst, h[:]...)
}
