package offline

import (
	"fmt"
	"slices"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// Verify goes through all of a response: every set is signed by a key of the DNSKEY
// set that trust has a DS or DNSKEY of, good from its bundle's time until the next
// one's, and CDS and CDNSKEY ask for keys that are there. Without trust, any key with
// the SEP flag counts: then it is known only that the file is whole. The error
// names the first bundle that is not so.
func (f *File) Verify(trust []dns.Record) error {
	if f.Kind != Response {
		return fmt.Errorf("%s: a signed key response was expected; this is a request", f.name)
	}
	for i := range f.Bundles {
		b := &f.Bundles[i]
		if err := f.verify(b, trust); err != nil {
			return fmt.Errorf("%s: the bundle of %s: %w", f.name, stamp(b.From), err)
		}
		if i+1 == len(f.Bundles) {
			break
		}
		if _, until := b.Good(); until.Before(f.Bundles[i+1].From) {
			return fmt.Errorf("%s: the bundle of %s: its signatures end at %s, before the next ones begin at %s", f.name, stamp(b.From), stamp(until), stamp(f.Bundles[i+1].From))
		}
	}
	return nil
}

func (f *File) verify(b *Bundle, trust []dns.Record) error {
	if !slices.ContainsFunc(b.Keys(), func(k dns.DNSKEY) bool { return f.isTrusted(k, trust) }) {
		return fmt.Errorf("none of its keys is one that the zone's parent or the operator names")
	}
	covered := map[dns.Type]bool{}
	for _, r := range b.Sigs {
		s, err := dns.ParseRRSIG(r.Data)
		if err != nil {
			return err
		}
		by, err := f.verifySig(b, s)
		if err != nil {
			return fmt.Errorf("RRSIG %s by key %d: %w", s.TypeCovered, s.KeyTag, err)
		}
		if f.isTrusted(by, trust) { // others may sign, too, as in a rollover
			covered[s.TypeCovered] = true
		}
	}
	for _, t := range []dns.Type{dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY} {
		if len(b.set(t).RData) > 0 && !covered[t] {
			return fmt.Errorf("%s is not signed by such a key", t)
		}
	}
	if len(b.set(dns.TypeDNSKEY).RData) == 0 {
		return fmt.Errorf("it has no DNSKEY")
	}
	return f.verifyCDS(b)
}

func (f *File) isTrusted(k dns.DNSKEY, trust []dns.Record) bool {
	if !k.IsZoneKey() || k.IsRevoked() {
		return false
	}
	if len(trust) == 0 {
		return k.IsSEP()
	}
	return slices.ContainsFunc(trust, func(r dns.Record) bool {
		if r.Type == dns.TypeDNSKEY {
			return string(r.Data) == string(k.RData())
		}
		ds, err := dns.ParseDS(r.Data)
		return err == nil && r.Type == dns.TypeDS && dnssec.MatchDS(f.Zone, k, ds)
	})
}

// verifySig returns the key of the bundle that made a signature.
func (f *File) verifySig(b *Bundle, s dns.RRSIG) (by dns.DNSKEY, err error) {
	set := b.set(s.TypeCovered)
	if len(set.RData) == 0 {
		return by, fmt.Errorf("there is no such set")
	}
	if !s.Signer.Equal(f.Zone) {
		return by, fmt.Errorf("its signer is %s; %s was expected", s.Signer, f.Zone)
	}
	err = fmt.Errorf("no key of the DNSKEY set has this tag and algorithm")
	for _, k := range b.Keys() {
		if k.KeyTag() != s.KeyTag || k.Algorithm != s.Algorithm {
			continue
		}
		if err = dnssec.VerifyRRset(set, &s, k, b.From); err == nil {
			return k, nil
		}
	}
	return by, err
}

// verifyCDS: what the parent is asked for must work (RFC 7344 §4.1).
func (f *File) verifyCDS(b *Bundle) error {
	keys := b.Keys()
	for _, r := range b.Records {
		switch r.Type {
		case dns.TypeCDNSKEY:
			k, err := dns.ParseDNSKEY(r.Data)
			if err != nil || !dnssec.IsCDNSKEYDelete(r.Data) && !b.Has(k) {
				return fmt.Errorf("CDNSKEY of key %d, which is not in the DNSKEY set", k.KeyTag())
			}
		case dns.TypeCDS:
			ds, err := dns.ParseDS(r.Data)
			if err == nil && (dnssec.IsCDSDelete(r.Data) || slices.ContainsFunc(keys, func(k dns.DNSKEY) bool { return dnssec.MatchDS(f.Zone, k, ds) })) {
				continue
			}
			return fmt.Errorf("CDS of key %d, which no key of the DNSKEY set matches", ds.KeyTag)
		}
	}
	return nil
}
