package validator

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// signedSet is a set of a message and the signatures that are said to be its.
type signedSet struct {
	dnssec.RRset
	sigs []dns.RRSIG
}

type setKey struct {
	owner dns.Name
	t     dns.Type
}

// collect puts the records of a section together, in the order of their first
// ones. What is not of class IN is left out.
func collect(records []dns.Record) []signedSet {
	var sets []signedSet
	at := map[setKey]int{}
	index := func(r dns.Record, t dns.Type) int {
		k := setKey{r.Name.Fold(), t}
		i, ok := at[k]
		if !ok {
			i = len(sets)
			at[k] = i
			sets = append(sets, signedSet{RRset: dnssec.RRset{Owner: r.Name, Type: t, Class: r.Class, TTL: r.TTL}})
		}
		return i
	}
	for _, r := range records {
		if r.Class != dns.ClassIN {
			continue
		}
		if r.Type != dns.TypeRRSIG {
			s := &sets[index(r, r.Type)]
			if len(s.RData) == 0 {
				s.TTL = r.TTL
			}
			s.RData, s.TTL = append(s.RData, r.Data), min(s.TTL, r.TTL) // RFC 2181 §5.2
		} else if sig, err := dns.ParseRRSIG(r.Data); err == nil {
			s := &sets[index(r, sig.TypeCovered)]
			s.sigs = append(s.sigs, sig)
		}
	}
	return sets
}

// find returns a set that has records.
func find(sets []signedSet, owner dns.Name, t dns.Type) *signedSet {
	for i, s := range sets {
		if s.Type == t && len(s.RData) > 0 && s.Owner.Equal(owner) {
			return &sets[i]
		}
	}
	return nil
}

// redirection returns a DNAME above name.
func redirection(sets []signedSet, name dns.Name) *signedSet {
	for i, s := range sets {
		if s.Type == dns.TypeDNAME && len(s.RData) > 0 && !s.Owner.Equal(name) && name.IsSubdomainOf(s.Owner) {
			return &sets[i]
		}
	}
	return nil
}

// signer returns the lowest zone that is said to have signed the set. A child
// signs no DS of its own (RFC 4035 §2.4).
func (s *signedSet) signer() dns.Name {
	var best dns.Name
	for _, sig := range s.sigs {
		own := s.Type == dns.TypeDS && sig.Signer.Equal(s.Owner) && !s.Owner.IsRoot()
		if s.Owner.IsSubdomainOf(sig.Signer) && !own && (best.IsZero() || sig.Signer.NumLabels() > best.NumLabels()) {
			best = sig.Signer
		}
	}
	return best
}

// Reasons that come with a set as a whole.
var (
	errNoSigs = errors.New("there are no signatures")
	errNoKey  = errors.New("the key that signed is not in the DNSKEY set")
)

// isBy reports whether a signature is said to be the zone's.
func (s *signedSet) isBy(zone dns.Name) bool {
	return slices.ContainsFunc(s.sigs, func(sig dns.RRSIG) bool { return sig.Signer.Equal(zone) })
}

// isExpanded reports whether the owner is one that a wildcard made.
func (s *signedSet) isExpanded(sig *dns.RRSIG) bool {
	labels := s.Owner.NumLabels()
	if s.Owner.IsWildcard() {
		labels--
	}
	return int(sig.Labels) < labels
}

// maxReports is how many signatures of a set are told of, keys of a zone used and
// DS looked at: what is remembered of a zone stays small.
const maxReports = 32

// check tries the zone's signatures with its keys, until one holds. Any one is
// enough (RFC 6840 §5.4). The error is the reason of the best attempt.
func (l *look) check(s signedSet, z *place) (good *dns.RRSIG, tried []Signature, err error) {
	err = errNoSigs
	left := l.limits.PerSet
	for i := range s.sigs {
		sig := &s.sigs[i]
		if !sig.Signer.Equal(z.name) {
			continue
		}
		if good != nil { // what else is there
			tried = appendFew(tried, l.report(sig))
			continue
		}
		why := l.try(s, sig, z, &left)
		r := l.report(sig)
		if r.IsGood = why == nil; !r.IsGood {
			r.Why = why.Error()
		}
		tried = appendFew(tried, r)
		if why == nil {
			good, err = sig, nil
		} else if err == errNoSigs || err == errNoKey || errors.Is(why, ErrLimit) {
			err = why
		}
	}
	return good, tried, err
}

// try checks one signature with the keys that may have made it. Keys may share a
// tag; left bounds how often that is worth an attempt.
func (l *look) try(s signedSet, sig *dns.RRSIG, z *place, left *int) error {
	if err := dnssec.CheckRRSIG(s.Owner, s.Type, sig, l.now); err != nil {
		return err
	}
	if !dnssec.CanVerify(sig.Algorithm) {
		return fmt.Errorf("%w: %s", dnssec.ErrAlgorithm, dnssec.AlgorithmName(sig.Algorithm))
	}
	err := errNoKey
	for _, k := range z.keys {
		if k.tag != sig.KeyTag || k.Algorithm != sig.Algorithm {
			continue
		}
		if *left--; *left < 0 {
			return fmt.Errorf("%w: more than %d checks over one set", ErrLimit, l.limits.PerSet)
		}
		if l.work.Signatures--; l.work.Signatures < 0 {
			return fmt.Errorf("%w: more than %d checks of signatures", ErrLimit, l.limits.Signatures)
		}
		if err = l.verify(s.RRset, sig, k.DNSKEY, l.now); err == nil {
			return nil
		}
	}
	return err
}

// verify checks a signature when it is its turn.
func (v *Validator) verify(s dnssec.RRset, sig *dns.RRSIG, k dns.DNSKEY, now time.Time) error {
	v.crypto <- struct{}{}
	defer func() { <-v.crypto }()
	return dnssec.VerifyRRset(s, sig, k, now)
}

func appendFew[T any](list []T, x T) []T {
	if len(list) == maxReports {
		return list
	}
	return append(list, x)
}

func (l *look) report(sig *dns.RRSIG) Signature {
	return Signature{
		Signer: sig.Signer, KeyTag: sig.KeyTag, Algorithm: sig.Algorithm,
		Inception: near(sig.Inception, l.now), Expiration: near(sig.Expiration, l.now),
	}
}

// near is the time that a serial number of seconds means: the one nearest to now
// (RFC 4034 §3.1.5).
func near(serial uint32, now time.Time) time.Time {
	return time.Unix(now.Unix()+int64(int32(serial-uint32(now.Unix()))), 0).UTC()
}

// ttl is how long a set may be kept (RFC 4035 §5.3.3).
func (l *look) ttl(s signedSet, sig *dns.RRSIG) uint32 {
	left := int64(near(sig.Expiration, l.now).Sub(l.now) / time.Second)
	return uint32(max(0, min(int64(min(s.TTL, sig.OriginalTTL)), left)))
}

// codeOf finds the extended error for a reason (RFC 8914 §4).
func codeOf(err error) dns.EDECode {
	for _, c := range []struct {
		err  error
		code dns.EDECode
	}{
		{dnssec.ErrExpired, dns.EDESignatureExpired}, {dnssec.ErrNotYetValid, dns.EDESignatureNotYetValid},
		{dnssec.ErrPeriod, dns.EDESignatureExpiredBefore}, {errNoSigs, dns.EDERRSIGsMissing}, {errNoKey, dns.EDEDNSKEYMissing},
		{dnssec.ErrNotZoneKey, dns.EDENoZoneKeyBitSet}, {dnssec.ErrAlgorithm, dns.EDEUnsupportedDNSKEYAlg},
	} {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return dns.EDEDNSSECBogus
}
