package year

import (
	"context"
	"os"
	"testing"
	"time"

	"onoma/dns/dnssec"
	"onoma/signer/keys"
)

const day = 24 * time.Hour

// act is one step of the script: what somebody does, and for how many days the world goes on then.
type act struct {
	name string
	days int
	do   func(w *world)
}

func policy(change func(p *keys.Policy)) func(w *world) {
	return func(w *world) {
		p := w.policy
		change(&p)
		w.keep(p)
	}
}

func command(c func(r *keys.Ring, p *keys.Policy, now time.Time) error) func(w *world) {
	return func(w *world) {
		w.do(func(r *keys.Ring, p *keys.Policy, now time.Time) (string, error) { return "done", c(r, p, now) })
	}
}

func roll(role keys.Role) func(w *world) {
	return command(func(r *keys.Ring, p *keys.Policy, now time.Time) error { return r.Roll(role, now, p) })
}

func emergency(role keys.Role) func(w *world) {
	return command(func(r *keys.Ring, _ *keys.Policy, now time.Time) error { return r.RollEmergency(role, now) })
}

func algorithm(a uint8) func(w *world) { return policy(func(p *keys.Policy) { p.Algorithm = a }) }

func denial(kind keys.DenialKind) func(w *world) {
	return policy(func(p *keys.Policy) { p.Denial = keys.Denial{Kind: kind} })
}

// begin is the policy of the year's first day.
func begin(w *world) {
	p := keys.Default()
	p.Bits = 1024 // small RSA keys: they are made often here
	w.keep(p)
}

// year is the script.
var year = []act{
	{"unsigned to signed", 10, begin},
	{"the one key is rolled", 15, roll(keys.CSK)},
	{"one key to two", 15, policy(func(p *keys.Policy) { p.Split = true })},
	{"the ZSK is rolled, published in advance", 10, roll(keys.ZSK)},
	{"the KSK is rolled, two in the DNSKEY set", 10, roll(keys.KSK)},
	{"the ZSK is lost", 8, lose(keys.ZSK)},
	{"the KSK is lost, and a person brings the DS of the next one to the parent", 10, func(w *world) {
		lose(keys.KSK)(w)
		w.run(12 * time.Hour)
		w.tells("lost")
		w.bringDS()
	}},
	{"somebody takes the DS away, and a day later somebody puts it back", 6, func(w *world) {
		w.takeDS()
		w.run(day)
		w.tells("DS")
		w.bringDS()
	}},
	{"NSEC to NSEC3", 10, denial(keys.NSEC3)},
	{"NSEC3 with opt-out", 6, policy(func(p *keys.Policy) { p.Denial = keys.Denial{Kind: keys.NSEC3, OptOut: true} })},
	{"NSEC3 without", 4, denial(keys.NSEC3)},
	{"P-256 to RSA with SHA-256", 20, algorithm(dnssec.RSASHA256)},
	{"no CDS, as long as nothing changes", 3, policy(func(p *keys.Policy) { p.NoCDS = true })},
	{"CDS again", 3, policy(func(p *keys.Policy) { p.NoCDS = false })},
	{"RSA with SHA-256 to RSA with SHA-512", 15, algorithm(dnssec.RSASHA512)},
	{"RSA to P-384", 15, algorithm(dnssec.ECDSAP384SHA384)},
	{"P-384 to Ed25519", 15, algorithm(dnssec.ED25519)},
	{"Ed25519 to Ed448", 15, algorithm(dnssec.ED448)},
	{"NSEC3 to compact", 10, denial(keys.Compact)},
	{"Ed448 to P-256, and two keys to one", 20, policy(func(p *keys.Policy) { p.Algorithm, p.Split = dnssec.ECDSAP256SHA256, false })},
	{"compact to NSEC", 10, denial(keys.NSEC)},
	{"an emergency", 10, emergency(keys.CSK)},
	{"two keys, double signatures, two DS", 15, policy(func(p *keys.Policy) {
		p.Split, p.ZSKRoll, p.KSKRoll = true, keys.DoubleSignature, keys.DoubleDS
	})},
	{"the ZSK is rolled, both sign", 10, roll(keys.ZSK)},
	{"the KSK is rolled, two DS", 10, roll(keys.KSK)},
	{"a rollover is turned back", 12, func(w *world) {
		roll(keys.KSK)(w)
		w.run(5 * time.Hour)
		command(func(r *keys.Ring, _ *keys.Policy, now time.Time) error {
			for _, k := range r.Keys() {
				if k.Role == keys.KSK && !k.Retired.IsZero() && k.Removed.IsZero() {
					return r.Restore(k.ID, now)
				}
			}
			return keys.ErrNoKey
		})(w)
	}},
	{"signed to unsigned", 15, policy(func(p *keys.Policy) { p.Unsigned = true })},
	{"unsigned to signed again, by NSEC3", 15, policy(func(p *keys.Policy) {
		p.Unsigned, p.Denial = false, keys.Denial{Kind: keys.NSEC3}
	})},
	{"keys that stand by", 10, policy(func(p *keys.Policy) { p.Standby, p.Split, p.KSKRoll = 1, false, keys.DoubleKSK })},
	{"an emergency, with a key that stands by", 10, emergency(keys.CSK)},
	{"the one key is lost, another stands by", 20, lose(keys.CSK)},
	{"life times", 48, policy(func(p *keys.Policy) { p.Split, p.KSKLife, p.ZSKLife = true, 20*day, 7*day })},
}

// lose takes the private half of the key away that is in use in a role.
func lose(role keys.Role) func(w *world) {
	return func(w *world) {
		view, _ := w.keeper.View(w.id, time.Time{})
		for _, k := range view.Keys {
			if k.Role == role && k.Phase() == keys.Active && k.Goal == keys.Omnipresent {
				if err := w.store.Remove(context.Background(), k.ID); err != nil {
					w.Fatal(err)
				}
				w.next = w.now
				return
			}
		}
		w.Fatalf("there is no such key: %v", view.Keys)
	}
}

// TestYear is the whole script with ONOMA_YEAR=1 (make year); without, each step has a few days only: what has to follow
// follows all the same.
func TestYear(t *testing.T) {
	whole := os.Getenv("ONOMA_YEAR") != ""
	if testing.Short() && !whole {
		t.Skip("a year in fast motion takes half a minute")
	}
	w := newWorld(t)
	w.questions, w.delvEvery = 3, 11 // each hour of the day has its turn
	if !whole {
		w.questions, w.delvEvery = 1, 37
	}
	judged := 0
	for _, a := range year {
		a.do(w)
		days := a.days
		if !whole {
			days = min(days, 3)
		}
		for d := range days {
			w.edit(d)
			w.run(day)
			if whole && d < 4 || d == days-1 || d == 0 {
				judged += w.judgeZone(a.name)
			}
			if t.Failed() {
				w.report(a.name)
				return
			}
		}
		w.settled(a.name)
	}
	t.Logf("%d hours, %d versions, %d verdicts of other tools, %d answers of Unbound, %d of delv", w.hours, w.versions, judged, w.live.asked, w.live.delved)
}
