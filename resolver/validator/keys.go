package validator

import (
	"fmt"
	"slices"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// usable returns the DS records that can lead somewhere: of algorithms and digests
// that are known here. Where there is a better digest, SHA-1 does not count (RFC
// 4509 §3).
func usable(all []dns.DS) (list []dns.DS, code dns.EDECode) {
	code = dns.EDEUnsupportedDNSKEYAlg
	strong := false
	for _, ds := range all {
		switch {
		case !dnssec.CanVerify(ds.Algorithm):
		case !dnssec.CanDigest(ds.DigestType):
			code = dns.EDEUnsupportedDSDigest
		default:
			list = append(list, ds)
			strong = strong || ds.DigestType != dnssec.DigestSHA1
		}
	}
	if strong {
		list = slices.DeleteFunc(list, func(ds dns.DS) bool { return ds.DigestType == dnssec.DigestSHA1 })
	}
	return list, code
}

// enter gets the keys of the zone name, for which ds vouches.
func (l *look) enter(name dns.Name, ds []dns.DS, link Link) (*place, error) {
	link.Zone, link.DS = name, ds
	usableDS, code := usable(ds)
	if len(usableDS) == 0 { // RFC 4035 §5.2, RFC 6840 §5.2
		link.Status, link.Why = Insecure, fmt.Sprintf("no DS of %s has an algorithm and a digest that are known here", name)
		link.EDE = dns.EDE{Code: code, Text: link.Why}
		return l.remember(&place{name: name, link: link}, link.DSTTL), nil
	}
	msg, err := l.ask(name, dns.TypeDNSKEY)
	if err != nil {
		return nil, err
	}
	s := find(collect(msg.Answer), name, dns.TypeDNSKEY)
	if s == nil {
		return l.broken(name, link, dns.EDEDNSKEYMissing, "%s has DS records and no DNSKEY", name), nil
	}
	z := &place{name: name, keys: zoneKeys(*s), link: link}
	return l.trust(z, *s, usableDS), nil
}

// zoneKeys returns the keys that may sign the zone's data, a few at most.
func zoneKeys(s signedSet) (keys []zoneKey) {
	for _, rd := range s.RData {
		k, err := dns.ParseDNSKEY(slices.Clone(rd))
		if err == nil && k.Protocol == 3 && k.IsZoneKey() && dnssec.CanVerify(k.Algorithm) {
			keys = appendFew(keys, zoneKey{k, k.KeyTag()})
		}
	}
	return keys
}

// maxDigests is how many digests of keys are compared for one zone: keys and DS
// may all have the same tag (CVE-2023-50387).
const maxDigests = 64

// vouchedFor returns the keys that a DS is of.
func vouchedFor(z *place, ds []dns.DS) (keys []zoneKey) {
	left := maxDigests
	for _, k := range z.keys {
		isOf := func(d dns.DS) bool {
			if d.KeyTag != k.tag || d.Algorithm != k.Algorithm || left == 0 {
				return false
			}
			left--
			return dnssec.MatchDS(z.name, k.DNSKEY, d)
		}
		if !k.IsRevoked() && slices.ContainsFunc(ds, isOf) {
			keys = append(keys, k)
		}
	}
	return keys
}

// trust looks for a signature over the DNSKEY set by a key that a DS is of; any
// DS and any algorithm are enough (RFC 6840 §5.11).
func (l *look) trust(z *place, s signedSet, ds []dns.DS) *place {
	trusted := &place{name: z.name, keys: vouchedFor(z, ds)}
	sig, tried, err := l.check(s, trusted)
	z.link.KeysTTL, z.link.KeySigs = s.TTL, tried
	z.link.describe(s, trusted.keys, sig)
	switch {
	case len(trusted.keys) == 0:
		return l.broken(z.name, z.link, dns.EDEDNSKEYMissing, "no key of %s is the one that its DS set has: %s", z.name, tags(ds))
	case err != nil:
		return l.broken(z.name, z.link, codeOf(err), "DNSKEY set of %s, by the keys that its DS set has (%s): %v", z.name, tags(ds), err)
	}
	z.keys = slices.DeleteFunc(z.keys, func(k zoneKey) bool { return k.IsRevoked() }) // RFC 5011 §2.1
	z.link.Status = Secure
	z.link.Why = fmt.Sprintf("DNSKEY set signed by key %d (%s), which the DS set has", sig.KeyTag, dnssec.AlgorithmName(sig.Algorithm))
	z.link.KeysTTL = l.ttl(s, sig)
	return l.remember(z, z.link.KeysTTL)
}

// describe lists all keys of the set for pictures, those of other kinds included.
func (link *Link) describe(s signedSet, trusted []zoneKey, sig *dns.RRSIG) {
	for _, rd := range s.RData {
		k, err := dns.ParseDNSKEY(rd)
		if err != nil {
			continue
		}
		tag := k.KeyTag()
		same := func(t zoneKey) bool { return t.tag == tag && string(t.PublicKey) == string(k.PublicKey) }
		link.Keys = appendFew(link.Keys, Key{
			Tag: tag, Algorithm: k.Algorithm, Flags: k.Flags, IsTrusted: slices.ContainsFunc(trusted, same),
			Signs: sig != nil && sig.KeyTag == tag && sig.Algorithm == k.Algorithm,
		})
	}
}

func tags(ds []dns.DS) string {
	text := ""
	for i, d := range ds {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("key %d of %s", d.KeyTag, dnssec.AlgorithmName(d.Algorithm))
	}
	return text
}
