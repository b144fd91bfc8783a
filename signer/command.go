package signer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"onoma/signer/keys"
	"onoma/zone"
)

// Command does something to a zone's keys by an operator's word. It is given the ring, under which nobody else works
// meanwhile, and returns what it has done, in words.
type Command func(ring *keys.Ring, p *keys.Policy, now time.Time) (string, error)

// Do has a command done, and what follows from it, before it returns. What it has done is on the disk then.
func (k *Keeper) Do(ctx context.Context, id zone.ID, c Command) (string, error) {
	z := k.Zone(id)
	if z == nil {
		return "", fmt.Errorf("zone %s is not signed by this server: %w", id, zone.ErrUnknown)
	}
	text, err := z.do(ctx, c)
	for range mostRounds {
		if !errors.Is(err, errElsewhere) {
			break
		}
		text, err = z.do(ctx, c)
	}
	if err != nil {
		return "", err
	}
	z.mu.Lock()
	z.isAsked = true
	z.mu.Unlock()
	k.schedule(z, z.tend(ctx))
	return text, nil
}

func (z *Zone) do(ctx context.Context, c Command) (string, error) {
	z.making.Lock()
	defer z.making.Unlock()
	if z.k.o.IsShared {
		if err := z.reread(ctx, z.latest()); err != nil {
			return "", err
		}
	}
	now, _ := z.k.o.Clock.Now()
	z.mu.Lock()
	if z.isPassive {
		z.mu.Unlock()
		return "", fmt.Errorf("zone %s comes signed from its authors, and this server has none of its keys", z.id)
	}
	before := z.st.Ring.Clone()
	text, err := c(z.st.Ring, &z.settings.Policy, now)
	z.mu.Unlock()
	if err == nil {
		err = z.save(ctx)
	}
	if err != nil {
		z.mu.Lock()
		z.st.Ring = before // it has not been done
		z.mu.Unlock()
		return "", err
	}
	return text, nil
}

// View is how the signing of a zone stands.
type View struct {
	Policy    keys.Policy
	IsSigned  bool // by this server
	IsPassive bool // by its authors
	Keys      []keys.Key
	Wanted    keys.Wanted
	Waits     []keys.Wait
	Parent    keys.Parent
	Timeline  []keys.Event // what is to come, as far as that can be said
	Alarms    []string

	Served     time.Time // since when all servers have the keys as they are wanted; zero: not all
	Whole      time.Time // and the signatures
	Expires    time.Time // the first signature
	Next       time.Time // when signatures are made anew
	Signatures uint64    // made since the start of the server
	Now        time.Time
}

// View returns how the signing of a zone stands, with what is to come until a time; false where nothing here signs it.
func (k *Keeper) View(id zone.ID, until time.Time) (View, bool) {
	z := k.Zone(id)
	if z == nil {
		return View{}, false
	}
	now, off := k.o.Clock.Now()
	facts := z.facts(z.latest(), now)
	if z.isUnprepared() {
		k.Wake(id) // nobody has looked at its private keys since the start
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	wanted := z.wanted
	if z.plan == nil {
		wanted = z.st.Ring.Wanted(now, &z.settings.Policy)
	}
	v := View{
		Policy: z.settings.Policy, IsPassive: z.isPassive, Keys: z.st.Ring.Keys(), Wanted: wanted, Waits: z.st.Ring.Explain(), Parent: facts.Parent,
		Served: z.st.Served.Since, Whole: z.st.Whole.Since, Expires: z.st.First, Next: z.st.Next, Signatures: z.signed, Now: now,
	}
	v.IsSigned = !v.IsPassive && wanted.Denial.Kind != keys.NoDenial
	for _, a := range z.alarms {
		v.Alarms = append(v.Alarms, a.text)
	}
	if off != 0 && len(v.Alarms) == 0 {
		v.Alarms = append(v.Alarms, offText(off))
	}
	if until.After(now) {
		v.Timeline = z.st.Ring.Timeline(now, &z.settings.Policy, facts, until)
	}
	return v, true
}

// SigningKeys returns the keys that sign the zone's records now, for who signs answers.
func (k *Keeper) SigningKeys(id zone.ID) (ids []string, denial keys.Denial) {
	z := k.Zone(id)
	if z == nil {
		return nil, denial
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.isPassive || z.wanted.ZoneFrozen != "" {
		return nil, denial
	}
	for _, s := range z.wanted.Signers {
		if s.SignsZone {
			ids = append(ids, s.ID)
		}
	}
	return ids, z.wanted.Denial
}

// AcceptClock says that the clock of the machine is right.
func (k *Keeper) AcceptClock() {
	k.o.Clock.Accept()
	now, _ := k.o.Clock.Now()
	for _, id := range k.Zones() {
		z := k.Zone(id)
		if z == nil {
			continue
		}
		z.mu.Lock()
		z.st.Ring.TrustClock(now)
		z.mu.Unlock()
		k.schedule(z, now)
	}
}

// Adopt has a zone that its authors have signed until now, or that is new, signed here with the keys that c imports.
func (k *Keeper) Adopt(ctx context.Context, id zone.ID, c Command) (string, error) {
	z := k.Zone(id)
	if z == nil {
		return "", fmt.Errorf("zone %s is not signed by this server: %w", id, zone.ErrUnknown)
	}
	z.mu.Lock()
	was := z.isPassive
	z.isPassive = false
	z.mu.Unlock()
	text, err := k.Do(ctx, id, c)
	if err != nil {
		z.mu.Lock()
		z.isPassive = was
		z.mu.Unlock()
	}
	return text, err
}
