package provider

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/signer/keys"
)

// Known is what is known before a server is asked.
type Known struct {
	Zone   dns.Name
	Own    []dns.DNSKEY // keys of this server
	Others []dns.DNSKEY // keys of the zone's other providers than the one that is asked
	Keys   []dns.DNSKEY // keys of the one that is asked
	// DS returns the parent's DS set, if it is secure. It is called where nothing else proves the answer; nil: nobody knows.
	DS func() ([]dns.DS, error)
	// After is the time of the newest signature over the DNSKEY set that the server was seen to have; zero: none was seen.
	After time.Time
}

// Answer is what a server is proven to serve.
type Answer struct {
	Keys      []keys.SeenKey
	TTL       time.Duration
	Signed    time.Time // the newest signature over the DNSKEY set
	Proof     string
	HasCDS    bool // it says by CDS or CDNSKEY which keys the parent is to have
	WantsNone bool // it asks the parent to remove all DS (RFC 8078 §4), which is not done for it
}

// Reasons not to believe an answer.
var (
	ErrNoKeys  = errors.New("it has no DNSKEY set: it does not sign the zone")
	ErrForged  = errors.New("no signature over its DNSKEY set is good")
	ErrUnknown = errors.New("its DNSKEY set is signed, but by no key that is known to be its own")
	ErrOld     = errors.New("its DNSKEY set is older than one that it has served before")
)

// Judge says whether what a server has said is proven to be the provider's, and what it means.
func (k *Known) Judge(s *Said, now time.Time) (*Answer, error) {
	all, err := parseKeys(s.Keys.RData)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, ErrNoKeys
	}
	signers, newest := good(&s.Keys, k.Zone, all, now)
	signers = slices.DeleteFunc(signers, func(d dns.DNSKEY) bool { return has(k.Own, d) || d.IsRevoked() })
	if len(signers) == 0 {
		return nil, ErrForged
	}
	out := &Answer{TTL: seconds(s.Keys.TTL), Signed: newest}
	if out.Proof, err = k.prove(s, signers); err != nil {
		return nil, err
	}
	if newest.Before(k.After) {
		return nil, ErrOld
	}
	zone, _ := good(&s.SOA, k.Zone, all, now)
	wanted := k.wanted(s, all, now, out)
	for _, d := range all {
		if !d.IsZoneKey() || d.Protocol != 3 || slices.ContainsFunc(out.Keys, func(o keys.SeenKey) bool { return same(o.Key, d) }) {
			continue
		}
		seen := keys.SeenKey{Key: d, Everywhere: true, SignsKeys: has(signers, d), SignsZone: has(zone, d)}
		seen.WantsDS = seen.SignsKeys && d.IsSEP()
		if out.HasCDS {
			seen.WantsDS = wanted(d)
		}
		out.Keys = append(out.Keys, seen)
	}
	return out, nil
}

// prove says why a DNSKEY set that these keys have signed is the provider's.
func (k *Known) prove(s *Said, signers []dns.DNSKEY) (string, error) {
	if s.IsSure {
		return "by the channel that it came through", nil
	}
	for _, d := range signers {
		if has(k.Keys, d) {
			return fmt.Sprintf("by its key %d, which is known", d.KeyTag()), nil
		}
	}
	if k.DS == nil {
		return "", ErrUnknown
	}
	set, err := k.DS()
	if err != nil {
		return "", fmt.Errorf("%w, and the DS set of the parent proves nothing: %w", ErrUnknown, err)
	}
	for _, d := range signers {
		for _, ds := range set {
			if !has(k.Others, d) && dnssec.MatchDS(k.Zone, d, ds) {
				return fmt.Sprintf("by its key %d, whose DS the parent has", d.KeyTag()), nil
			}
		}
	}
	return "", ErrUnknown
}

// wanted reads CDS and CDNSKEY: which keys the provider wants the parent to have. They count if a key of the set has signed
// them (RFC 7344 §4.1); that the set is the provider's is proven.
func (k *Known) wanted(s *Said, all []dns.DNSKEY, now time.Time, out *Answer) func(dns.DNSKEY) bool {
	isGood := func(set *Set) bool {
		by, _ := good(set, k.Zone, all, now)
		return len(by) > 0
	}
	var ds []dns.DS
	var wanted []dns.DNSKEY
	if isGood(&s.CDS) {
		for _, data := range s.CDS.RData {
			if d, err := dns.ParseDS(data); dnssec.IsCDSDelete(data) {
				out.WantsNone = true
			} else if err == nil {
				ds = append(ds, d)
			}
		}
	}
	if isGood(&s.CDNSKEY) {
		for _, data := range s.CDNSKEY.RData {
			if d, err := dns.ParseDNSKEY(data); dnssec.IsCDNSKEYDelete(data) {
				out.WantsNone = true
			} else if err == nil {
				wanted = append(wanted, d)
			}
		}
	}
	out.HasCDS = len(ds)+len(wanted) > 0
	return func(d dns.DNSKEY) bool {
		return has(wanted, d) || slices.ContainsFunc(ds, func(s dns.DS) bool { return dnssec.MatchDS(k.Zone, d, s) })
	}
}

// good returns those of keys by which a set is signed, with signatures that are good now, and when the newest was made.
func good(s *Set, zone dns.Name, all []dns.DNSKEY, now time.Time) (by []dns.DNSKEY, newest time.Time) {
	tried := 0
	for i := range s.Sigs {
		sig := &s.Sigs[i]
		if !sig.Signer.Equal(zone) || len(s.RData) == 0 {
			continue
		}
		for _, d := range all {
			if d.KeyTag() != sig.KeyTag || d.Algorithm != sig.Algorithm || has(by, d) {
				continue
			}
			if tried++; tried > mostSigs {
				return by, newest
			}
			if dnssec.VerifyRRset(s.RRset, sig, d, now) == nil {
				by = append(by, d)
				if at := unix(sig.Inception, now); at.After(newest) {
					newest = at
				}
			}
		}
	}
	return by, newest
}

// unix is a time of a signature, a serial number of seconds (RFC 4034 §3.1.5), near now.
func unix(t uint32, now time.Time) time.Time {
	return now.Add(time.Duration(int32(t-uint32(now.Unix()))) * time.Second).Truncate(time.Second)
}

func parseKeys(data []dns.RData) (all []dns.DNSKEY, err error) {
	for _, d := range data {
		k, err := dns.ParseDNSKEY(d)
		if err != nil {
			return nil, fmt.Errorf("its DNSKEY set cannot be read: %w", err)
		}
		all = append(all, k)
	}
	return all, nil
}

func same(a, b dns.DNSKEY) bool { return string(a.RData()) == string(b.RData()) }

func has(all []dns.DNSKEY, d dns.DNSKEY) bool {
	return slices.ContainsFunc(all, func(o dns.DNSKEY) bool { return same(o, d) })
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

// Merge makes one of what several servers of a provider serve; asked is how many were.
func Merge(answers []*Answer, asked int) keys.Seen {
	out := keys.Seen{All: len(answers) == asked && asked > 0}
	count := map[string]int{}
	for _, a := range answers {
		out.TTL = max(out.TTL, a.TTL)
		for _, k := range a.Keys {
			count[string(k.Key.RData())]++
			i := slices.IndexFunc(out.Keys, func(o keys.SeenKey) bool { return same(o.Key, k.Key) })
			if i < 0 {
				out.Keys = append(out.Keys, k)
				continue
			}
			o := &out.Keys[i]
			o.SignsKeys, o.SignsZone, o.WantsDS = o.SignsKeys || k.SignsKeys, o.SignsZone || k.SignsZone, o.WantsDS || k.WantsDS
		}
	}
	for i := range out.Keys {
		out.Keys[i].Everywhere = count[string(out.Keys[i].Key.RData())] == len(answers)
	}
	return out
}
