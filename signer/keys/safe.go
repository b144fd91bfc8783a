package keys

import (
	"fmt"
	"slices"
	"time"
)

// dangers returns how the zone could be bogus for somebody if next were wanted at now. A resolver has some DNSKEY set, some
// signed set and some DS set out of all that may be cached, in any mix; the zone is valid for it when
//
//   - each algorithm of its DS set has a key that is in the DS set, is in the DNSKEY set and signs it (RFC 4035 §2.2, §5.2),
//   - each algorithm of the DNSKEY set has a key there that signed the DNSKEY set, and one that signed the set it asks for
//     (RFC 4035 §2.2). RFC 6840 §5.11 wants validators to be content with one good path; not all are.
//
// Or when it has no DS: the zone is insecure then, and being signed by halves harms nobody.
func (r *Ring) dangers(next *version, now time.Time) []string {
	ds := r.dsAfter(next)
	var out []string
	add := func(format string, args ...any) {
		if s := fmt.Sprintf(format, args...); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	// Nobody is harmed before there is a DS. But what is borne then must not be borne with one, so it has a text of its own.
	still := ""
	if len(ds) == 0 {
		still = ", without DS"
	}
	signers := r.signerSets(next, now)
	for _, v := range r.keySets(next, now) {
		r.chain(v, ds, add)
		for _, s := range signers {
			if len(ds) == 0 && (len(v.Keys) == 0 || len(s) == 0 || r.isRescue()) {
				continue
			}
			for _, a := range r.algorithms(v.Keys) {
				if !r.has(a, v.Keys, s) {
					add("sets without a signature by algorithm %d%s", a, still)
				}
			}
		}
	}
	return out
}

// chain finds what is wrong from the DS to the DNSKEY set v.
func (r *Ring) chain(v *version, ds map[string]State, add func(string, ...any)) {
	for _, a := range r.algorithms(v.Keys) {
		if !r.has(a, v.Keys, v.KeySigners) {
			add("DNSKEY set not signed by algorithm %d", a)
		}
	}
	all, some := map[uint8][]string{}, map[uint8][]string{}
	for id, state := range ds {
		a := r.key(id).Algorithm
		if state == Omnipresent {
			all[a] = append(all[a], id)
		} else {
			some[a] = append(some[a], id)
		}
	}
	for a, ids := range all {
		// Whatever else a DS set has, it has these.
		if !slices.ContainsFunc(ids, v.isChained) {
			for _, id := range ids {
				add("DNSKEY set not signed by %s, which the DS of algorithm %d want", id, a)
			}
		}
	}
	for a, ids := range some {
		// A DS set may have any one of these alone.
		for _, id := range ids {
			if len(all[a]) == 0 && !v.isChained(id) {
				add("DNSKEY set not signed by %s, which the DS of algorithm %d may want", id, a)
			}
		}
	}
}

func (v *version) isChained(id string) bool {
	return slices.Contains(v.Keys, id) && slices.Contains(v.KeySigners, id)
}

// dsAfter returns the DS states of own keys, if next were wanted. Hidden ones are left out. Another provider's DS never stands
// in for ours: it leads to that provider's DNSKEY set.
func (r *Ring) dsAfter(next *version) map[string]State {
	out := map[string]State{}
	for _, k := range r.keys {
		if !k.own() {
			continue
		}
		s, wanted := k.Records[DS].State, slices.Contains(next.DS, k.ID)
		switch {
		case wanted && s != Omnipresent:
			s = Rumoured
		case !wanted && s != Hidden:
			s = Unretentive
		}
		if s != Hidden {
			out[k.ID] = s
		}
	}
	return out
}

// isRescue: a key that signs is lost. Without a DS nothing holds anybody to it, and a new key may take all over at once.
func (r *Ring) isRescue() bool {
	cur := r.current()
	for _, k := range r.keys {
		if k.Lost && (slices.Contains(cur.Signers, k.ID) || slices.Contains(cur.KeySigners, k.ID)) {
			return true
		}
	}
	return false
}

// algorithms returns those of keys.
func (r *Ring) algorithms(ids []string) (out []uint8) {
	for _, id := range ids {
		if k := r.key(id); k != nil && !slices.Contains(out, k.Algorithm) {
			out = append(out, k.Algorithm)
		}
	}
	return out
}

// has says whether both sets have a key of an algorithm in common.
func (r *Ring) has(algorithm uint8, a, b []string) bool {
	return slices.ContainsFunc(a, func(id string) bool {
		return slices.Contains(b, id) && r.key(id).Algorithm == algorithm
	})
}

// canSign says whether the keys at hand can make a version: each algorithm of what it signs anew has a key that is not lost.
// The SOA is signed anew in every version, the DNSKEY set in one that differs from cur in it. What differs only in the DS
// needs no signature where there is none to be had: people see to it.
func (r *Ring) canSign(next, cur *version) bool {
	if next.sameKeys(cur) && sameSet(next.Signers, cur.Signers) {
		return true
	}
	if !r.haveUsable(next.Signers) {
		return false
	}
	return next.sameKeys(cur) || r.haveUsable(next.KeySigners)
}

func (r *Ring) haveUsable(ids []string) bool {
	for _, a := range r.algorithms(ids) {
		if !slices.ContainsFunc(ids, func(id string) bool { k := r.key(id); return k.Algorithm == a && k.usable() }) {
			return false
		}
	}
	return true
}
