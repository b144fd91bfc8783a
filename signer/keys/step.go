package keys

import (
	"slices"
	"time"
)

// slack is how much the clock may go back without anybody being told.
const slack = time.Minute

// stepper is one Step at work.
type stepper struct {
	r      *Ring
	now    time.Time
	p      *Policy
	f      *Facts
	next   *version
	events []Event
	vacant bool // a key is still to be made
}

// Step goes as far as now, the policy and the facts allow, and tells what it did. The caller answers each NeedKey by AddKey and
// steps again, persists the ring, and then sees to it that the zone becomes what Wanted says.
func (r *Ring) Step(now time.Time, p *Policy, f Facts) []Event {
	s := &stepper{r: r, now: now, p: p, f: &f}
	if now.Before(r.last.Add(-slack)) {
		return s.clockWentBack()
	}
	if now.Before(r.last) {
		s.now = r.last
	}
	r.last = s.now
	s.observeZone()
	s.observeParent()
	s.derive()
	s.setGoals()
	s.next = r.current().clone()
	for s.move() {
	}
	s.commit()
	s.derive()
	r.prune(s.now)
	s.explain()
	return s.events
}

// clockWentBack: what was waited for may have been too short or not; nothing goes on until the time of the last step is reached again.
func (s *stepper) clockWentBack() []Event {
	text := "the clock says " + stamp(s.now) + ", but the last step was at " + stamp(s.r.last) +
		": nothing goes on before that time. If the clock is right now, say so with \"onoma ctl clock accept\": every wait begins anew then"
	s.r.waits = []Wait{{Until: s.r.last, Text: text, Alarm: true}}
	s.r.next = s.r.last
	return []Event{{At: s.now, What: Alarm, Text: text}}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// observeZone takes in what the zone's servers have.
func (s *stepper) observeZone() {
	cur, first := s.r.current(), s.r.versions[0]
	if cur.isBefore() {
		cur.Fresh = s.f.Fresh
	}
	if !cur.Fresh {
		cur.KeyTTL = max(cur.KeyTTL, s.keyTTL(cur))
		cur.ZoneTTL = max(cur.ZoneTTL, s.zoneTTL())
	}
	// A zone may get its keys before its content: what caches may have from elsewhere lives as long as the content says.
	if first.isBefore() && !first.Fresh && first.KeysOut.IsZero() {
		first.KeyTTL = max(first.KeyTTL, s.keyTTL(first))
		first.ZoneTTL = max(first.ZoneTTL, s.zoneTTL())
	}
	before := s.r.versions[:len(s.r.versions)-1]
	for _, v := range before { // what was on its way when the next one was made was made by them
		if v.KeysOut.IsZero() && v.KeyTTL > 0 && len(v.Keys) > 0 {
			v.KeyTTL = max(v.KeyTTL, s.keyTTL(v))
		}
		if v.SignersOut.IsZero() && v.ZoneTTL > 0 {
			v.ZoneTTL = max(v.ZoneTTL, s.zoneTTL())
		}
	}
	if s.f.Generation != cur.Generation {
		return
	}
	for _, v := range before {
		if v.KeysOut.IsZero() && s.since(s.f.InSync, cur) {
			v.KeysOut = s.f.InSync
		}
		if v.SignersOut.IsZero() && s.since(s.f.Signed, cur) {
			v.SignersOut = s.f.Signed
		}
	}
}

// since says whether a time of the facts can be believed for cur.
func (s *stepper) since(t time.Time, cur *version) bool {
	return !t.IsZero() && !t.Before(cur.Made) && !t.After(s.now)
}

func (s *stepper) keyTTL(v *version) time.Duration {
	if len(v.Keys) == 0 {
		return s.kept(s.f.NegativeTTL)
	}
	return s.kept(max(s.f.DNSKEYTTL, s.p.DNSKEYTTL))
}

func (s *stepper) zoneTTL() time.Duration {
	return s.kept(max(s.f.MaxTTL, s.p.MaxTTL, s.f.NegativeTTL))
}

// mostKept is the longest TTL that caches are taken to mind. RFC 8767 §4 has them keep nothing for longer than days to weeks; a
// slip of the pen in a TTL, of which there can be 136 years, must not end all rollovers.
const mostKept = 30 * 24 * time.Hour

// kept is for how long caches keep a set: what validates, no longer than its signatures are good (RFC 4035 §5.3.3).
func (s *stepper) kept(ttl time.Duration) time.Duration {
	return min(ttl, max(mostKept, s.p.Validity, s.p.KeyValidity, s.p.MaxTTL))
}

// commit makes the next version if anything moved.
func (s *stepper) commit() {
	cur := s.r.current()
	if s.next.same(cur) {
		return
	}
	n := s.next
	n.Generation, n.Made = cur.Generation+1, s.now
	n.KeysOut, n.SignersOut, n.Fresh = time.Time{}, time.Time{}, false
	n.KeyTTL, n.ZoneTTL = s.keyTTL(n), s.zoneTTL()
	cur.supersede(n, s.p, s.r.isUrgent())
	s.r.versions = append(s.r.versions, n)
	for _, k := range s.r.keys {
		s.followVersion(k, n)
	}
}

func (s *stepper) followVersion(k *Key, n *version) {
	if wanted := slices.Contains(n.DS, k.ID); wanted != k.Parent.Wanted {
		k.Parent.Wanted, k.Parent.Changed = wanted, s.now
		if !wanted {
			k.Parent.Nobody = time.Time{}
		}
	}
	signs := slices.Contains(n.Signers, k.ID)
	if k.Role == KSK {
		signs = slices.Contains(n.KeySigners, k.ID)
	}
	if signs && k.Active.IsZero() {
		k.Active = s.now
	}
}

// isUrgent: a key that goes may be in other hands; no safety margins then.
func (r *Ring) isUrgent() bool {
	return slices.ContainsFunc(r.keys, func(k *Key) bool { return k.Urgent && k.Removed.IsZero() })
}

// derive sets each record's state to what follows from the versions that may be cached.
func (s *stepper) derive() {
	cur := s.r.current()
	sets := s.r.keySets(cur, s.now)
	signers := [][]string{cur.Signers}
	for _, v := range s.r.versions {
		if v != cur && !reached(v.signersEnd(), s.now) {
			signers = append(signers, v.Signers)
		}
	}
	var dnskeys, keySigners [][]string
	for _, v := range sets {
		dnskeys, keySigners = append(dnskeys, v.Keys), append(keySigners, v.KeySigners)
	}
	for _, k := range s.r.keys {
		s.set(k, DNSKEY, stateIn(k.ID, dnskeys))
		s.set(k, KRRSIG, stateIn(k.ID, keySigners))
		s.set(k, ZRRSIG, stateIn(k.ID, signers))
		s.set(k, DS, s.parentState(k))
		s.removed(k)
	}
}

// stateIn tells a record's state by the sets that may be cached, the wanted one first.
func stateIn(id string, sets [][]string) State {
	n := 0
	for _, set := range sets {
		if slices.Contains(set, id) {
			n++
		}
	}
	switch {
	case n == len(sets):
		return Omnipresent
	case slices.Contains(sets[0], id):
		return Rumoured
	case n > 0:
		return Unretentive
	}
	return Hidden
}

func (s *stepper) set(k *Key, r Record, to State) {
	from, phase := k.Records[r], k.Phase()
	if from.State == to {
		return
	}
	k.Records[r] = RecordState{State: to, Since: s.now}
	s.tell(k, Event{What: Came, Record: r, From: from.State.String(), To: to.String(), Text: stateText(k, r, to)})
	s.tellPhase(k, phase)
}

func (s *stepper) tellPhase(k *Key, from string) {
	if to := k.Phase(); to != from {
		s.tell(k, Event{What: Phase, From: from, To: to, Text: k.label() + " is " + phaseText[to]})
	}
}

func (s *stepper) tell(k *Key, e Event) {
	e.At, e.Key, e.Tag, e.Role, e.Algorithm = s.now, k.ID, k.Tag, k.Role, k.Algorithm
	s.events = append(s.events, e)
}

// removed notes when nothing of a key is left, and asks for it to be deleted when it was kept long enough.
func (s *stepper) removed(k *Key) {
	for _, rec := range k.Records {
		if rec.State != Hidden {
			k.Removed = time.Time{}
			return
		}
	}
	if k.stays() {
		return
	}
	if k.Removed.IsZero() {
		phase := k.Phase()
		k.Removed = s.now
		s.tellPhase(k, phase)
	}
}
