package signer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/signer/keys"
	"onoma/zone"
)

// Other providers of a zone sign it, too, by keys of their own (RFC 8901). Who asks their servers (package signer/provider)
// brings what they serve here.

// OtherView is what is known of one provider of a zone before its servers are asked.
type OtherView struct {
	Own    []dns.DNSKEY // of this server
	Keys   []dns.DNSKEY // of the provider, those that may sign the DNSKEY set
	Others []dns.DNSKEY // of further providers
	// InSet, CDS and CDNSKEY are what this server has at the apex: of its own keys, and the whole sets.
	InSet   []dns.DNSKEY
	CDS     []dns.DS
	CDNSKEY []dns.DNSKEY
	// IsWaiting: something waits for the provider.
	IsWaiting bool
	DNSKEYTTL time.Duration
}

// Other returns what is known of a provider; false where nothing here signs the zone.
func (k *Keeper) Other(id zone.ID, provider string) (OtherView, bool) {
	z := k.Zone(id)
	if z == nil {
		return OtherView{}, false
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	out := OtherView{DNSKEYTTL: z.settings.Policy.DNSKEYTTL}
	isKnown, isElsewhere := false, true
	if !z.st.Served.Since.IsZero() && z.st.Served.Generation == z.wanted.Generation {
		out.CDS, out.CDNSKEY = z.wanted.CDS, z.wanted.CDNSKEY
	}
	for _, key := range z.st.Ring.Keys() {
		d := key.DNSKEY()
		_, isThere := key.At[provider]
		switch {
		case key.Foreign == "":
			out.Own = append(out.Own, d)
			if slices.ContainsFunc(z.wanted.DNSKEYs, func(w dns.DNSKEY) bool { return string(w.RData()) == string(d.RData()) }) {
				out.InSet = append(out.InSet, d)
			}
			isElsewhere = isElsewhere && (isThere || key.Records[keys.DNSKEY].State == keys.Hidden)
		case key.Foreign != provider:
			out.Others = append(out.Others, d)
		case key.Goal == keys.Omnipresent:
			isKnown = true
			if d.IsSEP() {
				out.Keys = append(out.Keys, d)
			}
		}
	}
	out.IsWaiting = !isKnown || !isElsewhere
	return out, !z.isPassive
}

// See takes in what the servers of a provider are proven to serve, and what follows from it, before it returns.
func (k *Keeper) See(ctx context.Context, id zone.ID, provider string, seen keys.Seen) error {
	var left error // what was left out
	err := k.learn(ctx, id, func(ring *keys.Ring, now time.Time) (news []string) {
		news, left = ring.See(provider, seen, now)
		return news
	})
	return errors.Join(err, left)
}

// Leave has the keys of all providers go that were seen by See and are none of those given: their name servers are in no NS set
// any more.
func (k *Keeper) Leave(ctx context.Context, id zone.ID, stay []string) error {
	if !slices.ContainsFunc(k.Others(id), func(name string) bool { return !slices.Contains(stay, name) }) {
		return nil
	}
	return k.learn(ctx, id, func(ring *keys.Ring, now time.Time) (news []string) {
		for _, name := range ring.Providers() {
			if !slices.Contains(stay, name) && ring.RemoveForeign(name, now) == nil {
				news = append(news, fmt.Sprintf("%s is no provider of the zone any more: its keys go when nothing of it is cached", name))
			}
		}
		return news
	})
}

// Others returns the providers of a zone that were seen by See and not told to go.
func (k *Keeper) Others(id zone.ID) []string {
	z := k.Zone(id)
	if z == nil {
		return nil
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.st.Ring.Providers()
}

// learn has the ring take something in, by which it may have changed though there is nothing to tell.
func (k *Keeper) learn(ctx context.Context, id zone.ID, take func(*keys.Ring, time.Time) []string) error {
	z := k.Zone(id)
	if z == nil {
		return fmt.Errorf("zone %s is not signed by this server: %w", id, zone.ErrUnknown)
	}
	if isNew, err := z.wouldLearn(take); err != nil || !isNew {
		return err
	}
	_, err := k.Do(ctx, id, func(ring *keys.Ring, _ *keys.Policy, now time.Time) (string, error) {
		for _, text := range take(ring, now) {
			k.o.Log.Info("another provider of a zone", "zone", id.String(), "what", text)
		}
		return "", nil
	})
	return err
}

// wouldLearn tries on a copy whether there is anything new.
func (z *Zone) wouldLearn(take func(*keys.Ring, time.Time) []string) (bool, error) {
	now, _ := z.k.o.Clock.Now()
	z.mu.Lock()
	defer z.mu.Unlock()
	before, err := z.st.Ring.MarshalJSON()
	if err != nil {
		return false, err
	}
	try := z.st.Ring.Clone()
	take(try, now)
	after, err := try.MarshalJSON()
	return string(before) != string(after), err
}

// Say has an alarm about a zone stand until it is said again with no text.
func (k *Keeper) Say(id zone.ID, what, text string) {
	if z := k.Zone(id); z != nil {
		now, _ := k.o.Clock.Now()
		z.alarm(what, now, text)
	}
}

// updater is the provider of keys that came by UPDATE, until they are seen at the servers of one.
const updater = "update"

// Take takes what a client has written by UPDATE into the sets of keys as an order about other providers' keys, and reports
// whether the version that is being made will have other sets. It is called by the pipeline, before Sign. A change that is
// refused after it leaves the keys known: they come with the next version, and harm nobody.
func (z *Zone) Take(ctx context.Context, head *zone.Version, removed, added []dns.Record) (bool, error) {
	take := func(ring *keys.Ring, _ *keys.Policy, now time.Time) (string, error) {
		// All of it or nothing.
		if err := ring.Clone().Take(updater, removed, added, now); err != nil {
			return "", err
		}
		return "", ring.Take(updater, removed, added, now)
	}
	_, err := z.do(ctx, take)
	for range mostRounds {
		if !errors.Is(err, errElsewhere) {
			break
		}
		_, err = z.do(ctx, take)
	}
	if err != nil {
		return false, &zone.Refusal{Zone: z.id, Rule: "signing", Reason: err.Error()}
	}
	now, _ := z.k.o.Clock.Now()
	if err := z.advance(ctx, now); err != nil {
		return false, z.refuse(err)
	}
	z.k.Wake(z.id)
	z.mu.Lock()
	defer z.mu.Unlock()
	return !apexIs(head, z.plan), nil
}
