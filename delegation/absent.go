package delegation

import (
	"bytes"
	"errors"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// maxIterations is how many rounds of NSEC3 hashing are made for a child (RFC 9276
// §3.2 has validators stop at far fewer than RFC 5155 allows).
const maxIterations = 150

// absent verifies that a name has no records of a type: by an NSEC of the very name
// (RFC 4035 §5.4), or the NSEC3 of its hash (RFC 5155 §8.5).
func (v *verifier) absent(r *reply, keys []dns.DNSKEY) error {
	for _, rr := range r.proof {
		if !denies(rr, r.set.Owner, r.set.Type) {
			continue
		}
		q := dns.Question{Name: rr.Name, Type: rr.Type, Class: dns.ClassIN}
		set, err := readReply(&dns.Message{Flags: dns.FlagAA, Answer: r.proof}, q)
		if err != nil {
			return err
		}
		_, err = v.signed(&set, keys)
		return err
	}
	return errors.New("there is no NSEC or NSEC3 record of the name that says so")
}

// denies says whether a record, once it is verified, proves that a name of the zone has
// no records of a type.
func denies(rr dns.Record, name dns.Name, t dns.Type) bool {
	var types dns.TypeBitmap
	switch rr.Type {
	case dns.TypeNSEC:
		n, err := dns.ParseNSEC(rr.Data)
		if err != nil || !rr.Name.Equal(name) {
			return false
		}
		types = n.Types
	case dns.TypeNSEC3:
		n, err := dns.ParseNSEC3(rr.Data)
		if err != nil || !isHashOf(rr.Name, &n, name) {
			return false
		}
		types = n.Types
	default:
		return false
	}
	// RFC 6840 §4.1: that of a delegation says nothing of what lies behind it.
	isCut := types.Has(dns.TypeNS) && !types.Has(dns.TypeSOA)
	return !types.Has(t) && !types.Has(dns.TypeCNAME) && !isCut
}

// isHashOf says whether an NSEC3 record's owner is the hash of a name.
func isHashOf(owner dns.Name, n *dns.NSEC3, name dns.Name) bool {
	if n.Hash != 1 || n.Iterations > maxIterations {
		return false
	}
	hash, ok := dns.DecodeBase32Hex(nil, []byte(owner.FirstLabel()))
	return ok && bytes.Equal(hash, dnssec.NSEC3Hash(nil, name.Fold().Append(nil), n.Iterations, n.Salt))
}

// errWildcard: an expansion would need a proof that nothing is nearer (RFC 4035 §5.3.4),
// and nobody has wildcards for name servers.
var errWildcard = errors.New("the answer is the expansion of a wildcard")
