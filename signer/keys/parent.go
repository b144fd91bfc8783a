package keys

import (
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// observeParent takes in what the parent's servers said: each key's DS counts its servers. A server that did not answer
// proves nothing, neither that the DS is there nor that it is not. Where people say what the parent has, that is what counts:
// what is seen from here may be another parent than that of the world.
func (s *stepper) observeParent() {
	f := &s.f.Parent
	if f.At.IsZero() || f.Answered == 0 || f.At.After(s.now) || f.At.Before(s.r.parent.At) {
		return
	}
	for _, k := range s.r.keys {
		if k.Role&KSK != 0 && s.p.Parent != ByHand {
			s.observeDS(k, f)
		}
	}
	s.r.parent = *f
	s.r.parent.DS = slices.Clone(f.DS)
}

func (s *stepper) observeDS(k *Key, f *Parent) {
	n := 0
	for _, d := range f.DS {
		if dnssec.MatchDS(s.r.zone, k.DNSKEY(), d.DS) {
			n = max(n, d.Servers)
		}
	}
	k.Parent.Servers = n
	if n > 0 {
		k.Parent.IsDenied = false
		k.Parent.Nobody = time.Time{}
		k.Parent.TTL = max(k.Parent.TTL, f.TTL)
	}
	if n < f.Answered {
		if !k.Parent.Everyone.IsZero() && k.Parent.Wanted {
			s.tell(k, Event{What: Alarm, Text: "the DS of " + k.label() + " was taken from the parent, by nobody here. " +
				"Those who ask now find the zone insecure, not bogus; it is asked for again"})
		}
		k.Parent.Everyone = time.Time{}
	}
	switch {
	case n == f.Asked && k.Parent.Everyone.IsZero():
		k.Parent.Everyone = f.At
	case n == 0 && f.Answered == f.Asked && k.Parent.Nobody.IsZero() && !f.At.Before(k.Parent.Changed):
		k.Parent.Nobody = f.At
	}
}

// parentState returns the state of k's DS.
func (s *stepper) parentState(k *Key) State {
	at, old := &k.Parent, k.Records[DS].State
	switch {
	case k.Role&KSK == 0:
		return Hidden
	case at.Wanted && reached(s.dsEverywhere(k), s.now):
		return Omnipresent
	case at.Wanted:
		return Rumoured
	case old == Hidden && at.Servers == 0:
		return Hidden
	case at.Servers == 0 && reached(s.dsNowhere(k), s.now):
		return Hidden
	}
	return Unretentive
}

// dsEverywhere returns when no cache has a DS set without k's any more, zero while not even all of the parent's servers have it.
func (s *stepper) dsEverywhere(k *Key) time.Time {
	return end(k.Parent.Everyone, s.parentTTL()+s.safety(s.p.PublishSafety))
}

// dsNowhere returns when no cache has a DS set with k's any more.
func (s *stepper) dsNowhere(k *Key) time.Time {
	return end(k.Parent.Nobody, max(s.parentTTL(), s.kept(k.Parent.TTL))+s.safety(s.p.RetireSafety))
}

func (s *stepper) safety(d time.Duration) time.Duration {
	if s.r.isUrgent() {
		return leastSafety
	}
	return max(leastSafety, d)
}

// parentTTL is how long caches may have a DS set of the parent's, or know that there is none.
func (s *stepper) parentTTL() time.Duration {
	if s.r.parent.At.IsZero() {
		return s.p.ParentTTL
	}
	ttl := max(s.r.parent.TTL, s.r.parent.NegativeTTL)
	if s.p.Parent == ByHand {
		ttl = max(ttl, s.p.ParentTTL)
	}
	for _, k := range s.r.keys {
		if k.Parent.Servers > 0 || k.Records[DS].State != Hidden {
			ttl = max(ttl, k.Parent.TTL)
		}
	}
	return s.kept(ttl)
}

// strange returns the parent's DS records that no key of the ring has.
func (r *Ring) strange() (out []dns.DS) {
	for _, d := range r.parent.DS {
		if !slices.ContainsFunc(r.keys, func(k *Key) bool { return dnssec.MatchDS(r.zone, k.DNSKEY(), d.DS) }) {
			out = append(out, d.DS)
		}
	}
	return out
}
