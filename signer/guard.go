package signer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// expiryMargin is how long before the first of its signatures expires a zone that somebody validates is withdrawn.
const expiryMargin = time.Minute

// expiryAlarm is what the alarm about signatures that expire is called.
const expiryAlarm = "expiry"

// alarmEvery is how often an alarm that stands is told again.
const alarmEvery = time.Hour

// guard looks at when signatures expire: it gives an alarm when they should have been renewed long ago, and has the zone
// served no more when one would be bogus. A zone without a DS at the parent goes on: nobody validates it.
func (z *Zone) guard(now time.Time) {
	secured := z.isSecured()
	z.mu.Lock()
	first, refresh := z.st.First, z.settings.Policy.Refresh
	z.mu.Unlock()
	served := z.k.o.Zone(z.id)
	left := first.Sub(now)
	switch {
	case first.IsZero() || left > refresh/2:
		z.alarm(expiryAlarm, now, "")
	case left > expiryMargin:
		z.alarm(expiryAlarm, now, fmt.Sprintf("signatures expire at %s, in %v, and should have been made anew: %s",
			first.UTC().Format(time.RFC3339), left.Round(time.Second), z.why()))
	case secured:
		z.alarm(expiryAlarm, now, fmt.Sprintf("the zone is withdrawn, for it would be bogus: its first signature expires at %s and could not be made anew: %s",
			first.UTC().Format(time.RFC3339), z.why()))
		if served != nil && served.Current() != nil {
			served.Withdraw()
			z.mu.Lock()
			z.isWithdrawn = true
			z.mu.Unlock()
		}
		return
	default:
		z.alarm(expiryAlarm, now, "signatures have expired; the zone goes on, for its parent has no DS and nobody validates it: "+z.why())
	}
	z.mu.Lock()
	again := z.isWithdrawn
	z.isWithdrawn = false
	z.mu.Unlock()
	if again && served != nil {
		served.Resume()
	}
}

// guardEvery is how often all zones are looked at by nobody who could hang.
const guardEvery = expiryMargin / 4

// runGuard has no zone served with signatures that have expired, although who tends it waits for a token, or for a disk.
func (k *Keeper) runGuard(ctx context.Context) {
	ticker := time.NewTicker(guardEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			k.guardAll()
		}
	}
}

// guardAll looks at zones whose signatures are about to expire.
func (k *Keeper) guardAll() {
	now, _ := k.o.Clock.Now()
	for _, id := range k.Zones() {
		z := k.Zone(id)
		if z == nil {
			continue
		}
		z.mu.Lock()
		first := z.st.First
		z.mu.Unlock()
		if !first.IsZero() && first.Sub(now) <= expiryMargin {
			z.guard(now)
		}
	}
}

// why says what stands in the way of signing.
func (z *Zone) why() string {
	z.mu.Lock()
	defer z.mu.Unlock()
	switch {
	case z.wanted.ZoneFrozen != "":
		return z.wanted.ZoneFrozen
	case z.wanted.KeysFrozen != "":
		return z.wanted.KeysFrozen
	case z.problem != nil:
		return z.problem.Error()
	}
	return "the server has not come to it"
}

// alarm keeps a text for operators, and logs it now and then for as long as it stands; "" ends it.
func (z *Zone) alarm(what string, now time.Time, text string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	i := slices.IndexFunc(z.alarms, func(a alarm) bool { return a.what == what })
	switch {
	case text == "" && i >= 0:
		z.alarms = slices.Delete(z.alarms, i, i+1)
		z.k.o.Log.Info("an alarm has ended", "zone", z.id.String(), "what", what)
		return
	case text == "":
		return
	case i < 0:
		z.alarms = append(z.alarms, alarm{what: what})
		i = len(z.alarms) - 1
	}
	a := &z.alarms[i]
	a.text = text
	if a.told.IsZero() || now.Sub(a.told) >= alarmEvery {
		a.told = now
		z.k.o.Log.Error("a signed zone needs somebody", "zone", z.id.String(), "what", strings.TrimSuffix(text, "."))
	}
}

// alarm is something that stands.
type alarm struct {
	what, text string
	told       time.Time
}
