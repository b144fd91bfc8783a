package inspect

import (
	"slices"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

// retired says of algorithms that are not to be used what the registry says of them
// (RFC 8624 §3.1, RFC 9904, RFC 9905); the other ones it knows are absent.
var retired = map[uint8]struct {
	severity zone.Severity
	why      string
}{
	1:                       {zone.Error, "RSAMD5 must not be used: no resolver takes it, and the zone counts as unsigned"},
	3:                       {zone.Error, "DSA must not be used: no resolver takes it, and the zone counts as unsigned"},
	dnssec.RSASHA1:          {zone.Error, "RSASHA1 must not be used (RFC 9905): resolvers take the zone as unsigned, some as broken"},
	6:                       {zone.Error, "DSA-NSEC3-SHA1 must not be used: no resolver takes it, and the zone counts as unsigned"},
	dnssec.RSASHA1NSEC3SHA1: {zone.Error, "RSASHA1-NSEC3-SHA1 must not be used (RFC 9905): resolvers take the zone as unsigned, some as broken"},
	dnssec.RSASHA512:        {zone.Warning, "RSASHA512 is not recommended for signing (RFC 9904)"},
	12:                      {zone.Error, "ECC-GOST must not be used: few resolvers take it, and the zone counts as unsigned"},
}

const changeAlgorithm = "roll the zone to ECDSAP256SHA256 (13), or ED25519 (15)"

// judgeAlgorithm says what is wrong with signing by an algorithm.
func judgeAlgorithm(v *verdicts, name dns.Name, t dns.Type, algorithm uint8) {
	if r, ok := retired[algorithm]; ok {
		v.add(r.severity, "algorithm-retired", name, t, nil, changeAlgorithm, "%s", r.why)
	} else if !dnssec.CanVerify(algorithm) {
		v.warn("algorithm-unknown", name, t, changeAlgorithm, "algorithm %d is not known here, so most resolvers take the zone as unsigned by it", algorithm)
	}
}

// judgeDS holds the parent's DS against the zone's keys.
func (s *survey) judgeDS(v *verdicts) {
	ds, keys := s.ds(), s.keys()
	switch {
	case len(ds) == 0 && len(keys) > 0 && !s.zone.IsRoot():
		v.warn("ds-missing", s.zone, dns.TypeDS, "give the parent the DS of the zone's key, or have it take them by CDS (RFC 8078)",
			"the zone is signed and its parent has no DS of it, so nobody can tell: it counts as unsigned")
		return
	case len(ds) > 0 && len(keys) == 0 && s.answers():
		v.fail("ds-unsigned-zone", s.zone, dns.TypeDNSKEY, "sign the zone by the key that the DS is of, or have the parent drop the DS",
			"the parent has DS records and the zone has no keys: resolvers that validate find it bogus")
		return
	case len(ds) == 0 || len(keys) == 0:
		return
	}
	matched, usable := 0, 0
	for _, d := range ds {
		if s.judgeOneDS(v, d, keys) {
			matched++
		}
		if dnssec.CanVerify(d.Algorithm) && dnssec.CanDigest(d.DigestType) {
			usable++
		}
	}
	if matched == 0 && usable > 0 { // without any that can be used the zone counts as unsigned (RFC 4035 §5.2)
		v.fail("ds-without-key", s.zone, dns.TypeDS, "publish a key that a DS is of, or have the parent replace the DS",
			"none of the parent's DS records is of a key that the zone has, so nothing leads from the parent to the zone's keys")
	}
}

// wasOf reports whether a DS is of a revoked key, or was before: that changes the
// key's flags, and with them its tag and digest (RFC 5011 §2.1).
func (s *survey) wasOf(d dns.DS, k dns.DNSKEY) bool {
	if !k.IsRevoked() {
		return false
	}
	old := k
	old.Flags &^= dns.DNSKEYRevoke
	return dnssec.MatchDS(s.zone, k, d) || dnssec.MatchDS(s.zone, old, d)
}

func (s *survey) answers() bool {
	return slices.ContainsFunc(s.own, func(w *witness) bool { return w.err == nil && w.said[dns.TypeDNSKEY] != nil })
}

// judgeOneDS reports whether a DS is of a key that may sign.
func (s *survey) judgeOneDS(v *verdicts, d dns.DS, keys []dns.DNSKEY) bool {
	s.judgeDigest(v, d)
	i := slices.IndexFunc(keys, func(k dns.DNSKEY) bool { return dnssec.MatchDS(s.zone, k, d) })
	if i < 0 || keys[i].IsRevoked() {
		s.judgeStray(v, d, keys)
		return false
	}
	s.signsKeys(v, keys[i])
	return true
}

// judgeStray says why a DS leads to no key.
func (s *survey) judgeStray(v *verdicts, d dns.DS, keys []dns.DNSKEY) {
	i := slices.IndexFunc(keys, func(k dns.DNSKEY) bool { return k.KeyTag() == d.KeyTag && k.Algorithm == d.Algorithm })
	switch {
	case slices.ContainsFunc(keys, func(k dns.DNSKEY) bool { return s.wasOf(d, k) }):
		v.fail("ds-revoked", s.zone, dns.TypeDS, "have the parent replace it", "DS %d is of a key that the zone has revoked (RFC 5011 §2.1)", d.KeyTag)
	case i < 0:
		v.warn("ds-stale", s.zone, dns.TypeDS, "have the parent drop it, unless the key is about to come",
			"DS %d (%s) is of no key that the zone has", d.KeyTag, dnssec.AlgorithmName(d.Algorithm))
	case !keys[i].IsZoneKey():
		v.fail("ds-not-zone-key", s.zone, dns.TypeDS, "have the parent replace it", "DS %d is of a key without the zone flag, which signs nothing (RFC 4034 §2.1.1)", d.KeyTag)
	case dnssec.CanDigest(d.DigestType):
		v.fail("ds-digest-wrong", s.zone, dns.TypeDS, "have the parent replace it by the DS that `onoma zone keys` or dnssec-dsfromkey makes of the key",
			"DS %d has the tag of a key of the zone and another digest than it", d.KeyTag)
	}
}

// signsKeys wants a signature by the key over the DNSKEY set, at one server at least:
// each of several providers signs by its own (RFC 8901 §2.1.2). Those that do not
// hold are told of elsewhere.
func (s *survey) signsKeys(v *verdicts, k dns.DNSKEY) {
	isSigned := false
	for _, w := range s.own {
		for _, sig := range w.answer(s, dns.TypeDNSKEY).sigs {
			isSigned = true
			if sig.KeyTag == k.KeyTag() && sig.Algorithm == k.Algorithm {
				return
			}
		}
	}
	if isSigned {
		v.warn("ds-key-does-not-sign", s.zone, dns.TypeDNSKEY, "sign the DNSKEY set by it, or have the parent drop the DS",
			"the parent has a DS of key %s, and no signature of the DNSKEY set is by it", keyText(k))
	}
}

// judgeDigest says what is wrong with a DS as such.
func (s *survey) judgeDigest(v *verdicts, d dns.DS) {
	switch d.DigestType {
	case dnssec.DigestSHA1:
		v.warn("digest-retired", s.zone, dns.TypeDS, "have the parent replace it by one of SHA-256",
			"DS %d has a SHA-1 digest, which must not be used any more (RFC 9905)", d.KeyTag)
	case 3:
		v.warn("digest-retired", s.zone, dns.TypeDS, "have the parent replace it by one of SHA-256",
			"DS %d has a GOST digest, which must not be used any more (RFC 9904)", d.KeyTag)
	case dnssec.DigestSHA256, dnssec.DigestSHA384:
	default:
		v.warn("digest-unknown", s.zone, dns.TypeDS, "have the parent replace it by one of SHA-256",
			"DS %d has a digest of type %d, which resolvers do not know", d.KeyTag, d.DigestType)
	}
	judgeAlgorithm(v, s.zone, dns.TypeDS, d.Algorithm)
}

// judgeKeys looks at the keys themselves.
func (s *survey) judgeKeys(v *verdicts) {
	keys := s.keys()
	for i, k := range keys {
		judgeAlgorithm(v, s.zone, dns.TypeDNSKEY, k.Algorithm)
		if bits := rsaBits(k); bits > 0 && bits < 2048 {
			v.warn("key-short", s.zone, dns.TypeDNSKEY, "roll to a key of 2048 bits, or to ECDSAP256SHA256 (13)",
				"key %s has %d bits, and keys that short are about to be broken", keyText(k), bits)
		}
		if k.Protocol != 3 {
			v.warn("key-protocol", s.zone, dns.TypeDNSKEY, "publish it with protocol 3", "key %s has protocol %d and is not used (RFC 4034 §2.1.2)", keyText(k), k.Protocol)
		}
		for _, o := range keys[:i] {
			if o.KeyTag() == k.KeyTag() && o.Algorithm == k.Algorithm {
				v.warn("key-tag-collision", s.zone, dns.TypeDNSKEY, "make another key in the place of one of them",
					"two keys have the tag %s: resolvers try both for each signature, and some give up", keyText(k))
			}
		}
	}
	s.judgeAlgorithms(v, keys)
}

// judgeAlgorithms wants each algorithm of the DS to sign the keys, and each of the
// keys to sign the rest (RFC 4035 §2.2, RFC 6840 §5.11).
func (s *survey) judgeAlgorithms(v *verdicts, keys []dns.DNSKEY) {
	has := func(set signedSet, a uint8) bool {
		return slices.ContainsFunc(set.sigs, func(sig dns.RRSIG) bool { return sig.Algorithm == a })
	}
	promised := func(a uint8) bool {
		return slices.ContainsFunc(s.ds(), func(d dns.DS) bool { return d.Algorithm == a })
	}
	for _, w := range s.own {
		for _, t := range []dns.Type{dns.TypeDNSKEY, dns.TypeSOA, dns.TypeNS} {
			set := w.answer(s, t)
			if len(set.RData) == 0 || len(set.sigs) == 0 {
				continue // that there are none at all is said elsewhere
			}
			for _, k := range keys {
				if has(set, k.Algorithm) || k.IsRevoked() || !k.IsZoneKey() {
					continue
				}
				severity := zone.Warning
				if promised(k.Algorithm) {
					severity = zone.Error
				}
				v.add(severity, "algorithm-incomplete", s.zone, t, w, "sign everything by each algorithm, or take the key out",
					"it is not signed by %s, of which the zone has keys (RFC 4035 §2.2)", dnssec.AlgorithmName(k.Algorithm))
			}
		}
	}
}

// rsaBits is the length of an RSA key's modulus (RFC 3110 §2), 0 for other keys.
func rsaBits(k dns.DNSKEY) int {
	switch k.Algorithm {
	case 1, dnssec.RSASHA1, dnssec.RSASHA1NSEC3SHA1, dnssec.RSASHA256, dnssec.RSASHA512:
	default:
		return 0
	}
	p := k.PublicKey
	if len(p) < 3 {
		return 0
	}
	exponent, rest := int(p[0]), p[1:]
	if exponent == 0 {
		exponent, rest = int(p[1])<<8|int(p[2]), p[3:]
	}
	if len(rest) <= exponent {
		return 0
	}
	return len(rest[exponent:]) * 8
}
