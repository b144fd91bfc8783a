package keys

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// ErrAlgorithm is a provider whose keys have another algorithm than this zone's.
var ErrAlgorithm = errors.New("all providers of a zone must sign by the same algorithm")

// Seen is what the servers of another provider serve at the apex of the zone. Whoever brings it has proof that it is theirs.
type Seen struct {
	Keys []SeenKey // the DNSKEY set: of several servers all that one of them has
	// All: each of the provider's servers has answered. What is missing is believed to be gone only then.
	All bool
	TTL time.Duration // the longest of its DNSKEY sets
}

// SeenKey is a key in the DNSKEY set of another provider.
type SeenKey struct {
	Key        dns.DNSKEY
	Everywhere bool // each server that answered has it
	SignsKeys  bool // it has signed the DNSKEY set
	SignsZone  bool // it has signed the SOA record
	WantsDS    bool // its DS is to be at the parent
}

// mostForeign bounds the keys of all other providers together.
const mostForeign = 32

// See takes in what a provider serves: keys of its own come, change and go with it, and it is known since when it has which of
// ours. It says in words what is new. An error tells what was left out, the rest is done.
func (r *Ring) See(provider string, s Seen, now time.Time) (news []string, err error) {
	var errs []error
	for i := range s.Keys {
		text, err := r.seeKey(provider, &s.Keys[i], &s, now)
		if err != nil {
			errs = append(errs, err)
		}
		if text != "" {
			news = append(news, text)
		}
	}
	if s.All {
		news = append(news, r.missing(provider, s.Keys, now)...)
	}
	r.forgetForeign()
	return news, errors.Join(errs...)
}

func (r *Ring) seeKey(provider string, s *SeenKey, set *Seen, now time.Time) (news string, err error) {
	k := r.same(s.Key)
	switch {
	case k == nil && s.Key.IsRevoked():
		return "", nil
	case k == nil:
		if k, err = r.bring(provider, s, now); err != nil {
			return "", err
		}
		news = fmt.Sprintf("%s of %s is known from now on", k.label(), provider)
	case !k.own():
		news = r.attribute(k, provider, s)
	}
	if k.Foreign == provider {
		k.TTL = max(k.TTL, set.TTL)
	}
	if set.All && s.Everywhere {
		k.sawAt(provider, now, set.TTL)
	} else if set.All && k.own() {
		delete(k.At, provider)
	}
	return news, nil
}

// bring adds a key that is new.
func (r *Ring) bring(provider string, s *SeenKey, now time.Time) (*Key, error) {
	n := 0
	for _, k := range r.keys {
		if !k.own() {
			n++
		}
	}
	if n >= mostForeign {
		return nil, fmt.Errorf("key %d of %s: %w: more than %d keys of other providers", s.Key.KeyTag(), provider, ErrRefused, mostForeign)
	}
	id := fmt.Sprintf("%s/%03d/%05d", provider, s.Key.Algorithm, s.Key.KeyTag())
	for i := 2; r.key(id) != nil; i++ { // another key with the same tag
		id = fmt.Sprintf("%s/%03d/%05d-%d", provider, s.Key.Algorithm, s.Key.KeyTag(), i)
	}
	role := ZSK
	if s.Key.IsSEP() {
		role = CSK // what such a key signs later is not known; in the DNSKEY set it harms nobody
	}
	if err := r.AddForeign(provider, id, s.Key, role, now); err != nil {
		return nil, err
	}
	k := r.key(id)
	k.NoDS = !s.WantsDS
	return k, nil
}

// attribute gives a key to the provider that signs by it, which others have in their sets, too, and has it follow what that one
// wants of it.
func (r *Ring) attribute(k *Key, provider string, s *SeenKey) (news string) {
	if signs := s.SignsKeys || s.SignsZone; k.Foreign != provider && !signs {
		return ""
	}
	k.Foreign = provider
	role := k.Role | ZSK
	if s.WantsDS {
		role |= KSK
	}
	if k.Role != role || k.NoDS == s.WantsDS {
		k.Role, k.NoDS = role, !s.WantsDS
		news = fmt.Sprintf("%s of %s: its DS is %s the parent", k.label(), provider, map[bool]string{true: "to be at", false: "not to be at"}[s.WantsDS])
	}
	if !k.stays() { // it went from there, and is back
		k.Goal, k.Retired, k.Until, k.Removed = Omnipresent, time.Time{}, time.Time{}, time.Time{}
		news = fmt.Sprintf("%s of %s is back", k.label(), provider)
	}
	return news
}

// missing takes notice of what a provider has no more.
func (r *Ring) missing(provider string, seen []SeenKey, now time.Time) (news []string) {
	for _, k := range r.keys {
		if _, was := k.At[provider]; !was || slices.ContainsFunc(seen, func(s SeenKey) bool { return k.is(s.Key) }) {
			continue
		}
		delete(k.At, provider)
		switch {
		case k.Foreign == provider && k.stays():
			k.Goal, k.Retired = Hidden, now
			news = append(news, fmt.Sprintf("%s is no key of %s any more", k.label(), provider))
		case k.own():
			news = append(news, fmt.Sprintf("%s has %s in its DNSKEY set no more", provider, k.label()))
		}
	}
	return news
}

// forgetForeign drops keys of others that are gone everywhere. Before that a third provider that has one still could bring it back.
func (r *Ring) forgetForeign() {
	for _, k := range slices.Clone(r.keys) {
		if !k.own() && !k.Removed.IsZero() && len(k.At) == 0 {
			_ = r.Forget(k.ID) // it is there, and removed
		}
	}
}

// Providers returns those whose servers were seen to have something (see [Ring.See]), and that were not told to go.
func (r *Ring) Providers() (names []string) {
	for _, k := range r.keys {
		for name := range k.At {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func (k *Key) is(key dns.DNSKEY) bool { return string(k.RData) == string(key.RData()) }

func (r *Ring) same(key dns.DNSKEY) *Key {
	for _, k := range r.keys {
		if k.is(key) {
			return k
		}
	}
	return nil
}

// AtProvider is since when all servers of another provider have a key in their DNSKEY sets.
type AtProvider struct {
	Since time.Time     `json:"since"`
	TTL   time.Duration `json:"ttl,omitempty"` // the longest of these sets
}

func (k *Key) sawAt(provider string, now time.Time, ttl time.Duration) {
	if k.At == nil {
		k.At = map[string]AtProvider{}
	}
	at, was := k.At[provider]
	if !was {
		at.Since = now
	}
	at.TTL = max(at.TTL, ttl)
	k.At[provider] = at
}

// providers returns those whose name servers may answer, or whose answers may be cached.
func (r *Ring) providers() (names []string) {
	for _, k := range r.keys {
		if !k.own() && k.Role&ZSK != 0 && k.Removed.IsZero() && !slices.Contains(names, k.Foreign) {
			names = append(names, k.Foreign)
		}
	}
	return names
}

// isElsewhere: with other providers a key signs only when their DNSKEY sets have it, too, in all caches (RFC 8901 §6.2).
func (s *stepper) isElsewhere(k *Key) bool {
	for _, p := range s.r.providers() {
		if !reached(s.elsewhere(k, p), s.now) {
			return false
		}
	}
	return true
}

// elsewhere returns when all caches have a DNSKEY set of a provider's with k, zero while that is not known.
func (s *stepper) elsewhere(k *Key, provider string) time.Time {
	byHand := end(k.Elsewhere, s.p.DNSKEYTTL+s.p.PublishSafety)
	at, ok := k.At[provider]
	if !ok {
		return byHand
	}
	seen := at.Since.Add(max(at.TTL, s.p.DNSKEYTTL) + s.p.PublishSafety)
	if byHand.IsZero() || seen.Before(byHand) {
		return seen
	}
	return byHand
}

// providerTTL is how long caches may have a DNSKEY set of a provider's.
func (r *Ring) providerTTL(provider string) (ttl time.Duration) {
	for _, k := range r.keys {
		if k.Foreign == provider {
			ttl = max(ttl, k.TTL)
		}
	}
	return ttl
}

// explainProvider says how far a provider is: its name servers may be in the NS set once every combination of what is cached
// of one and of the other is good.
func (s *stepper) explainProvider(provider string) {
	var until time.Time
	for _, k := range s.r.keys {
		switch {
		case k.Foreign == provider && !k.stays():
			return // it goes
		case k.Foreign == provider && k.Role&ZSK != 0 && !k.ready():
			return // that key says what it waits for
		case k.Foreign == provider && k.Role&KSK != 0 && !k.NoDS && k.Records[DS].State != Omnipresent:
			s.wait(k, time.Time{}, "%s: the DS of %s has to be in all caches before its name servers may be in the NS set", provider, k.label())
			return
		case k.own() && slices.Contains(s.r.current().Signers, k.ID):
			t := s.elsewhere(k, provider)
			if t.IsZero() {
				s.wait(k, time.Time{}, "%s has %s not in its DNSKEY set yet: its name servers may not be in the NS set", provider, k.label())
				return
			}
			until = later(until, t)
		}
	}
	if !slices.ContainsFunc(s.r.keys, func(k *Key) bool { return k.own() && k.Records[DS].State == Omnipresent }) {
		s.wait(nil, time.Time{}, "this server's own DS has to be in all caches before its name servers may be in the NS set beside those of %s", provider)
		return
	}
	if until.After(s.now) {
		s.wait(nil, until, "%s: caches may have DNSKEY sets of its without our keys until %s", provider, stamp(until))
		return
	}
	s.wait(nil, time.Time{}, "%s and this server have each other's keys in all caches: both providers' name servers may be in the NS set", provider)
}

// explainAlgorithm tells that no other algorithm can come while others sign.
func (s *stepper) explainAlgorithm() {
	for _, k := range s.r.keys {
		if k.own() || !k.Removed.IsZero() || k.Algorithm == s.p.Algorithm || s.goesUnsigned() {
			continue
		}
		s.alarm(nil, "the policy wants %s, but %s signs by %s: answers of its would lack signatures that the DNSKEY set promises (RFC 8901 §4). "+
			"All providers change their algorithm together, or one after the other signs the zone alone", s.p.keyText(), k.Foreign, dnssec.AlgorithmName(k.Algorithm))
		return
	}
}
