package keys

import (
	"fmt"
	"slices"
	"time"
)

var phaseText = map[string]string{
	Generated: "made (generated)", Published: "on its way into all caches (published)", Ready: "in all caches, and not in use (ready)",
	Active: "in use (active)", Retired: "replaced, and needed for what is cached (retired)",
	Dead: "not needed any more, and on its way out of all caches (dead)", Gone: "gone (removed)",
}

// stateText tells people what it means that a record of k came to a state.
func stateText(k *Key, r Record, to State) string {
	what := [records]string{
		DNSKEY: "the DNSKEY of " + k.label(), ZRRSIG: "signatures over the zone by " + k.label(),
		KRRSIG: "the signature over the DNSKEY set by " + k.label(), DS: "the DS of " + k.label(),
	}[r]
	if r == DS {
		return what + map[State]string{
			Hidden: " is in no cache any more", Rumoured: " is asked for at the parent",
			Omnipresent: " is known to all caches", Unretentive: " is to go from the parent",
		}[to]
	}
	verb := ": "
	return what + verb + map[State]string{
		Hidden: "in no cache any more", Rumoured: "published from now on",
		Omnipresent: "in all caches", Unretentive: "not published any more",
	}[to]
}

// Explain returns what the ring waits for, and what somebody should look at, as of the last Step.
func (r *Ring) Explain() []Wait { return slices.Clone(r.waits) }

// Next returns when the next Step may do something by the time alone; zero: only new facts or commands lead on.
func (r *Ring) Next() time.Time { return r.next }

// explain finds what is waited for and until when.
func (s *stepper) explain() {
	s.r.waits, s.r.next = nil, time.Time{}
	cur := s.r.current()
	for _, v := range s.r.versions {
		if v == cur {
			continue
		}
		if !v.sameKeys(cur) {
			s.until(v.keysEnd())
		}
		if !sameSet(v.Signers, cur.Signers) {
			s.until(v.signersEnd())
		}
	}
	for _, k := range s.r.keys {
		s.explainKey(k, cur)
	}
	for _, p := range s.r.providers() {
		s.explainProvider(p)
	}
	s.explainAlarms(cur)
}

// until makes t the time of the next step if it is the nearest.
func (s *stepper) until(t time.Time) {
	if t.After(s.now) && (s.r.next.IsZero() || t.Before(s.r.next)) {
		s.r.next = t
	}
}

func (s *stepper) wait(k *Key, until time.Time, format string, args ...any) {
	w := Wait{Until: until, Text: fmt.Sprintf(format, args...)}
	if k != nil {
		w.Key = k.ID
	}
	s.until(until)
	s.r.waits = append(s.r.waits, w)
}

func (s *stepper) alarm(k *Key, format string, args ...any) {
	s.wait(k, time.Time{}, format, args...)
	s.r.waits[len(s.r.waits)-1].Alarm = true
}

func (s *stepper) explainKey(k *Key, cur *version) {
	s.explainSets(k, cur, DNSKEY)
	s.explainSets(k, cur, ZRRSIG)
	s.explainDS(k)
	if k.own() && k.stays() && k.Role&KSK != 0 && !slices.Contains(cur.DS, k.ID) {
		s.wait(k, time.Time{}, "the DS of %s is asked for when all caches can follow it", k.label())
	}
	if k.own() && k.stays() && k.Role&ZSK != 0 && !k.Standby && k.ready() && !s.isElsewhere(k) {
		s.explainElsewhere(k)
	}
	if !k.own() {
		s.explainForeign(k)
	}
	if k.stays() && k.own() && !k.Standby {
		s.until(s.successorDue(k))
	}
	if k.own() && s.p.Purge > 0 {
		s.until(end(k.Removed, s.p.Purge))
	}
}

func (s *stepper) explainElsewhere(k *Key) {
	for _, p := range s.r.providers() {
		if t := s.elsewhere(k, p); !reached(t, s.now) {
			s.wait(k, t, "%s signs when all caches have DNSKEY sets of %s with it", k.label(), p)
		}
	}
}

func (s *stepper) explainForeign(k *Key) {
	if !k.stays() && k.Removed.IsZero() && slices.Contains(s.r.current().Keys, k.ID) {
		s.wait(k, k.Until, "%s of %s goes when nothing that it signed is cached any more", k.label(), k.Foreign)
	}
}

// explainSets tells what a key's record in the zone waits for: servers first, caches then.
func (s *stepper) explainSets(k *Key, cur *version, rec Record) {
	state := k.Records[rec].State
	if state != Rumoured && state != Unretentive {
		return
	}
	of := func(v *version) []string { return v.Keys }
	ends, what := (*version).keysEnd, "DNSKEY"
	if rec == ZRRSIG {
		of, ends, what = func(v *version) []string { return v.Signers }, (*version).signersEnd, "signatures"
	}
	has := slices.Contains(of(cur), k.ID)
	var last time.Time
	for _, v := range s.r.versions {
		if v == cur || slices.Contains(of(v), k.ID) == has || reached(ends(v), s.now) {
			continue
		}
		if ends(v).IsZero() {
			s.wait(k, time.Time{}, "%s: %s wait until %s", k.label(), what, serversText(has, rec))
			return
		}
		if ends(v).After(last) {
			last = ends(v)
		}
	}
	verb := "without"
	if !has {
		verb = "with"
	}
	s.wait(k, last, "%s: caches may have sets %s its %s", k.label(), verb, what)
}

func serversText(has bool, rec Record) string {
	switch {
	case rec == ZRRSIG && has:
		return "the whole zone is signed by it, at all servers"
	case rec == ZRRSIG:
		return "nothing of the zone is signed by it any more, at any server"
	case has:
		return "all servers have it"
	}
	return "no server has it any more"
}

func (s *stepper) explainDS(k *Key) {
	at, asked := &k.Parent, s.r.parent.Asked
	switch state := k.Records[DS].State; {
	case state == Rumoured && !at.Everyone.IsZero():
		s.wait(k, s.dsEverywhere(k), "%s: caches may have a DS set without its DS", k.label())
	case state == Rumoured && s.p.Parent == ByHand && s.r.zone.IsRoot():
		s.wait(k, time.Time{}, "%s: make it a trust anchor of all resolvers that are to trust the zone, and say so by ds-seen", k.label())
	case state == Rumoured && s.p.Parent == ByHand:
		s.wait(k, time.Time{}, "%s: bring its DS to the parent, and say so when all of the parent's servers have it", k.label())
	case state == Rumoured && asked == 0:
		s.wait(k, time.Time{}, "%s: its DS is to come to the parent, which has not answered yet", k.label())
	case state == Rumoured:
		s.wait(k, time.Time{}, "%s: its DS is to come to the parent: %d of %d servers have it", k.label(), at.Servers, asked)
	case state == Unretentive && !at.Nobody.IsZero():
		s.wait(k, s.dsNowhere(k), "%s: caches may have a DS set with its DS", k.label())
	case state == Unretentive && s.p.Parent == ByHand && s.r.zone.IsRoot():
		s.wait(k, time.Time{}, "%s: have all resolvers trust it no more, and say so by ds-gone", k.label())
	case state == Unretentive && s.p.Parent == ByHand:
		s.wait(k, time.Time{}, "%s: have its DS removed from the parent, and say so when none of the parent's servers has it", k.label())
	case state == Unretentive:
		s.wait(k, time.Time{}, "%s: its DS is to go from the parent: %d of %d servers have it", k.label(), at.Servers, asked)
	}
}

// explainAlarms tells what does not go on by itself.
func (s *stepper) explainAlarms(cur *version) {
	for _, k := range s.r.keys {
		switch in := slices.Contains(cur.KeySigners, k.ID); {
		case !k.Lost:
		case s.r.isStuck() && (in || slices.Contains(cur.Signers, k.ID)):
			s.alarm(k, "the private half of %s is lost and no key can take its place: what it signed is frozen as it is. "+
				"Have all its DS removed from the parent before its signatures end; a new key takes over then", k.label())
		case in:
			s.alarm(k, "the private half of %s is lost: the DNSKEY set stays as it is. "+
				"Bring the DS of the new key to the parent before its signature ends; CDS cannot be signed", k.label())
		}
	}
	s.explainAlgorithm()
	if (s.r.unsigned || s.p.Unsigned) && s.mayHaveDS() {
		s.wait(nil, time.Time{}, "the zone goes unsigned as soon as all servers of the parent have said whether they have a DS of it; "+
			"where they cannot be asked, say that there is none (ds-gone)")
	}
	for _, d := range s.r.strange() {
		s.alarm(nil, "the parent has a DS with tag %d and algorithm %d of which there is no key here: validators may find the zone bogus. Have it removed", d.KeyTag, d.Algorithm)
	}
	for _, k := range s.r.keys {
		if k.own() && !k.Parent.Wanted && k.Parent.Servers > 0 && !slices.Contains(cur.Keys, k.ID) {
			s.alarm(k, "the parent has the DS of %s, which is not in the DNSKEY set: have it removed", k.label())
		}
	}
	for _, d := range s.r.dangers(cur, s.now) {
		if len(s.r.dsAfter(cur)) == 0 {
			break
		}
		s.alarm(nil, "the zone may be bogus for some: %s", d)
	}
}
