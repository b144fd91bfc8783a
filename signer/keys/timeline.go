package keys

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// maxPrediction bounds the steps that are looked ahead.
const maxPrediction = 10_000

// future is the world as it is expected to be: servers follow after Facts.Propagation, everything is signed after
// Facts.Signing, the parent does its part after Parent.Delay.
type future struct {
	r       *Ring
	p       *Policy
	f       Facts
	planned int

	synced, signed time.Time // when the generation that is wanted will be, or was
	ds             []dns.DS  // at the parent
	dsAt           time.Time // when the parent will have what is asked for
	events         []Event
}

// Timeline returns what will happen until a time if all do their part: the steps that Step will take, at the times that it will take them.
func (r *Ring) Timeline(now time.Time, p *Policy, f Facts, until time.Time) []Event {
	w := &future{r: r.Clone(), p: p, f: f}
	for _, d := range f.Parent.DS {
		w.ds = append(w.ds, d.DS)
	}
	if p.Parent == ByHand || f.Parent.At.IsZero() {
		w.ds = w.knownDS()
	}
	w.expect(f.Generation, f.InSync, f.Signed, now)
	for range maxPrediction {
		why, from := w.ending(now), len(w.events)
		w.step(now)
		if from < len(w.events) {
			w.events[from].Why = why
		}
		t := w.after(now)
		if t.IsZero() || t.After(until) {
			break
		}
		now = t
	}
	return w.events
}

// knownDS returns the DS of the keys of which somebody said that the parent has it.
func (w *future) knownDS() (out []dns.DS) {
	for _, k := range w.r.keys {
		if k.Parent.Servers > 0 || !k.Parent.Everyone.IsZero() {
			out = append(out, w.r.dsOf(k, w.p)...)
		}
	}
	return out
}

// ending returns what was waited for until now.
func (w *future) ending(now time.Time) (why []string) {
	for _, x := range w.r.waits {
		if x.Until.Equal(now) {
			why = append(why, x.Text)
		}
	}
	return why
}

// others tells that the parent, or who brings it the DS, is expected to have done its part.
func (w *future) others(now time.Time) Event {
	var of []string
	for _, id := range w.r.current().DS {
		of = append(of, w.r.key(id).label())
	}
	text, hand := "all servers of the parent have the DS of "+strings.Join(of, " and "), "brings it there"
	if len(of) == 0 {
		text, hand = "no server of the parent has a DS any more", "removes it there"
	}
	if w.p.Parent == ByHand {
		text += ", if somebody " + hand + " and says so"
	} else {
		text += ", if it does its part"
	}
	return Event{At: now, What: Others, Text: text}
}

// expect sets when the wanted generation is everywhere.
func (w *future) expect(generation uint64, synced, signed, now time.Time) {
	if generation != w.r.current().Generation {
		synced, signed = time.Time{}, time.Time{}
	}
	w.synced, w.signed = synced, signed
	if w.synced.IsZero() {
		w.synced = now.Add(w.f.Propagation)
	}
	if w.signed.IsZero() {
		w.signed = later(w.synced, now.Add(w.f.Signing+w.f.Propagation))
	}
	w.expectParent()
}

func (w *future) expectParent() {
	delay := w.f.Parent.Delay
	if delay == 0 {
		delay = w.p.ParentDelay
	}
	w.dsAt = time.Time{}
	if !sameDS(w.ds, w.r.wantedDS(w.p)) {
		w.dsAt = w.synced.Add(delay)
	}
}

// step takes all steps that are due at now.
func (w *future) step(now time.Time) {
	if reached(w.dsAt, now) {
		w.events = append(w.events, w.others(now))
		w.ds, w.dsAt = w.r.wantedDS(w.p), time.Time{}
	}
	for {
		before := w.r.current().Generation
		f := w.facts(now)
		w.sayByHand(now)
		again := false
		for _, e := range w.r.Step(now, w.p, f) {
			if e.What == Purge {
				w.r.Forget(e.Key)
			}
			w.events = append(w.events, e)
			if e.What == NeedKey {
				w.plan(e, now)
				again = true
			}
		}
		if w.r.current().Generation != before {
			w.expect(before, time.Time{}, time.Time{}, now)
			again = true
		}
		if !again {
			return
		}
	}
}

func (w *future) facts(now time.Time) Facts {
	f := w.f
	f.Generation, f.InSync, f.Signed = w.r.current().Generation, time.Time{}, time.Time{}
	if reached(w.synced, now) {
		f.InSync = w.synced
	}
	if reached(w.signed, now) {
		f.Signed = w.signed
	}
	f.Parent = Parent{}
	if w.p.Parent == Checked {
		f.Parent = w.f.Parent
		f.Parent.At, f.Parent.DS = now, nil
		f.Parent.Asked = max(1, f.Parent.Asked)
		f.Parent.Answered = f.Parent.Asked
		for _, d := range w.ds {
			f.Parent.DS = append(f.Parent.DS, SeenDS{DS: d, Servers: f.Parent.Asked})
		}
		if f.Parent.TTL == 0 && f.Parent.NegativeTTL == 0 {
			f.Parent.TTL = w.p.ParentTTL
		}
	}
	return f
}

// sayByHand does what people are expected to do.
func (w *future) sayByHand(now time.Time) {
	if w.p.Parent != ByHand {
		return
	}
	for _, k := range w.r.keys {
		has := false
		for _, d := range w.ds {
			has = has || dnssec.MatchDS(w.r.zone, k.DNSKEY(), d)
		}
		switch {
		case k.Role&KSK == 0:
		case has && k.Parent.Everyone.IsZero():
			w.r.DSSeen(k.ID, now)
		case !has && k.Parent.Nobody.IsZero() && !k.Parent.Wanted:
			w.r.DSGone(k.ID, now)
		}
	}
}

// after returns the next time at which something happens.
func (w *future) after(now time.Time) (next time.Time) {
	for _, t := range []time.Time{w.r.Next(), w.synced, w.signed, w.dsAt} {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

// plan adds a key that does not exist yet.
func (w *future) plan(need Event, now time.Time) {
	w.planned++
	key := dns.DNSKEY{Flags: dns.DNSKEYZone, Protocol: 3, Algorithm: need.Algorithm}
	if need.Role&KSK != 0 {
		key.Flags |= dns.DNSKEYSEP
	}
	for n := uint32(0); ; n++ {
		key.PublicKey = binary.BigEndian.AppendUint32(make([]byte, 60), n)
		id := fmt.Sprintf("planned-%d", w.planned)
		if w.r.AddKey(need, id, key, now) == nil {
			w.r.key(id).planned = w.planned
			return
		}
	}
}

// wantedDS returns what the parent should have.
func (r *Ring) wantedDS(p *Policy) (out []dns.DS) {
	for _, id := range r.current().DS {
		out = append(out, r.dsOf(r.key(id), p)...)
	}
	return out
}

func sameDS(a, b []dns.DS) bool {
	text := func(in []dns.DS) (out []string) {
		for _, d := range in {
			out = append(out, string(d.RData()))
		}
		return out
	}
	return sameSet(text(a), text(b))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
