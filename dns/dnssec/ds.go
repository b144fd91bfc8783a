package dnssec

import (
	"bytes"
	"crypto"
	"crypto/subtle"
	"errors"
	"fmt"

	"onoma/dns"
)

// The digests of DS records (RFC 4034 appendix A.2, RFC 4509, RFC 6605 §2).
const (
	DigestSHA1   = 1
	DigestSHA256 = 2
	DigestSHA384 = 4
)

// ErrDigest says that a digest of DS is not one of those.
var ErrDigest = errors.New("digest type is not known")

var digests = map[uint8]crypto.Hash{DigestSHA1: crypto.SHA1, DigestSHA256: crypto.SHA256, DigestSHA384: crypto.SHA384}

// CanDigest reports whether DS records of that digest type can be checked.
func CanDigest(digest uint8) bool { return digests[digest] != 0 }

// MakeDS returns the DS record of a key (RFC 4034 §5.1.4).
func MakeDS(owner dns.Name, k dns.DNSKEY, digest uint8) (dns.DS, error) {
	h := digests[digest]
	if h == 0 {
		return dns.DS{}, fmt.Errorf("%w: %d, expected 2 (SHA-256) or 4 (SHA-384)", ErrDigest, digest)
	}
	rdata := k.RData()
	w := h.New()
	w.Write(owner.Fold().Append(nil))
	w.Write(rdata)
	return dns.DS{KeyTag: dns.KeyTag(rdata), Algorithm: k.Algorithm, DigestType: digest, Digest: w.Sum(nil)}, nil
}

// MatchDS reports whether d is of that key: a key of the zone (RFC 4034 §5.2)
// with d's tag, algorithm and digest.
func MatchDS(owner dns.Name, k dns.DNSKEY, d dns.DS) bool {
	if k.Algorithm != d.Algorithm || k.Protocol != 3 || !k.IsZoneKey() || k.KeyTag() != d.KeyTag {
		return false
	}
	made, err := MakeDS(owner, k, d.DigestType)
	return err == nil && subtle.ConstantTimeCompare(made.Digest, d.Digest) == 1
}

// DeleteCDS returns the rdata of the CDS that asks the parent to remove the DS
// set (RFC 8078 §4, with the erratum: one octet of zero as the digest).
func DeleteCDS() dns.RData { return dns.RData{0, 0, 0, 0, 0} }

// DeleteCDNSKEY is the same for CDNSKEY.
func DeleteCDNSKEY() dns.RData { return dns.RData{0, 0, 3, 0, 0} }

// IsCDSDelete reports whether rdata of CDS is the request to delete.
func IsCDSDelete(rdata dns.RData) bool { return bytes.Equal(rdata, DeleteCDS()) }

// IsCDNSKEYDelete reports whether rdata of CDNSKEY is the request to delete.
func IsCDNSKEYDelete(rdata dns.RData) bool { return bytes.Equal(rdata, DeleteCDNSKEY()) }
