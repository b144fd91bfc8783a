package anchor

import (
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// seen is a DNSKEY set while a Point takes it.
type seen struct {
	p      *Point
	now    time.Time
	set    dnssec.RRset
	keys   []dns.DNSKEY // zone keys that are SEPs
	others []dns.DNSKEY
	sigs   []dns.RRSIG
	checks int // of signatures, left

	ttl, life time.Duration // of the signatures that vouch: the TTL they are over, and what is left of them
}

func (s *seen) parse(keys, sigs []dns.RData) {
	for _, rd := range keys {
		k, err := dns.ParseDNSKEY(rd)
		switch {
		case err != nil || !k.IsZoneKey() || k.Protocol != 3 || !dnssec.CanVerify(k.Algorithm):
		case k.IsSEP():
			s.keys = append(s.keys, k)
		default:
			s.others = append(s.others, k)
		}
	}
	for _, rd := range sigs {
		if sig, err := dns.ParseRRSIG(rd); err == nil && sig.Signer.Equal(s.p.Zone) {
			s.sigs = append(s.sigs, sig)
		}
	}
}

// isSignedBy reports whether a key of the set signs it.
func (s *seen) isSignedBy(k dns.DNSKEY) bool {
	tag := k.KeyTag()
	for i := range s.sigs {
		sig := &s.sigs[i]
		if sig.KeyTag != tag || sig.Algorithm != k.Algorithm || s.checks <= 0 {
			continue
		}
		s.checks--
		if dnssec.VerifyRRset(s.set, sig, k, s.now) == nil {
			s.note(sig)
			return true
		}
	}
	return false
}

// note keeps the shortest times of the signatures that were found good.
func (s *seen) note(sig *dns.RRSIG) {
	ttl := time.Duration(sig.OriginalTTL) * time.Second
	life := time.Duration(sig.Expiration-uint32(s.now.Unix())) * time.Second
	if s.ttl == 0 && s.life == 0 {
		s.ttl, s.life = ttl, life
	}
	s.ttl, s.life = min(s.ttl, ttl), min(s.life, life)
}

// revoke obeys the keys that say of themselves that they are revoked: the
// signature by the key itself is enough (RFC 5011 §2.1).
func (s *seen) revoke() {
	for _, k := range s.keys {
		if k.IsRevoked() && s.isKnown(k) && s.isSignedBy(k) {
			s.p.revoke(k, uint32(s.ttl/time.Second), s.now)
		}
	}
	s.ttl, s.life = 0, 0
}

func (s *seen) isKnown(k dns.DNSKEY) bool {
	return s.p.find(k) != nil || matches(s.p.Zone, k, s.p.DS)
}

func (p *Point) find(k dns.DNSKEY) *Key {
	for i := range p.Keys {
		if isSame(p.Keys[i].DNSKEY, k) {
			return &p.Keys[i]
		}
	}
	return nil
}

// revoke ends the trust in a key, for ever. One that was not trusted yet is just
// forgotten (RFC 5011 §4.1: from AddPend to Start).
func (p *Point) revoke(k dns.DNSKEY, ttl uint32, now time.Time) {
	entry := p.find(k)
	if entry != nil && entry.State == Revoked {
		entry.Since = now // it is still there: the time until it is forgotten begins anew
		return
	}
	p.bury(k)
	p.DS = slices.DeleteFunc(p.DS, func(ds dns.DS) bool { return dnssec.MatchDS(p.Zone, unrevoked(k), ds) })
	switch {
	case entry == nil:
		p.Keys = append(p.Keys, Key{DNSKEY: k, TTL: ttl, State: Revoked, Since: now})
	case entry.State == Pending:
		p.Keys = slices.DeleteFunc(p.Keys, func(o Key) bool { return isSame(o.DNSKEY, k) })
	default:
		*entry = Key{DNSKEY: k, TTL: ttl, State: Revoked, Since: now}
	}
}

// bury remembers a key that is never to be trusted again, whatever is configured.
func (p *Point) bury(k dns.DNSKEY) {
	gone, err := dnssec.MakeDS(p.Zone, unrevoked(k), dnssec.DigestSHA256)
	if err != nil {
		return
	}
	if p.Gone = append(p.Gone, gone); len(p.Gone) > maxGone {
		p.Gone = p.Gone[1:]
	}
}

// isVouchedFor reports whether a trusted key that is in the set signs it. All
// that do are asked, for their signatures' times.
func (s *seen) isVouchedFor() (ok bool) {
	for _, k := range slices.Concat(s.keys, s.others) {
		if k.IsRevoked() {
			continue
		}
		entry := s.p.find(k)
		if (entry != nil && entry.IsTrusted() || matches(s.p.Zone, k, s.p.DS)) && s.isSignedBy(k) {
			ok = true
		}
	}
	return ok
}

// advance moves every key one step on (RFC 5011 §4.1).
func (s *seen) advance() {
	p := s.p
	isFirst := p.Succeeded.IsZero() && !slices.ContainsFunc(p.Keys, func(k Key) bool { return k.IsTrusted() })
	var fresh []Key
	for i := range p.Keys {
		k := p.Keys[i]
		if s.step(&k, s.has(k.DNSKEY)) {
			fresh = append(fresh, k)
		}
	}
	// What vouches by configuration for keys that are no SEPs can vouch for the set's SEPs but this once.
	byOther := isFirst && !slices.ContainsFunc(s.keys, func(k dns.DNSKEY) bool { return matches(p.Zone, k, p.DS) })
	for _, k := range s.keys {
		if k.IsRevoked() || p.find(k) != nil || len(fresh) >= maxKeys {
			continue
		}
		n := Key{DNSKEY: k, TTL: uint32(s.ttl / time.Second), State: Pending, Count: 1, Since: s.now}
		if byOther || matches(p.Zone, k, p.DS) {
			n.State, n.Count = Valid, 0
		}
		fresh = append([]Key{n}, fresh...)
	}
	p.Keys = fresh
	p.forget(s)
}

// has reports whether a key is in the set, as one that is not revoked.
func (s *seen) has(k dns.DNSKEY) bool {
	return slices.ContainsFunc(s.keys, func(o dns.DNSKEY) bool { return isSame(o, k) && !o.IsRevoked() })
}

// step moves one key on; it is to be forgotten where false comes back.
func (s *seen) step(k *Key, isThere bool) bool {
	age := s.now.Sub(k.Since)
	switch {
	case k.State == Pending && !isThere:
		return false // and begins anew should it come back
	case k.State == Pending:
		k.Count++
		if wait := max(holdDown, time.Duration(k.TTL)*time.Second); age > wait && k.Count >= minSeen { // RFC 5011 §2.4.1
			k.State, k.Count, k.Since = Valid, 0, s.now
		}
	case k.State == Valid && !isThere:
		k.State, k.Since = Missing, s.now
	case k.State == Valid && k.Since.IsZero():
		k.Since = s.now
	case k.State == Missing && isThere:
		k.State, k.Since = Valid, s.now
	case k.State == Revoked:
		return s.stillHas(k.DNSKEY) || age <= holdDown
	}
	return true
}

// stillHas reports whether a revoked key is in the set, revoked.
func (s *seen) stillHas(k dns.DNSKEY) bool {
	return slices.ContainsFunc(s.keys, func(o dns.DNSKEY) bool { return isSame(o, k) && o.IsRevoked() })
}

// forget drops what is not needed any more: DS whose keys have a state now, those
// of keys that are no SEPs, and keys that are missing for long while another is
// there.
func (p *Point) forget(s *seen) {
	if slices.ContainsFunc(p.Keys, func(k Key) bool { return k.State == Valid }) {
		p.Keys = slices.DeleteFunc(p.Keys, func(k Key) bool {
			isOver := k.State == Missing && s.now.Sub(k.Since) > keepMissing
			if isOver {
				p.bury(k.DNSKEY)
			}
			return isOver
		})
		p.DS = slices.DeleteFunc(p.DS, func(ds dns.DS) bool {
			isOf := func(k dns.DNSKEY) bool { return dnssec.MatchDS(p.Zone, k, ds) }
			return slices.ContainsFunc(s.keys, isOf) || slices.ContainsFunc(s.others, isOf)
		})
	}
}
