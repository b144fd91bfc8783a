package inspect

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

// verify verifies one signature by one key, and remembers what came of it: all
// servers of a zone have the same signatures.
func (s *survey) verify(set signedSet, sig *dns.RRSIG, k dns.DNSKEY) error {
	id := sha256.Sum256(slices.Concat(dnssec.AppendSignedData(nil, sig, set.RRset), sig.Signature, k.RData()))
	err, ok := s.checked[id]
	switch {
	case !ok && len(s.checked) == mostChecks:
		return errTooMany
	case !ok:
		err = dnssec.VerifyRRset(set.RRset, sig, k, s.at)
		s.checked[id] = err
	}
	return err
}

// mostChecks bounds the work for one zone, however many servers and signatures it
// has, and however many keys share a tag (CVE-2023-50387).
const mostChecks = 2000

var errTooMany = fmt.Errorf("not checked: the zone has more than %d signatures to look at", mostChecks)

// check says what is wrong with one signature: nil where it is good.
func (s *survey) check(set signedSet, sig *dns.RRSIG, keys []dns.DNSKEY) error {
	err := errNoSuchKey
	tried := 0
	for _, k := range keys {
		if k.Algorithm != sig.Algorithm || k.KeyTag() != sig.KeyTag {
			continue
		}
		if tried++; tried > mostSigs {
			break
		}
		if err = s.verify(set, sig, k); err == nil {
			return nil
		}
	}
	return err
}

var errNoSuchKey = errors.New("the key that made it is not in the DNSKEY set")

// isSignedBy reports whether a good signature of the zone is over the set.
func (s *survey) isSignedBy(set signedSet, keys []dns.DNSKEY) bool {
	return slices.ContainsFunc(set.sigs, func(sig dns.RRSIG) bool { return sig.Signer.Equal(s.zone) && s.check(set, &sig, keys) == nil })
}

// sets yields what each server said of the zone's own data, with its signatures.
func (s *survey) sets(yield func(*witness, signedSet)) {
	for _, w := range s.own {
		if w.err != nil || w.edns != nil {
			continue // there are no signatures without EDNS, and that is said elsewhere
		}
		messages := []*dns.Message{w.nothing}
		for _, t := range ownTypes {
			messages = append(messages, w.said[t])
		}
		for _, m := range messages {
			if m == nil {
				continue
			}
			for _, set := range append(setsIn(m.Answer), setsIn(m.Authority)...) {
				if s.isOwn(set, m) {
					yield(w, set)
				}
			}
		}
	}
}

// isOwn reports whether a set is the zone's to sign. Behind an alias a reply may
// have sets of other zones, and an alias that a DNAME makes has no signature (RFC
// 6672 §5.3.1).
func (s *survey) isOwn(set signedSet, m *dns.Message) bool {
	if !set.Owner.IsSubdomainOf(s.zone) {
		return false
	}
	if set.Type == dns.TypeCNAME && slices.ContainsFunc(m.Answer, func(r dns.Record) bool {
		return r.Type == dns.TypeDNAME && !set.Owner.Equal(r.Name) && set.Owner.IsSubdomainOf(r.Name)
	}) {
		return false
	}
	if set.Owner.Equal(s.zone) || set.Owner.Equal(s.absent) {
		return true
	}
	isBy := slices.ContainsFunc(set.sigs, func(sig dns.RRSIG) bool { return sig.Signer.Equal(s.zone) })
	return isBy || len(set.sigs) == 0 && (set.Type == dns.TypeNSEC || set.Type == dns.TypeNSEC3)
}

// owner is whose a set is in the zone itself: a wildcard's, where an answer was made of one.
func (s *survey) owner(set signedSet) dns.Name {
	if !set.Owner.Equal(s.absent) {
		return set.Owner
	}
	if wildcard, err := s.zone.Child("*"); err == nil {
		return wildcard
	}
	return s.zone
}

// judgeSignatures verifies all signatures of all servers. A zone without keys has
// none to verify.
func (s *survey) judgeSignatures(v *verdicts) {
	keys := s.keys()
	if len(keys) == 0 {
		return
	}
	s.sets(func(w *witness, set signedSet) {
		if len(set.sigs) == 0 {
			v.add(zone.Error, "signature-missing", s.owner(set), set.Type, w, "sign the zone anew; a server that drops signatures must be replaced",
				"it has no signature")
			return
		}
		for i := range set.sigs {
			s.judgeSignature(v, w, set, &set.sigs[i], keys)
		}
	})
}

func (s *survey) judgeSignature(v *verdicts, w *witness, set signedSet, sig *dns.RRSIG, keys []dns.DNSKEY) {
	err := s.check(set, sig, keys)
	if err == nil {
		s.judgeLife(v, w, set, sig)
		return
	}
	owner := s.owner(set)
	// What another signature makes good does no harm (RFC 6840 §5.11).
	severity := zone.Error
	if s.isSignedBy(set, keys) {
		severity = zone.Warning
	}
	from, to := sigTime(sig.Inception, s.at), sigTime(sig.Expiration, s.at)
	by := fmt.Sprintf("by key %d (%s)", sig.KeyTag, dnssec.AlgorithmName(sig.Algorithm))
	const again = "sign the zone anew, and see why its signer did not"
	switch {
	case errors.Is(err, dnssec.ErrExpired):
		v.add(severity, "signature-expired", owner, set.Type, w, again, "the signature %s expired at %s, %s ago", by, stamp(to), roundly(s.at.Sub(to)))
	case errors.Is(err, dnssec.ErrNotYetValid):
		v.add(severity, "signature-future", owner, set.Type, w, "set the clock of the signer, and sign the zone anew",
			"the signature %s is good from %s only, %s from now", by, stamp(from), roundly(from.Sub(s.at)))
	case errors.Is(err, errNoSuchKey):
		v.add(severity, "signature-key-missing", owner, set.Type, w, "publish the key, or sign the zone anew by one that is published",
			"the signature %s is of no use: %v", by, err)
	case errors.Is(err, dnssec.ErrAlgorithm): // said of the key
	default:
		v.add(severity, "signature-wrong", owner, set.Type, w, again, "the signature %s does not hold: %v", by, err)
	}
}

// judgeLife looks at how long a good signature lasts.
func (s *survey) judgeLife(v *verdicts, w *witness, set signedSet, sig *dns.RRSIG) {
	to := sigTime(sig.Expiration, s.at)
	left, life := to.Sub(s.at), to.Sub(sigTime(sig.Inception, s.at))
	by, owner := fmt.Sprintf("by key %d", sig.KeyTag), s.owner(set)
	if left < min(3*24*time.Hour, life/5) {
		v.add(zone.Warning, "signature-expiring", owner, set.Type, w, "sign the zone anew; a signer does so long before this",
			"the signature %s expires at %s, in %s, of a life of %s", by, stamp(to), Duration(left), Duration(life))
	}
	if set.TTL > sig.OriginalTTL {
		v.add(zone.Error, "ttl-over-original", owner, set.Type, w, "have the server serve the zone as it was signed",
			"its TTL of %d s is more than the %d s that were signed (RFC 4035 §5.3.3)", set.TTL, sig.OriginalTTL)
	}
	if ttl := secondsToDuration(sig.OriginalTTL); ttl > life/2 {
		v.add(zone.Warning, "ttl-over-signature", owner, set.Type, w, "lower the TTL, or let signatures last longer (RFC 6781 §4.4.1)",
			"its TTL of %s is more than half of the %s that its signature lasts", Duration(ttl), Duration(life))
	}
}

// judgeTimes holds the SOA's times against those of signatures.
func (s *survey) judgeTimes(v *verdicts) {
	for _, w := range s.own {
		set := w.answer(s, dns.TypeSOA)
		if len(set.RData) != 1 || len(set.sigs) == 0 {
			continue
		}
		soa, err := dns.ParseSOA(set.RData[0])
		if err != nil {
			continue
		}
		sig := set.sigs[0]
		if life := time.Duration(sig.Expiration-sig.Inception) * time.Second; secondsToDuration(soa.Expire) > life {
			v.add(zone.Warning, "soa-expire-over-signature", s.zone, dns.TypeSOA, w, "lower the SOA's expire, or let signatures last longer (RFC 6781 §4.4.1)",
				"a secondary that has lost its primary serves the zone for %s, and signatures last %s: it would serve expired ones", Duration(secondsToDuration(soa.Expire)), Duration(life))
		}
	}
}

// sigTime reads a time of a signature, which is a serial number (RFC 4034 §3.1.5).
func sigTime(t uint32, now time.Time) time.Time {
	return now.Add(time.Duration(int32(t-uint32(now.Unix()))) * time.Second).Truncate(time.Second)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
