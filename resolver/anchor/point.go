package anchor

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// The times of RFC 5011 §2.3 and §2.4.
const (
	holdDown    = 30 * 24 * time.Hour // before a new key is believed, and before a revoked one is forgotten
	minSeen     = 2                   // times that a new key is seen before it is believed
	minInterval = time.Hour
	maxInterval = 15 * 24 * time.Hour
	maxRetry    = 24 * time.Hour

	keepMissing = 366 * 24 * time.Hour // as long as another key is Valid

	maxKeys   = 32 // in one state; a set with more is not taken
	maxChecks = 64 // of signatures for one set (CVE-2023-50387)
	maxGone   = 64 // revoked keys that are remembered
)

// Point is a trust point: a zone and the keys that are trusted for it.
type Point struct {
	Zone dns.Name
	Keys []Key

	// DS vouch for keys that were not seen yet, or that are no SEPs: what the point
	// began with. A SEP key that one matches is Valid when it is seen.
	DS []dns.DS
	// Gone are keys that were revoked, or missing for too long: no configuration brings them back.
	Gone []dns.DS

	Queried   time.Time // when the set was last asked for
	Succeeded time.Time // when that last came to something; zero: never
	Next      time.Time // when it is to be asked for again; zero where all keys are revoked
	Failed    int       // times in succession
	Interval  time.Duration
	Retry     time.Duration
}

// ErrDeleted says that all keys of a point were revoked: there is no trust to
// begin from any more, and the zone counts as not signed (RFC 5011 §5).
var ErrDeleted = errors.New("all keys are revoked")

// ErrUntrusted says that no trusted key vouches for a DNSKEY set.
var ErrUntrusted = errors.New("no trusted key signs the DNSKEY set")

// New makes a point that begins with these DS and DNSKEY records, those of other
// zones left out.
func New(zone dns.Name, anchors []dns.Record) *Point {
	p := &Point{Zone: zone.Fold(), Interval: minInterval, Retry: minInterval}
	for _, r := range anchors {
		if r.Name.Equal(zone) {
			p.begin(r)
		}
	}
	return p
}

// Extend takes anchors that are configured and that the point knows nothing of,
// as those that a new version of the program brings, and reports whether there
// are such.
func (p *Point) Extend(anchors []dns.Record) (changed bool) {
	for _, r := range anchors {
		changed = r.Name.Equal(p.Zone) && p.begin(r) || changed
	}
	return changed
}

// begin takes one record that is trusted by configuration.
func (p *Point) begin(r dns.Record) (isNew bool) {
	ds, err := dns.ParseDS(r.Data)
	key, keyErr := dns.ParseDNSKEY(r.Data)
	switch {
	case r.Type == dns.TypeDNSKEY && keyErr == nil && key.IsRevoked():
		return false
	case r.Type == dns.TypeDNSKEY && keyErr == nil:
		if ds, err = dnssec.MakeDS(p.Zone, key, dnssec.DigestSHA256); err != nil {
			return false
		}
		isSEP := key.IsSEP() && dnssec.CanVerify(key.Algorithm)
		if isSEP && !p.knows(ds) && len(p.Keys) < maxKeys {
			p.Keys = append(p.Keys, Key{DNSKEY: key, TTL: r.TTL, State: Valid})
			return true
		}
	case r.Type != dns.TypeDS || err != nil:
		return false
	}
	if p.knows(ds) || len(p.DS) >= maxKeys {
		return false
	}
	p.DS = append(p.DS, ds)
	return true
}

// knows reports whether a DS is of a key that has a state, or had one.
func (p *Point) knows(ds dns.DS) bool {
	is := func(o dns.DS) bool { return string(o.RData()) == string(ds.RData()) }
	of := func(k Key) bool { return dnssec.MatchDS(p.Zone, unrevoked(k.DNSKEY), ds) }
	gone := func(o dns.DS) bool { // by tag where the digests cannot be compared
		return is(o) || o.KeyTag == ds.KeyTag && o.Algorithm == ds.Algorithm && o.DigestType != ds.DigestType
	}
	return slices.ContainsFunc(p.DS, is) || slices.ContainsFunc(p.Gone, gone) || slices.ContainsFunc(p.Keys, of)
}

// IsDeleted reports whether nothing is trusted any more.
func (p *Point) IsDeleted() bool {
	return len(p.DS) == 0 && !slices.ContainsFunc(p.Keys, func(k Key) bool { return k.IsTrusted() })
}

// Anchors are the records to validate from.
func (p *Point) Anchors() (list []dns.Record) {
	for _, k := range p.Keys {
		if k.IsTrusted() {
			list = append(list, dns.Record{Name: p.Zone, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: k.TTL, Data: k.DNSKEY.RData()})
		}
	}
	for _, ds := range p.DS {
		list = append(list, dns.Record{Name: p.Zone, Type: dns.TypeDS, Class: dns.ClassIN, TTL: 86400, Data: ds.RData()})
	}
	return list
}

// Fail notes that the set could not be had. The point is asked for again after
// wait.
func (p *Point) Fail(now time.Time, spread float64) {
	p.Queried = now
	p.Failed++
	p.schedule(now, p.Retry, spread)
}

// schedule sets the time of the next look, a tenth earlier at most, so that not
// all resolvers ask at once.
func (p *Point) schedule(now time.Time, wait time.Duration, spread float64) {
	p.Next = now.Add(wait - time.Duration(float64(wait)/10*spread)).Truncate(time.Second)
}

// Take takes the zone's DNSKEY set as it was seen at now, with its signatures.
// spread is a random number from 0 to 1. An error says why the set was not
// believed; revocations that it has are obeyed all the same (RFC 5011 §2.1).
func (p *Point) Take(now time.Time, keys, sigs []dns.RData, spread float64) error {
	s := &seen{p: p, now: now.Truncate(time.Second), set: dnssec.RRset{Owner: p.Zone, Type: dns.TypeDNSKEY, Class: dns.ClassIN, RData: keys}, checks: maxChecks}
	s.parse(keys, sigs)
	s.revoke()
	if p.IsDeleted() {
		p.Queried, p.Next = s.now, time.Time{}
		return ErrDeleted
	}
	if !s.isVouchedFor() {
		p.Fail(s.now, spread)
		return fmt.Errorf("%s: %w", p.Zone, ErrUntrusted)
	}
	s.advance()
	p.Queried, p.Succeeded, p.Failed = s.now, s.now, 0
	p.Interval = clamp(min(s.ttl/2, s.life/2), maxInterval)
	p.Retry = clamp(min(s.ttl/10, s.life/10), maxRetry)
	p.schedule(s.now, p.Interval, spread)
	return nil
}

// clamp: RFC 5011 §2.3: not more often than every hour.
func clamp(d, most time.Duration) time.Duration {
	return max(minInterval, min(d, most)).Truncate(time.Second)
}

// Clone returns a copy that can be changed on its own.
func (p *Point) Clone() *Point {
	c := *p
	c.Keys, c.DS, c.Gone = slices.Clone(p.Keys), slices.Clone(p.DS), slices.Clone(p.Gone)
	return &c
}

// Change is what became of a key, in words.
type Change struct {
	Tag uint16
	To  string
}

// Changes says what is otherwise than in old.
func (p *Point) Changes(old *Point) (list []Change) {
	for _, k := range p.Keys {
		if was := old.find(k.DNSKEY); was == nil || was.State != k.State {
			list = append(list, Change{k.DNSKEY.KeyTag(), stateWords[k.State]})
		}
	}
	for _, k := range old.Keys {
		if p.find(k.DNSKEY) == nil {
			list = append(list, Change{k.DNSKEY.KeyTag(), "forgotten"})
		}
	}
	return list
}
