package signer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/signer/keys"
	"onoma/signer/keystore"
	"onoma/zone"
	"onoma/zone/sign"
)

// How soon a zone is looked at again.
const (
	soon      = time.Second      // while others are expected to follow
	leaseTime = 10 * time.Second // that another server tends
	retry     = 5 * time.Second  // after a failure, twice as long after each further one
	mostRetry = 5 * time.Minute
)

// mostRounds is how many keys a zone may need at once.
const mostRounds = 16

// tend does what is due for a zone, and returns when to come again.
func (z *Zone) tend(ctx context.Context) time.Time {
	z.busy.Lock()
	defer z.busy.Unlock()
	now, off := z.k.o.Clock.Now()
	if z.isIdle() {
		return time.Time{}
	}
	if !z.isTurn(ctx) {
		return z.watch(ctx, now)
	}
	z.alarm("clock", now, offText(off))
	z.noticeAway(now)
	err := z.refresh(ctx)
	more := true
	for try := 0; more && err == nil && try < mostRounds; try++ {
		now, _ = z.k.o.Clock.Now() // what was done before may have taken long
		if err = z.advance(ctx, now); err == nil {
			more, err = z.act(ctx)
		}
	}
	now, _ = z.k.o.Clock.Now()
	z.tellParent()
	z.alarmAway(now)
	z.guard(now)
	z.making.Lock()
	kept := z.save(context.WithoutCancel(ctx))
	z.making.Unlock()
	if errors.Is(kept, errElsewhere) || more && err == nil && kept == nil {
		return now.Add(soon)
	}
	err = errors.Join(err, kept)
	return z.ended(ctx, now, err)
}

// isIdle reports whether there is nothing to sign: its authors do, or there is no content yet of which to know whether they
// do.
func (z *Zone) isIdle() bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.isPassive || z.settings.Auto && z.saved.all == nil && z.latest() == nil
}

// ended takes notice of what came of tending.
func (z *Zone) ended(ctx context.Context, now time.Time, err error) time.Time {
	z.mu.Lock()
	z.problem = err
	if err == nil {
		z.failures = 0
	} else {
		z.failures++
	}
	failures := z.failures
	z.mu.Unlock()
	if err == nil {
		z.alarm("failure", now, "")
		return z.wakesAt(now)
	}
	if ctx.Err() == nil {
		z.alarm("failure", now, fmt.Sprintf("the zone could not be tended, what is served stays: %v", err))
	}
	return now.Add(min(retry<<min(failures-1, 10), mostRetry))
}

// begin makes the keys and the plan of a zone that has none yet.
func (z *Zone) begin(ctx context.Context) error {
	now, _ := z.k.o.Clock.Now()
	return z.advance(ctx, now)
}

// latest returns the zone's newest version, nil where there is none.
func (z *Zone) latest() *zone.Version {
	if served := z.k.o.Zone(z.id); served != nil {
		return served.Latest()
	}
	return nil
}

// advance has the ring go as far as now allows, has the keys made that it needs, and makes the plan of what it wants. What the
// ring has come to is on the disk before there is such a plan.
func (z *Zone) advance(ctx context.Context, now time.Time) error {
	z.making.Lock()
	defer z.making.Unlock()
	head := z.latest()
	z.findLost(ctx, now)
	for range mostRounds {
		facts := z.facts(head, now)
		z.mu.Lock()
		events := z.st.Ring.Step(now, &z.settings.Policy, facts)
		if z.st.WasTTL <= facts.MaxTTL {
			z.st.WasTTL = 0 // the ring knows
		}
		wanted := z.st.Ring.Wanted(now, &z.settings.Policy)
		z.mu.Unlock()
		z.endAlarms(events, now)
		again, err := z.follow(ctx, events, now)
		if err != nil {
			return err
		}
		if again {
			continue
		}
		plan, err := z.build(ctx, &wanted, head, z.time())
		var lost *lostError
		if errors.As(err, &lost) && errors.Is(err, keystore.ErrLost) {
			z.mu.Lock()
			err = z.st.Ring.Lose(lost.id)
			z.mu.Unlock()
			if err != nil {
				return err
			}
			z.alarm(lostAlarm+lost.id, now, lost.Error())
			continue
		}
		if err != nil {
			return err
		}
		err = z.save(ctx)
		if errors.Is(err, errElsewhere) {
			if err = z.reread(ctx, head); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		z.mu.Lock()
		z.plan, z.wanted = plan, wanted
		z.mu.Unlock()
		return nil
	}
	return fmt.Errorf("the keys of %s do not come to rest", z.id)
}

// findLost looks whether private keys are back that were gone.
func (z *Zone) findLost(ctx context.Context, now time.Time) {
	z.mu.Lock()
	ring := z.st.Ring
	all := ring.Keys()
	z.mu.Unlock()
	for i := range all {
		if !all[i].Lost || !all[i].Removed.IsZero() {
			continue
		}
		if _, err := z.k.o.Store.Load(ctx, all[i].ID); err == nil {
			z.mu.Lock()
			err = ring.Found(all[i].ID)
			z.mu.Unlock()
			if err == nil {
				z.alarm(lostAlarm+all[i].ID, now, "")
			}
		}
	}
}

// follow does what events ask for, and tells of the others. It reports whether the ring knows more now.
func (z *Zone) follow(ctx context.Context, events []keys.Event, now time.Time) (again bool, err error) {
	for i := range events {
		e := &events[i]
		switch e.What {
		case keys.NeedKey:
			err := z.generate(ctx, e, now)
			if errors.Is(err, errAway) {
				z.k.o.Log.Debug("a key-signing key is waited for", "zone", z.id.String(), "reason", err)
				continue
			}
			if err != nil {
				return again, err
			}
			again = true
		case keys.Purge:
			if !isAway(e.Key) {
				if err := z.k.o.Store.Remove(ctx, e.Key); err != nil && !errors.Is(err, keystore.ErrLost) {
					return again, err
				}
			}
			z.mu.Lock()
			err := z.st.Ring.Forget(e.Key)
			z.mu.Unlock()
			if err != nil {
				return again, err
			}
		case keys.Alarm:
			z.alarm(ringAlarm+e.Key, now, e.Text)
		case keys.Goal, keys.Phase:
			z.k.o.Log.Info("key of a zone", "zone", z.id.String(), "key", e.Key, "tag", e.Tag, "what", e.Text)
		}
	}
	return again, nil
}

// generate makes a key that the ring needs.
func (z *Zone) generate(ctx context.Context, e *keys.Event, now time.Time) error {
	flags := uint16(dns.DNSKEYZone)
	if e.Role&keys.KSK != 0 {
		flags |= dns.DNSKEYSEP
	}
	z.mu.Lock()
	token, away := z.settings.Token, z.settings.Offline
	z.mu.Unlock()
	if away != nil && e.Role == keys.KSK {
		return z.adoptAway(away, e, now)
	}
	make := z.k.o.Store.Generate
	if maker, ok := z.k.o.Store.(tokenStore); ok && token != "" {
		make = func(ctx context.Context, name dns.Name, algorithm uint8, bits int, flags uint16) (string, *dnssec.Key, error) {
			return maker.GenerateIn(ctx, token, name, algorithm, bits, flags)
		}
	}
	id, k, err := make(ctx, z.id.Name, e.Algorithm, e.Bits, flags)
	if err != nil {
		return err
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.st.Ring.AddKey(*e, id, k.DNSKEY(), now)
}

// act brings the zone one step closer to the plan: what stands at the apex, and then signatures that are missing, due or of
// keys that sign no more. It reports whether there is more to do at once.
func (z *Zone) act(ctx context.Context) (more bool, err error) {
	now := z.time()
	head := z.latest()
	z.mu.Lock()
	plan, wanted, st, awaits := z.plan, z.wanted, z.st, z.awaits
	z.mu.Unlock()
	if head == nil || wanted.ZoneFrozen != "" {
		return false, nil
	}
	if st.Served.Generation != wanted.Generation && awaits == "" || !stands(head, plan) {
		if err := z.submit(ctx, nil, "keys"); err != nil {
			return false, err
		}
		if head = z.latest(); head == nil || !apexIs(head, plan) {
			return false, nil // another node's change came in between, or the zone is gone
		}
		z.mu.Lock()
		if z.st.Served.Generation != wanted.Generation && awaits == "" {
			z.st.Served = served{Generation: wanted.Generation, Serial: head.Serial()}
		}
		z.mu.Unlock()
	}
	if plan.Denial.Kind == sign.None {
		z.mu.Lock()
		if awaits == "" {
			z.st.Whole = z.st.Served
		}
		z.st.Next, z.st.First = time.Time{}, time.Time{}
		z.mu.Unlock()
	} else if st.Whole.Generation != wanted.Generation && awaits == "" || reached(st.Next, now) || z.isBehind() || !hasKeySigs(head, plan) {
		if more, err = z.renew(ctx, plan, &wanted, head, now); err != nil {
			return false, err
		}
	}
	return z.settle(z.time()) || more, nil
}

// renew has signatures made anew.
func (z *Zone) renew(ctx context.Context, plan *sign.Plan, wanted *keys.Wanted, head *zone.Version, now time.Time) (more bool, err error) {
	most := max(leastDue, head.Stats().Records/shareDue)
	if z.isBehind() {
		plan, now = z.timed(plan)
	}
	found := plan.Survey(ctx, head, now, most)
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if len(found.Due) > 0 {
		if err := z.submit(ctx, found.Due, "signatures"); err != nil {
			return false, err
		}
		return true, nil
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.st.Next, z.st.First = found.Next, found.Earliest
	if !z.st.Next.IsZero() {
		z.st.Next = z.st.Next.Add(together(plan))
	}
	if len(plan.KeySigs) > 0 && reached(z.st.Next, now) {
		z.st.Next = now.Add(mostRetry) // who has made them makes others
	}
	if z.st.Whole.Generation != wanted.Generation && found.IsComplete && z.awaits == "" {
		z.st.Whole = served{Generation: wanted.Generation, Serial: head.Serial()}
	}
	return false, nil
}

// One version renews so many signatures at least, and a share of a large zone, so that it is not walked too often.
const (
	leastDue = 2000
	shareDue = 32
)

// together is how much later than they could be signatures are made anew, so that one version has several.
func together(plan *sign.Plan) time.Duration { return min(time.Hour, plan.Refresh/20) }

// settle takes notice of what all servers of the zone have by now, and reports whether that is more than before.
func (z *Zone) settle(now time.Time) bool {
	serial, ok := uint32(0), true
	if z.k.o.InSync != nil {
		serial, ok = z.k.o.InSync(z.id)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	changed := false
	for _, s := range []*served{&z.st.Served, &z.st.Whole} {
		isThere := ok && (z.k.o.InSync == nil || !zone.IsNewer(s.Serial, serial))
		if s.Generation != 0 && s.Since.IsZero() && isThere {
			s.Since, changed = now, true
		}
	}
	return changed
}

// submit has the zone signed by the plan, and due signed anew.
func (z *Zone) submit(ctx context.Context, due []sign.Due, what string) error {
	z.mu.Lock()
	z.due = due
	z.mu.Unlock()
	_, err := z.k.o.Submit(ctx, zone.Change{
		Zone: z.id, By: zone.Author{Door: zone.DoorSigner, Name: "signer", Comment: what},
		Edit: func(*zone.Editor) error { return nil },
	})
	z.mu.Lock()
	z.due = nil
	z.mu.Unlock()
	return err
}

// facts is what is known of the zone as it is served.
func (z *Zone) facts(head *zone.Version, now time.Time) keys.Facts {
	z.mu.Lock()
	defer z.mu.Unlock()
	f := keys.Facts{Generation: z.st.Served.Generation, InSync: z.st.Served.Since, Fresh: z.st.Fresh, DNSKEYTTL: z.settings.Policy.DNSKEYTTL}
	if z.st.Whole.Generation == z.st.Served.Generation {
		f.Signed = z.st.Whole.Since
	}
	if z.k.o.Parents != nil {
		f.Parent = z.k.o.Parents.Seen(z.id)
		f.Parent.Watched = true
	}
	if head == nil {
		return f
	}
	if set, ok := head.Apex().RRset(dns.TypeDNSKEY); ok {
		f.DNSKEYTTL = max(f.DNSKEYTTL, seconds(set.TTL()))
	}
	soa := head.SOA()
	f.NegativeTTL = min(seconds(soa.TTL()), seconds(dns.SOAMinimum(soa.First())))
	f.MaxTTL = max(z.maxTTL(head), z.st.WasTTL)
	return f
}

// maxTTL returns the longest TTL of head. The caller holds z.mu.
func (z *Zone) maxTTL(head *zone.Version) time.Duration {
	if z.ttl.version == head.ID() {
		return z.ttl.most
	}
	z.ttl.version, z.ttl.most = head.ID(), seconds(mostTTL(head.Nodes()))
	return z.ttl.most
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

func reached(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// tellParent says what the parent should have.
func (z *Zone) tellParent() {
	if z.k.o.Parents == nil {
		return
	}
	z.mu.Lock()
	w := Wish{
		DS: z.wanted.DS, CDS: z.wanted.CDS, Known: z.wanted.DNSKEYs, IsTold: len(z.wanted.CDS) > 0 && !z.st.Served.Since.IsZero(),
		IsSigned: z.wanted.Denial.Kind != keys.NoDenial, WasThere: z.wasThere,
	}
	for _, k := range z.wanted.DNSKEYs {
		if slices.ContainsFunc(w.DS, func(d dns.DS) bool { return dnssec.MatchDS(z.id.Name, k, d) }) {
			w.Keys = append(w.Keys, k)
		}
	}
	z.mu.Unlock()
	z.k.o.Parents.Want(z.id, w)
}

// wakesAt returns when a zone is to be tended next.
func (z *Zone) wakesAt(now time.Time) time.Time {
	z.mu.Lock()
	defer z.mu.Unlock()
	var at time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if z.isPassive || z.latest() == nil && z.plan != nil {
		return time.Time{} // until there is content
	}
	sooner(z.st.Ring.Next())
	sooner(z.st.Next)
	if !z.st.First.IsZero() {
		sooner(z.st.First.Add(-expiryMargin))
	}
	if away := z.settings.Offline; away != nil {
		sooner(away.Next(now))
	}
	switch {
	case z.awaits != "":
	case z.st.Served.Generation == 0:
		sooner(now)
	case z.st.Served.Since.IsZero() || z.st.Whole.Since.IsZero():
		sooner(now.Add(soon)) // for the secondaries
	}
	if !at.IsZero() && !at.After(now) {
		at = now.Add(soon) // what should have happened waits for something else
		if z.awaits != "" {
			at = now.Add(mostRetry)
		}
	}
	return at
}
