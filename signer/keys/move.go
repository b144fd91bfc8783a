package keys

import (
	"slices"
)

// move makes the first thing come or go that may, and says whether there was one. What comes is tried before what goes, the
// order among keys is that of the ring; each try is a whole next version, judged by dangers alone.
func (s *stepper) move() bool {
	for _, k := range s.r.keys {
		if k.stays() && !k.Lost && s.come(k) {
			return true
		}
	}
	if s.standIn() || s.rescue() {
		return true
	}
	for _, k := range s.r.keys {
		if !k.stays() && s.leave(k) || k.stays() && k.own() && k.Role == KSK && s.stopSigning(k) { // one that stood in
			return true
		}
	}
	return false
}

// try takes a candidate as the next version if it adds no danger to those that are there, and can be signed.
func (s *stepper) try(change func(v *version)) bool {
	v := s.next.clone()
	change(v)
	if v.same(s.next) || !s.r.canSign(v, s.r.current()) {
		return false
	}
	// What harms somebody already, by another's hand, must not keep the zone from getting better.
	before := s.r.dangers(s.next, s.now)
	if !subset(s.r.dangers(v, s.now), before) {
		return false
	}
	s.next = v
	return true
}

func (s *stepper) come(k *Key) bool {
	if !k.own() {
		return s.comeForeign(k)
	}
	return s.signZone(k) || s.publish(k) || s.signKeys(k) || s.askDS(k)
}

func (s *stepper) comeForeign(k *Key) bool {
	if k.Role&ZSK != 0 && s.try(func(v *version) { v.Keys = with(v.Keys, k.ID) }) {
		return true
	}
	if k.NoDS && slices.Contains(s.next.DS, k.ID) {
		return s.try(func(v *version) { v.DS = without(v.DS, k.ID) })
	}
	return k.Role&KSK != 0 && !k.NoDS && s.hasOwnDS() && s.try(func(v *version) { v.DS = with(v.DS, k.ID) })
}

// hasOwnDS: before the parent is to know of this server's own keys it is not told of others'.
func (s *stepper) hasOwnDS() bool {
	return slices.ContainsFunc(s.next.DS, func(id string) bool { return s.r.key(id).own() })
}

// signZone has k sign the zone: from the beginning, beside others of its algorithm, or instead of them.
func (s *stepper) signZone(k *Key) bool {
	if k.Role&ZSK == 0 || k.Standby || slices.Contains(s.next.Signers, k.ID) || !s.isElsewhere(k) {
		return false
	}
	old := s.predecessors(k, s.next.Signers, ZSK)
	lost := slices.ContainsFunc(old, func(id string) bool { return s.r.key(id).Lost })
	if len(old) == 0 || s.p.ZSKRoll == DoubleSignature && !lost {
		return s.try(func(v *version) { v.Signers = with(v.Signers, k.ID) })
	}
	return s.try(func(v *version) { v.Signers = with(without(v.Signers, old...), k.ID) })
}

// predecessors returns those of ids that k takes the place of in a role.
func (s *stepper) predecessors(k *Key, ids []string, role Role) (out []string) {
	for _, id := range ids {
		o := s.r.key(id)
		if o.own() && o.Algorithm == k.Algorithm && o != k && (!o.stays() || o.Lost || o.Role&role == 0) {
			out = append(out, id)
		}
	}
	return out
}

// publish puts k into the DNSKEY set, with all others of an algorithm that is new there: a set with an algorithm is signed by it.
func (s *stepper) publish(k *Key) bool {
	if slices.Contains(s.next.Keys, k.ID) {
		return false
	}
	together := []*Key{k}
	if !slices.Contains(s.r.algorithms(s.next.Keys), k.Algorithm) {
		together = s.r.coming(k.Algorithm)
	}
	old := s.predecessors(k, s.next.KeySigners, KSK)
	lost := slices.DeleteFunc(slices.Clone(old), func(id string) bool { return !s.r.key(id).Lost })
	if k.Role != KSK || s.p.KSKRoll != DoubleDS {
		old = lost
	}
	if k.Role&KSK == 0 || k.Standby {
		old = nil
	}
	return s.try(func(v *version) {
		if len(old) > 0 { // only keys that do nothing else are taken out of the set by this
			v.KeySigners = without(v.KeySigners, old...)
			v.Keys = without(v.Keys, slices.DeleteFunc(slices.Clone(old), func(id string) bool { return slices.Contains(v.Signers, id) })...)
		}
		for _, k := range together {
			v.Keys = with(v.Keys, k.ID)
			if k.Role&KSK != 0 {
				v.KeySigners = with(v.KeySigners, k.ID)
			}
		}
	})
}

// coming returns the keys of an algorithm that are to be in the DNSKEY set.
func (r *Ring) coming(algorithm uint8) (out []*Key) {
	for _, k := range r.keys {
		if k.Algorithm == algorithm && k.stays() && k.usable() {
			out = append(out, k)
		}
	}
	return out
}

// signKeys has a key sign the DNSKEY set that it is in. One that stands by does so, too: whichever DS a cache has leads on then.
func (s *stepper) signKeys(k *Key) bool {
	if k.Role&KSK == 0 || !slices.Contains(s.next.Keys, k.ID) || slices.Contains(s.next.KeySigners, k.ID) {
		return false
	}
	lost := slices.DeleteFunc(s.predecessors(k, s.next.KeySigners, KSK), func(id string) bool { return !s.r.key(id).Lost })
	return s.try(func(v *version) { v.KeySigners = with(without(v.KeySigners, lost...), k.ID) })
}

// askDS asks the parent for k's DS: instead of those of keys that go, or beside them.
func (s *stepper) askDS(k *Key) bool {
	if k.Role&KSK == 0 || slices.Contains(s.next.DS, k.ID) || s.r.isStuck() {
		return false
	}
	var old []string
	lost := false
	for _, id := range s.next.DS {
		if o := s.r.key(id); o.own() && !o.stays() {
			old, lost = append(old, id), lost || o.Lost
		}
	}
	beside := len(old) == 0 || k.Standby || lost || k.Role == KSK && s.p.KSKRoll == DoubleDS
	if !beside && s.try(func(v *version) { v.DS = with(without(v.DS, old...), k.ID) }) {
		return true
	}
	return beside && s.try(func(v *version) { v.DS = with(v.DS, k.ID) })
}

// standIn lets a key that all caches have sign the zone in the place of one that is lost: a KSK may, in need.
func (s *stepper) standIn() bool {
	for _, id := range s.next.Signers {
		if !s.r.key(id).Lost {
			continue
		}
		for _, k := range s.r.keys {
			if k.usable() && k.Algorithm == s.r.key(id).Algorithm && slices.Contains(s.next.Keys, k.ID) &&
				s.try(func(v *version) { v.Signers = with(without(v.Signers, id), k.ID) }) {
				return true
			}
		}
	}
	return false
}

// rescue starts anew where nothing can be signed as it was: all at once, once no cache has a DS.
func (s *stepper) rescue() bool {
	if !s.r.isStuck() || len(s.r.dsAfter(s.next)) > 0 {
		return false
	}
	return s.try(func(v *version) {
		v.Keys, v.KeySigners, v.Signers = nil, nil, nil
		for _, k := range s.r.keys {
			if !k.stays() || !k.usable() {
				continue
			}
			v.Keys = with(v.Keys, k.ID)
			if k.Role&KSK != 0 {
				v.KeySigners = with(v.KeySigners, k.ID)
			}
			if k.Role&ZSK != 0 && !k.Standby {
				v.Signers = with(v.Signers, k.ID)
			}
		}
	})
}

// leave takes away what k still has, in the order that the rest of the zone allows.
func (s *stepper) leave(k *Key) bool {
	if !k.own() {
		return s.leaveForeign(k)
	}
	return s.stopSigning(k) || s.dropDS(k) || s.unpublish(k)
}

func (s *stepper) leaveForeign(k *Key) bool {
	if k.Until.IsZero() { // the NS set, here and at the parent, and what was learnt by it
		ns := max(s.zoneTTL(), s.parentTTL())
		k.Until = k.Retired.Add(ns + max(s.zoneTTL(), s.r.providerTTL(k.Foreign)) + s.p.RetireSafety)
	}
	return reached(k.Until, s.now) && s.try(func(v *version) { v.Keys, v.DS = without(v.Keys, k.ID), without(v.DS, k.ID) })
}

func (s *stepper) stopSigning(k *Key) bool {
	if !slices.Contains(s.next.Signers, k.ID) {
		return false
	}
	rest := without(s.next.Signers, k.ID)
	if len(rest) == 0 && !s.goesUnsigned() || len(rest) > 0 && !s.r.haveUsable(rest) {
		return false
	}
	return s.try(func(v *version) { v.Signers = rest })
}

// dropDS asks the parent to remove k's DS. One DS is left, unless the zone goes unsigned or no other way leads on.
func (s *stepper) dropDS(k *Key) bool {
	rest := without(s.next.DS, k.ID)
	mayBeLast := s.goesUnsigned() || s.r.isStuck() && !s.vacant
	if len(rest) == len(s.next.DS) || len(rest) == 0 && !mayBeLast {
		return false
	}
	// Another key's DS is in all caches before this one goes, unless the parent exchanges one for the other (askDS).
	if !mayBeLast && !s.hasOtherDS(k) {
		return false
	}
	return s.try(func(v *version) { v.DS = rest })
}

func (s *stepper) hasOtherDS(k *Key) bool {
	return slices.ContainsFunc(s.r.keys, func(o *Key) bool {
		return o != k && o.stays() && o.own() && slices.Contains(s.next.DS, o.ID) && o.Records[DS].State == Omnipresent
	})
}

// isStuck: a key is lost that signs the zone and none can stand in, or that signs the DNSKEY set and none of its algorithm is
// to follow. Only a zone without DS can go on.
func (r *Ring) isStuck() bool {
	cur := r.current()
	if !r.haveUsable(cur.Signers) {
		return true
	}
	return slices.ContainsFunc(r.algorithms(cur.KeySigners), func(a uint8) bool {
		ofKind := func(id string) bool { k := r.key(id); return k.Algorithm == a && k.usable() }
		follows := func(k *Key) bool { return k.Algorithm == a && k.usable() && k.stays() && k.Role&KSK != 0 }
		return !slices.ContainsFunc(cur.KeySigners, ofKind) && !slices.ContainsFunc(r.keys, follows)
	})
}

// unpublish takes k out of the DNSKEY set; the last keys of an algorithm go together.
func (s *stepper) unpublish(k *Key) bool {
	if !slices.Contains(s.next.Keys, k.ID) {
		return false
	}
	var going []string
	kept := false
	for _, id := range s.next.Keys {
		switch o := s.r.key(id); {
		case !o.own() || o.Algorithm != k.Algorithm:
		case o.stays():
			kept = true
		default:
			going = append(going, id)
		}
	}
	if kept {
		if slices.Contains(s.next.Signers, k.ID) {
			return false
		}
		going = []string{k.ID}
	}
	if len(going) == len(s.next.Keys) && !s.goesUnsigned() {
		return false
	}
	// A DS whose key is gone is harmless only as long as others stay: its own goes first.
	ds := s.r.dsAfter(s.next)
	if slices.ContainsFunc(going, func(id string) bool { return ds[id] != Hidden }) {
		return false
	}
	return s.try(func(v *version) { v.Keys, v.KeySigners = without(v.Keys, going...), without(v.KeySigners, going...) })
}

// goesUnsigned reports whether the zone is to be unsigned, and may begin to.
func (s *stepper) goesUnsigned() bool {
	return (s.r.unsigned || s.p.Unsigned) && !s.mayHaveDS()
}

// mayHaveDS: the parent may have a DS that nobody here asked for, brought there by hand. All its servers are looked at before
// the first step to an unsigned zone is taken, or somebody says that there is none.
func (s *stepper) mayHaveDS() bool {
	f := &s.f.Parent
	if !f.Watched || s.p.Parent == ByHand || !f.At.IsZero() && f.Answered > 0 && f.Answered == f.Asked {
		return false
	}
	return slices.ContainsFunc(s.r.keys, func(k *Key) bool {
		return k.own() && k.stays() && k.Role&KSK != 0 && k.Records[DNSKEY].State != Hidden && !k.Parent.IsDenied
	})
}
