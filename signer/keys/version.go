package keys

import (
	"slices"
	"time"
)

// version is one state of what the zone publishes and of what its sets are signed by. As long as a cache may hold sets of it,
// it counts in every decision.
type version struct {
	Generation uint64    `json:"generation"`
	Made       time.Time `json:"made,omitzero"`
	Keys       []string  `json:"keys,omitempty"`         // ids in the DNSKEY set
	KeySigners []string  `json:"key-signers,omitempty"`  // of the DNSKEY set
	Signers    []string  `json:"zone-signers,omitempty"` // of everything else
	DS         []string  `json:"ds,omitempty"`           // keys whose DS is asked for

	// Fresh: there is nothing of it in any cache, because nobody knew of the zone.
	Fresh bool `json:"fresh,omitempty"`
	// For how long caches may hold the sets: the longest TTLs seen while it was served.
	KeyTTL  time.Duration `json:"key-ttl,omitempty"`
	ZoneTTL time.Duration `json:"zone-ttl,omitempty"`
	// Safety on top, set when the next version is made.
	KeyMargin  time.Duration `json:"key-margin,omitempty"`
	ZoneMargin time.Duration `json:"zone-margin,omitempty"`
	// KeysOut is since when no server has this DNSKEY set any more, SignersOut since when none has sets signed so.
	KeysOut    time.Time `json:"keys-out,omitzero"`
	SignersOut time.Time `json:"signers-out,omitzero"`
}

func (v *version) clone() *version {
	c := *v
	c.Keys, c.KeySigners = slices.Clone(v.Keys), slices.Clone(v.KeySigners)
	c.Signers, c.DS = slices.Clone(v.Signers), slices.Clone(v.DS)
	return &c
}

func (v *version) sameKeys(w *version) bool {
	return sameSet(v.Keys, w.Keys) && sameSet(v.KeySigners, w.KeySigners)
}

func (v *version) same(w *version) bool {
	return v.sameKeys(w) && sameSet(v.Signers, w.Signers) && sameSet(v.DS, w.DS)
}

// keysEnd returns when the last cache drops this DNSKEY set; zero: servers still have it.
func (v *version) keysEnd() time.Time { return end(v.KeysOut, v.KeyTTL+v.KeyMargin) }

// signersEnd returns when the last cache drops the last set that was signed so; zero: servers still have some.
func (v *version) signersEnd() time.Time { return end(v.SignersOut, v.ZoneTTL+v.ZoneMargin) }

func end(out time.Time, more time.Duration) time.Time {
	if out.IsZero() {
		return out
	}
	return out.Add(more)
}

func reached(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// supersede notes with which safety the sets of v are waited for once next has taken its place.
func (v *version) supersede(next *version, p *Policy, urgent bool) {
	v.KeyMargin, v.ZoneMargin = 0, 0
	switch {
	case v.Fresh:
	case urgent:
		v.KeyMargin, v.ZoneMargin = leastSafety, leastSafety
	default:
		v.KeyMargin = max(leastSafety, margin(v.Keys, next.Keys, p))
		v.ZoneMargin = max(leastSafety, margin(v.Signers, next.Signers, p))
	}
}

// leastSafety is waited for even in an emergency: caches count in whole seconds, and may have a set for one more than its TTL.
const leastSafety = time.Second

// isBefore: that of the time before the zone was signed.
func (v *version) isBefore() bool { return v.Generation == 0 && len(v.Keys) == 0 }

func margin(from, to []string, p *Policy) (m time.Duration) {
	if !subset(to, from) {
		m = p.PublishSafety
	}
	if !subset(from, to) {
		m = max(m, p.RetireSafety)
	}
	return m
}

// current is the version that is wanted now.
func (r *Ring) current() *version { return r.versions[len(r.versions)-1] }

// keySets returns the versions whose DNSKEY set some cache may have at now, next being wanted.
func (r *Ring) keySets(next *version, now time.Time) []*version {
	out := []*version{next}
	for _, v := range r.versions {
		if !v.sameKeys(next) && !reached(v.keysEnd(), now) {
			out = append(out, v)
		}
	}
	return out
}

// signerSets returns the sets of keys by which what some cache may have at now can be signed, those of other providers included.
func (r *Ring) signerSets(next *version, now time.Time) [][]string {
	out := [][]string{next.Signers}
	for _, v := range r.versions {
		if !sameSet(v.Signers, next.Signers) && !reached(v.signersEnd(), now) {
			out = append(out, v.Signers)
		}
	}
	return append(out, r.foreignSigners(now)...)
}

// foreignSigners returns the zone keys of each other provider that may answer for the zone (RFC 8901 §2.1.2): one may as soon
// as its keys are in all caches, and until they are told to go and nothing of it is cached.
func (r *Ring) foreignSigners(now time.Time) (out [][]string) {
	by := map[string]int{}
	for _, k := range r.keys {
		if k.own() || k.Role&ZSK == 0 || !k.ready() || reached(k.Until, now) {
			continue
		}
		if _, ok := by[k.Foreign]; !ok {
			by[k.Foreign] = len(out)
			out = append(out, nil)
		}
		out[by[k.Foreign]] = append(out[by[k.Foreign]], k.ID)
	}
	return out
}

// prune forgets versions of which no cache has anything.
func (r *Ring) prune(now time.Time) {
	cur := r.current()
	r.versions = slices.DeleteFunc(r.versions, func(v *version) bool {
		return v != cur && reached(v.keysEnd(), now) && reached(v.signersEnd(), now)
	})
}

func subset(a, b []string) bool {
	for _, x := range a {
		if !slices.Contains(b, x) {
			return false
		}
	}
	return true
}

func sameSet(a, b []string) bool { return len(a) == len(b) && subset(a, b) }

func with(set []string, ids ...string) []string {
	out := slices.Clone(set)
	for _, id := range ids {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

func without(set []string, ids ...string) []string {
	return slices.DeleteFunc(slices.Clone(set), func(id string) bool { return slices.Contains(ids, id) })
}
