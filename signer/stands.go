package signer

import (
	"bytes"
	"iter"
	"slices"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/signer/keys"
	"onoma/zone"
	"onoma/zone/sign"
)

// stands reports whether v is as the plan says, but for signatures.
func stands(v *zone.Version, plan *sign.Plan) bool {
	return apexIs(v, plan) && denies(v, plan) && digests(v, plan)
}

// apexIs reports whether the sets of keys at the apex of v are those of the plan.
func apexIs(v *zone.Version, plan *sign.Plan) bool {
	for _, t := range []dns.Type{dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY} {
		set, _ := v.Apex().RRset(t)
		n := 0
		for i := range plan.Apex {
			r := &plan.Apex[i]
			if r.Type != t {
				continue
			}
			n++
			isThere := func(data []byte) bool { return bytes.Equal(data, r.Data) }
			if set.TTL() != r.TTL || !slices.ContainsFunc(slices.Collect(set.RData()), isThere) {
				return false
			}
		}
		if set.Count() != n {
			return false
		}
	}
	return true
}

// denies reports whether v denies existence as the plan says.
func denies(v *zone.Version, plan *sign.Plan) bool {
	d := &plan.Denial
	switch v.Denial() {
	case zone.DenialNSEC:
		return d.Kind == sign.NSEC
	case zone.DenialNSEC3:
		p, ok := v.NSEC3Params()
		return d.Kind == sign.NSEC3 && ok && p.Iterations == d.Iterations && string(p.Salt) == string(d.Salt) && leavesOut(v) == d.OptOut
	}
	return d.Kind == sign.None || d.Kind == sign.Compact
}

// leavesOut reports whether the chain of NSEC3 leaves out delegations that are not signed.
func leavesOut(v *zone.Version) bool {
	for n := range v.NSEC3Owners() {
		set, _ := n.RRset(dns.TypeNSEC3)
		return !set.IsZero() && set.First()[1]&dns.NSEC3OptOut != 0
	}
	return false
}

// digests reports whether v has the digests that the plan keeps. One that is not wanted any more goes with the next change.
func digests(v *zone.Version, plan *sign.Plan) bool {
	set, _ := v.Apex().RRset(dns.TypeZONEMD)
	return !slices.ContainsFunc(plan.ZONEMD, func(algorithm uint8) bool {
		for data := range set.RData() {
			if z, err := dnssec.ParseZONEMD(data); err == nil && z.Algorithm == algorithm {
				return false
			}
		}
		return true
	})
}

// time returns the time, but none before the last step of the ring: a machine may start without knowing the year.
func (z *Zone) time() time.Time {
	now, _ := z.k.o.Clock.Now()
	z.mu.Lock()
	defer z.mu.Unlock()
	if last := z.st.Ring.Last(); now.Before(last) {
		return last
	}
	return now
}

// isBehind reports whether the clock says less than it did, and goes on doing so: then it may have been ahead, and what was signed
// not be good yet.
func (z *Zone) isBehind() bool {
	now, _ := z.k.o.Clock.Now()
	return z.k.o.Clock.isSettled() && z.time().After(now)
}

// timed returns the time to sign at, and the plan. Where the clock says less than it did at the last step of the ring, it is
// not known when it was right: what is signed is good then and now.
func (z *Zone) timed(plan *sign.Plan) (*sign.Plan, time.Time) {
	now, _ := z.k.o.Clock.Now()
	at := z.time()
	if back := at.Sub(now); back > 0 {
		both := *plan
		both.Doubt = back
		plan = &both
	}
	return plan, at
}

// noteTTL takes notice of the TTLs of what has been signed. What is refused after all counts, too: that is on the safe side.
func (z *Zone) noteTTL(most uint32) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.st.WasTTL = max(z.st.WasTTL, seconds(most))
}

func mostTTL(nodes iter.Seq[zone.Node]) (most uint32) {
	for n := range nodes {
		for set := range n.RRsets() {
			most = max(most, set.TTL())
		}
	}
	return most
}

// come yields what an edit of head has made.
func come(head *zone.Version, e *zone.Editor) iter.Seq[zone.Node] {
	return func(yield func(zone.Node) bool) {
		for _, n := range zone.Changed(head, e.View()) {
			if !yield(n) {
				return
			}
		}
	}
}

// ringAlarm is how alarms begin that events of the ring give, and that no event ends.
const ringAlarm = "ring "

// lostAlarm is how alarms begin about private keys that are lost.
const lostAlarm = "lost "

// endAlarms ends what the ring has given alarm of, and that is well again.
func (z *Zone) endAlarms(events []keys.Event, now time.Time) {
	var over []string
	z.mu.Lock()
	for _, a := range z.alarms {
		if lost, isLost := strings.CutPrefix(a.what, lostAlarm); isLost {
			if k, ok := z.st.Ring.Key(lost); !ok || !k.Removed.IsZero() { // nobody needs it any more
				over = append(over, a.what)
			}
			continue
		}
		id, isRing := strings.CutPrefix(a.what, ringAlarm)
		if !isRing || slices.ContainsFunc(events, func(e keys.Event) bool { return e.What == keys.Alarm && e.Key == id }) {
			continue
		}
		if k, ok := z.st.Ring.Key(id); !ok || !k.Parent.Wanted || !k.Parent.Everyone.IsZero() {
			over = append(over, a.what)
		}
	}
	z.mu.Unlock()
	for _, what := range over {
		z.alarm(what, now, "")
	}
}
