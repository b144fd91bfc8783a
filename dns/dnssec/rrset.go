package dnssec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"onoma/dns"
)

// RRset is records of one owner, type and class (RFC 2181 §5).
type RRset struct {
	Owner dns.Name
	Type  dns.Type
	Class dns.Class
	TTL   uint32
	RData []dns.RData
}

// Why a signature does not hold for a set, apart from ErrSignature, ErrKey and
// ErrAlgorithm.
var (
	ErrExpired     = errors.New("signature has expired")
	ErrNotYetValid = errors.New("signature is not valid yet")
	ErrPeriod      = errors.New("signature expires before it is valid")
	ErrLabels      = errors.New("signature has a wrong number of labels")
	ErrSigner      = errors.New("signer is not a zone that has the records")
	ErrCovers      = errors.New("signature covers another type")
	ErrNotZoneKey  = errors.New("key is not one of a zone")
	ErrOtherKey    = errors.New("signature is by another key")
	ErrEmpty       = errors.New("set has no records")
)

// SignRRset makes the signature of a set in a zone. The times are seconds since
// 1970 as serial numbers (RFC 4034 §3.1.5).
func SignRRset(k *Key, zone dns.Name, set RRset, inception, expiration uint32) (dns.RRSIG, error) {
	s := dns.RRSIG{
		TypeCovered: set.Type, Algorithm: k.Algorithm(), Labels: uint8(signedLabels(set.Owner)), OriginalTTL: set.TTL,
		Expiration: expiration, Inception: inception, KeyTag: k.tag, Signer: zone.Fold(),
	}
	switch {
	case len(set.RData) == 0:
		return s, fmt.Errorf("signing %s %s: %w", set.Owner, set.Type, ErrEmpty)
	case !set.Owner.IsSubdomainOf(zone):
		return s, fmt.Errorf("signing %s %s in %s: %w", set.Owner, set.Type, zone, ErrSigner)
	}
	var buf [2048]byte
	var err error
	s.Signature, err = k.Sign(nil, AppendSignedData(buf[:0], &s, set))
	return s, err
}

// signedLabels counts as RFC 4034 §3.1.3 has it: without the root and without an
// asterisk that comes first.
func signedLabels(owner dns.Name) int {
	if n := owner.NumLabels(); !owner.IsWildcard() {
		return n
	} else {
		return n - 1
	}
}

// AppendSignedData appends what a signature is over (RFC 4034 §3.1.8.1): its own
// rdata, then the records in canonical form and order, each once, under the name
// of the wildcard where s says so.
func AppendSignedData(dst []byte, s *dns.RRSIG, set RRset) []byte {
	dst = s.AppendSigned(dst)
	var fixed [dns.MaxNameLen + 8]byte
	head := appendSignedOwner(fixed[:0], s, set.Owner)
	be := binary.BigEndian
	head = be.AppendUint16(head, uint16(set.Type))
	head = be.AppendUint16(head, uint16(set.Class))
	head = be.AppendUint32(head, s.OriginalTTL)
	for _, rd := range inOrder(set) {
		dst = append(append(dst, head...), 0, 0)
		start := len(dst)
		dst = dns.AppendCanonicalRData(dst, set.Type, rd)
		be.PutUint16(dst[start-2:], uint16(len(dst)-start))
	}
	return dst
}

func appendSignedOwner(dst []byte, s *dns.RRSIG, owner dns.Name) []byte {
	if cut := owner.NumLabels() - int(s.Labels); cut > 0 {
		dst = append(dst, 1, '*')
		owner = owner.Ancestor(cut)
	}
	return dns.AppendFolded(dst, owner.Append(make([]byte, 0, dns.MaxNameLen)))
}

// inOrder returns the rdata in canonical order without doubles (RFC 4034 §6.3):
// as they are, where they are so already.
func inOrder(set RRset) []dns.RData {
	compare := func(a, b dns.RData) int { return dns.CompareCanonicalRData(set.Type, a, b) }
	sorted := true
	for i := 1; i < len(set.RData) && sorted; i++ {
		sorted = compare(set.RData[i-1], set.RData[i]) < 0
	}
	if sorted {
		return set.RData
	}
	list := slices.Clone(set.RData)
	slices.SortFunc(list, compare)
	return slices.CompactFunc(list, func(a, b dns.RData) bool { return compare(a, b) == 0 })
}

// signedData are buffers for what signatures are over.
var signedData = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

// VerifyRRset makes all checks of RFC 4035 §5.3.1 that the set, the signature and
// the key allow, then verifies the signature. That the key is one of s.Signer's
// own set is the caller's to know.
func VerifyRRset(set RRset, s *dns.RRSIG, key dns.DNSKEY, now time.Time) error {
	if err := CheckRRSIG(set.Owner, set.Type, s, now); err != nil {
		return err
	}
	if err := checkSigner(set.Type, s, key); err != nil {
		return err
	}
	if len(set.RData) == 0 {
		return ErrEmpty
	}
	buf := signedData.Get().(*[]byte)
	defer signedData.Put(buf)
	*buf = AppendSignedData((*buf)[:0], s, set)
	return Verify(s.Algorithm, key.PublicKey, *buf, s.Signature)
}

// CheckRRSIG makes the checks that need no key.
func CheckRRSIG(owner dns.Name, t dns.Type, s *dns.RRSIG, now time.Time) error {
	clock := uint32(now.Unix())
	switch {
	case s.TypeCovered != t:
		return ErrCovers
	case !owner.IsSubdomainOf(s.Signer):
		return ErrSigner
	// RFC 4035 §5.3.1 has the first. Fewer labels than the signer has would make
	// the set an expansion of a wildcard outside the zone.
	case int(s.Labels) > signedLabels(owner) || int(s.Labels) < s.Signer.NumLabels():
		return ErrLabels
	case int32(s.Expiration-s.Inception) < 0:
		return ErrPeriod
	case int32(clock-s.Inception) < 0:
		return ErrNotYetValid
	case int32(s.Expiration-clock) < 0:
		return ErrExpired
	}
	return nil
}

// checkSigner: RFC 4034 §2.1: other keys of the apex sign no zone data. RFC 5011
// §2.1: a revoked key signs nothing but its own set.
func checkSigner(t dns.Type, s *dns.RRSIG, key dns.DNSKEY) error {
	switch {
	case !key.IsZoneKey() || key.Protocol != 3 || key.IsRevoked() && t != dns.TypeDNSKEY:
		return ErrNotZoneKey
	case key.Algorithm != s.Algorithm || key.KeyTag() != s.KeyTag:
		return ErrOtherKey
	}
	return nil
}
