package keys

import (
	"fmt"
	"slices"
	"time"

	"onoma/dns/dnssec"
)

// setGoals decides which keys are to be there: one of each role, as the policy wants them, and those that stand by.
func (s *stepper) setGoals() {
	roles := []Role{CSK}
	if s.p.Split {
		roles = []Role{KSK, ZSK}
	}
	if s.goesUnsigned() {
		roles = nil
	}
	for _, k := range s.r.keys {
		if !k.own() || !k.stays() {
			continue
		}
		switch {
		case k.Lost:
			s.retire(k, "its private half is lost")
		case s.goesUnsigned():
			s.retire(k, "the zone goes unsigned")
		case !slices.Contains(roles, k.Role):
			s.retire(k, "the policy wants "+roleSet(s.p.Split))
		case !s.p.fits(k):
			s.retire(k, "the policy wants "+s.p.keyText())
		}
	}
	for _, role := range roles {
		s.fill(role)
	}
	s.purge()
}

func roleSet(split bool) string {
	if split {
		return "a KSK and a ZSK"
	}
	return "one CSK"
}

func (p *Policy) keyText() string {
	if p.isRSA() {
		return fmt.Sprintf("%s with %d bits", dnssec.AlgorithmName(p.Algorithm), p.bits())
	}
	return dnssec.AlgorithmName(p.Algorithm)
}

func (p *Policy) bits() int {
	switch {
	case !p.isRSA():
		return 0
	case p.Bits == 0:
		return 2048
	}
	return p.Bits
}

// fits says whether a key is of the kind that the policy wants; the bits of imported keys may be unknown.
func (p *Policy) fits(k *Key) bool {
	return k.Algorithm == p.Algorithm && (k.Bits == 0 || p.bits() == 0 || k.Bits == p.bits())
}

// fill sees to it that a role has its key, and as many that stand by as the policy wants.
func (s *stepper) fill(role Role) {
	var in, standby []*Key
	for _, k := range s.r.keys {
		switch {
		case !k.own() || !k.stays() || k.Role != role:
		case k.Standby:
			standby = append(standby, k)
		default:
			in = append(in, k)
		}
	}
	for len(in) > 1 {
		s.retire(in[0], "a newer key has its role")
		in = in[1:]
	}
	if len(in) == 1 && s.isOld(in[0]) {
		s.retire(in[0], "its life time ends")
		in = nil
	}
	if len(in) == 0 && len(standby) > 0 {
		k := standby[0]
		phase := k.Phase()
		k.Standby, standby = false, standby[1:]
		s.tell(k, Event{What: Goal, From: "standby", To: Omnipresent.String(), Text: k.label() + " stood by and takes over"})
		s.tellPhase(k, phase)
	} else if len(in) == 0 {
		s.need(role, false)
	}
	for len(standby) > s.p.Standby {
		s.retire(standby[0], "the policy wants fewer keys that stand by")
		standby = standby[1:]
	}
	for range s.p.Standby - len(standby) {
		s.need(role, true)
	}
}

func (s *stepper) need(role Role, standby bool) {
	s.vacant = true
	text := fmt.Sprintf("a new %v is needed: %s", role, s.p.keyText())
	if standby {
		text += ", to stand by"
	}
	s.events = append(s.events, Event{At: s.now, What: NeedKey, Role: role, Algorithm: s.p.Algorithm, Bits: s.p.bits(), Standby: standby, Text: text})
}

// isOld says whether a key's successor is due: so early that it can take over when the life time ends.
func (s *stepper) isOld(k *Key) bool {
	t := s.successorDue(k)
	return reached(t, s.now) && !s.isRolling(k.Role)
}

func (s *stepper) successorDue(k *Key) time.Time {
	life := s.p.KSKLife
	if k.Role == ZSK {
		life = s.p.ZSKLife
	}
	if life == 0 || k.Active.IsZero() {
		return time.Time{}
	}
	return k.Active.Add(life - s.p.DNSKEYTTL - s.p.PublishSafety - s.f.Propagation)
}

// isRolling says whether a key of the role is still on its way in or out of use.
func (s *stepper) isRolling(role Role) bool {
	cur := s.r.current()
	return slices.ContainsFunc(s.r.keys, func(k *Key) bool {
		if !k.own() || k.Role&role == 0 || k.Standby {
			return false
		}
		used := slices.Contains(cur.Signers, k.ID) || slices.Contains(cur.KeySigners, k.ID) || slices.Contains(cur.DS, k.ID)
		return used && !k.stays() || k.stays() && k.Role == role && !used
	})
}

// retire makes a key go, as soon as it may.
func (s *stepper) retire(k *Key, why string) {
	phase := k.Phase()
	k.Goal, k.Retired, k.Standby = Hidden, s.now, false
	s.tell(k, Event{What: Goal, From: Omnipresent.String(), To: Hidden.String(), Text: k.label() + " is to go: " + why})
	s.tellPhase(k, phase)
}

// purge asks for the deletion of keys that were removed long ago.
func (s *stepper) purge() {
	for _, k := range s.r.keys {
		if s.p.Purge > 0 && reached(end(k.Removed, s.p.Purge), s.now) && !k.Removed.IsZero() && k.own() {
			s.tell(k, Event{What: Purge, Text: k.label() + " was removed " + stamp(k.Removed) + ": its private half is not needed any more"})
		}
	}
}
