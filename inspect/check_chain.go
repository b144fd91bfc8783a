package inspect

import (
	"slices"
	"strconv"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/validator"
)

// complete adds to the chain what only the zone's servers know: validation ends
// where a chain ends, and a zone that nobody vouches for may be signed all the same.
func (s *survey) complete(h *Health) {
	n := len(h.Trust.Chain)
	if n == 0 || !h.Trust.Chain[n-1].Zone.Equal(s.zone) {
		return
	}
	link := &h.Trust.Chain[n-1]
	keys := s.keys()
	if len(link.Keys) == 0 {
		for _, k := range keys {
			link.Keys = append(link.Keys, validator.Key{Tag: k.KeyTag(), Algorithm: k.Algorithm, Flags: k.Flags})
		}
		link.KeySigs = s.observed(dns.TypeDNSKEY, keys)
		for i, k := range link.Keys {
			link.Keys[i].Signs = slices.ContainsFunc(link.KeySigs, func(sig validator.Signature) bool { return sig.IsGood && sig.KeyTag == k.Tag })
		}
	}
	if len(h.Trust.Sets) == 0 {
		if sigs := s.observed(dns.TypeSOA, keys); len(sigs) > 0 {
			h.Trust.Sets = append(h.Trust.Sets, validator.Set{
				Owner: s.zone, Type: dns.TypeSOA, Zone: s.zone, Status: link.Status, Why: link.Why, Sigs: sigs,
			})
		}
	}
}

// observed returns the signatures over a set at the zone's name, as the first
// server has them that has any.
func (s *survey) observed(t dns.Type, keys []dns.DNSKEY) (list []validator.Signature) {
	for _, w := range s.own {
		set := w.answer(s, t)
		for i := range set.sigs {
			sig := &set.sigs[i]
			o := validator.Signature{
				Signer: sig.Signer, KeyTag: sig.KeyTag, Algorithm: sig.Algorithm,
				Inception: sigTime(sig.Inception, s.at), Expiration: sigTime(sig.Expiration, s.at), IsGood: true,
			}
			if err := s.check(set, sig, keys); err != nil {
				o.IsGood, o.Why = false, err.Error()
			}
			list = append(list, o)
		}
		if len(list) > 0 {
			break
		}
	}
	return list
}

// keyRole names what a key is there for, by its flags.
func keyRole(k validator.Key) string {
	switch {
	case k.Flags&dns.DNSKEYRevoke != 0:
		return "revoked"
	case k.Flags&dns.DNSKEYZone == 0:
		return "no zone key"
	case k.Flags&dns.DNSKEYSEP != 0:
		return "KSK"
	}
	return "ZSK"
}

// digestName names a DS digest as IANA's registry does.
func digestName(d uint8) string {
	switch d {
	case dnssec.DigestSHA1:
		return "SHA-1"
	case dnssec.DigestSHA256:
		return "SHA-256"
	case dnssec.DigestSHA384:
		return "SHA-384"
	}
	return "digest " + strconv.Itoa(int(d))
}

// life is a signature's time, seen at one moment.
type life struct {
	passed, left time.Duration
	share        float64 // of it that has passed: below 0 it has not begun, above 1 it is over
}

func lifeOf(sig validator.Signature, at time.Time) life {
	l := life{passed: at.Sub(sig.Inception), left: sig.Expiration.Sub(at)}
	if whole := sig.Expiration.Sub(sig.Inception); whole > 0 {
		l.share = float64(l.passed) / float64(whole)
	}
	return l
}

// String says it for people.
func (l life) String() string {
	switch {
	case l.passed < 0:
		return "good only in " + roundly(-l.passed)
	case l.left < 0:
		return "expired " + roundly(-l.left) + " ago"
	}
	return roundly(l.passed) + " old, good for " + roundly(l.left) + " more"
}

// roundly writes a duration by its largest unit, rounded down.
func roundly(d time.Duration) string {
	for _, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		// Two of a unit before it is used: 36 h say more than 1 d.
		if d >= 2*unit {
			return Duration(d.Truncate(unit))
		}
	}
	return Duration(d.Truncate(time.Second))
}
