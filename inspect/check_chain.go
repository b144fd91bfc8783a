package inspect

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/validator"
	"onoma/zone"
)

// complete adds to the chain what only the zone's servers know: validation ends
// where a chain ends, and a zone that nobody vouches for may be signed all the same.
func (s *survey) complete(h *Health) {
	for i := range h.Trust.Chain {
		sortKeys(h.Trust.Chain[i].Keys)
		nameStrangers(&h.Trust.Chain[i])
		sortDS(&h.Trust.Chain[i])
	}
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
		sortKeys(link.Keys)
	}
	if len(h.Trust.Sets) == 0 {
		h.Trust.Sets = []validator.Set{{Owner: s.zone, Type: dns.TypeSOA, Zone: s.zone, Status: link.Status, Why: link.Why}}
	}
	for i, set := range h.Trust.Sets {
		if len(set.Sigs) == 0 && set.Type == dns.TypeSOA {
			h.Trust.Sets[i].Sigs = s.observed(dns.TypeSOA, keys)
		}
	}
}

// nameStrangers says of signatures over the keys by keys that nothing leads to what
// is wrong with them: validation knows trusted keys only.
func nameStrangers(link *validator.Link) {
	for i, sig := range link.KeySigs {
		isStranger := slices.ContainsFunc(link.Keys, func(k validator.Key) bool {
			return !k.IsTrusted && k.Tag == sig.KeyTag && k.Algorithm == sig.Algorithm
		})
		if isStranger && !sig.IsGood && sig.Why != "" {
			link.KeySigs[i].Why = "no DS is of its key"
		}
	}
}

// sortKeys puts those first that the others hang on.
func sortKeys(keys []validator.Key) {
	rank := func(k validator.Key) (n int) {
		for i, is := range []bool{k.Flags&dns.DNSKEYSEP != 0, k.IsTrusted, k.Signs} {
			if is {
				n += 1 << i
			}
		}
		return n
	}
	slices.SortStableFunc(keys, func(a, b validator.Key) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), cmp.Compare(a.Tag, b.Tag))
	})
}

// sortDS puts the one first that the chain goes by, and those last that lead nowhere.
func sortDS(link *validator.Link) {
	rank := func(d dns.DS) int {
		leads := func(k validator.Key) bool {
			return k.Signs && k.IsTrusted && k.Tag == d.KeyTag && k.Algorithm == d.Algorithm
		}
		switch {
		case slices.ContainsFunc(link.Keys, leads):
			return 0
		case isUsed(*link, d):
			return 1
		}
		return 2
	}
	link.DS = slices.SortedStableFunc(slices.Values(link.DS), func(a, b dns.DS) int { return cmp.Compare(rank(a), rank(b)) })
}

// observed returns the signatures over a set at the zone's name, as the server has
// them whose chain is shown, or the first one that has any.
func (s *survey) observed(t dns.Type, keys []dns.DNSKEY) (list []validator.Signature) {
	for _, w := range append([]*witness{s.shown}, s.own...) {
		if w == nil {
			continue
		}
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
		if len(list) > 0 || w == s.shown && len(set.RData) > 0 {
			break
		}
	}
	return list
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

// short says the half of it that matters.
func (l life) short() string {
	switch {
	case l.passed < 0:
		return "good in " + roundly(-l.passed)
	case l.left < 0:
		return "expired " + roundly(-l.left) + " ago"
	}
	return "good for " + roundly(l.left) + " more"
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

// Headline says in a sentence what a resolver makes of the zone.
func (h *Health) Headline() string {
	name := bare(h.Zone.Unicode())
	if h.Zone.IsRoot() {
		name = "the root"
	}
	switch h.Trust.Status {
	case validator.Secure:
		return name + " is secure"
	case validator.Bogus:
		if h.best() != validator.Bogus {
			return name + " is broken at some of its servers"
		}
		return name + " is broken: resolvers that validate do not answer for it"
	case validator.Insecure:
		if !h.Signed {
			return name + " is not signed"
		}
		return name + " is signed, and counts as unsigned"
	}
	switch {
	case len(broken(h.Own)) == len(h.Own):
		return name + " is served by none of its servers"
	case h.Trust.EDE.Code == dns.EDEDNSSECIndeterminate:
		return name + " without a trust anchor: only its servers were looked at"
	}
	return name + " cannot be judged: " + printable(h.Trust.Why)
}

// Tally counts the findings.
func (h *Health) Tally() string {
	n := map[zone.Severity]int{}
	for _, f := range h.Findings {
		n[f.Severity]++
	}
	if len(h.Findings) == 0 {
		return "nothing is wrong"
	}
	plural := func(n int, word string) string {
		if n == 1 {
			return "1 " + word
		}
		return strconv.Itoa(n) + " " + word + "s"
	}
	return plural(n[zone.Error], "error") + ", " + plural(n[zone.Warning], "warning")
}

// best is the verdict by the zone's best server.
func (h *Health) best() validator.Status {
	best := h.Trust.Status
	for _, st := range h.Own {
		if st.Error == "" && gravity(st.Trust) < gravity(best) {
			best = st.Trust
		}
	}
	return best
}

// unreached is the zone itself where its chain ends above it; else the zero Name.
func (h *Health) unreached() dns.Name {
	n := len(h.Trust.Chain)
	if n == 0 || h.Trust.Chain[n-1].Zone.Equal(h.Zone) || len(h.Trust.Sets) > 0 {
		return dns.Name{}
	}
	return h.Zone
}

// role names what a key is there for: by its flags, and by what it signs.
func (h *Health) role(link validator.Link, k validator.Key) string {
	switch {
	case k.Flags&dns.DNSKEYRevoke != 0:
		return "revoked"
	case k.Flags&dns.DNSKEYZone == 0:
		return "no zone key"
	case k.Flags&dns.DNSKEYSEP == 0:
		return "ZSK"
	case h.signsData(link, k):
		return "CSK"
	}
	return "KSK"
}

// signsData reports whether a key is seen to sign more than the keys: the zone's
// data, or the DS of the next zone of the chain.
func (h *Health) signsData(link validator.Link, k validator.Key) bool {
	is := func(sig validator.Signature) bool {
		return sig.Signer.Equal(link.Zone) && sig.KeyTag == k.Tag && sig.Algorithm == k.Algorithm
	}
	for _, next := range h.Trust.Chain {
		if slices.ContainsFunc(next.DSSigs, is) {
			return true
		}
		for _, set := range next.Denial {
			if slices.ContainsFunc(set.Sigs, is) {
				return true
			}
		}
	}
	return slices.ContainsFunc(h.Trust.Sets, func(set validator.Set) bool { return slices.ContainsFunc(set.Sigs, is) })
}

// keyNotes tells what a key has to do with the chain.
func keyNotes(link validator.Link, k validator.Key) (notes []string) {
	switch {
	case k.IsTrusted && link.IsAnchor:
		notes = append(notes, "trusted")
	case k.IsTrusted:
		notes = append(notes, "has the DS")
	}
	if k.Signs {
		notes = append(notes, "signs the keys")
	}
	return notes
}

// isUsed reports whether a DS is of a key that the zone has.
func isUsed(link validator.Link, ds dns.DS) bool {
	return slices.ContainsFunc(link.Keys, func(k validator.Key) bool {
		return k.IsTrusted && k.Tag == ds.KeyTag && k.Algorithm == ds.Algorithm
	})
}
