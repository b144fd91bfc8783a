package keys

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

const day = 24 * time.Hour

func TestFirstSigningReachesSecure(t *testing.T) {
	for _, fresh := range []bool{true, false} {
		for _, split := range []bool{false, true} {
			p := Default()
			p.Split = split
			w := newWorld(t, 1, p)
			w.fresh = fresh
			w.run(4 * day)
			if why := w.settled(); why != "" {
				t.Errorf("fresh %v, split %v: %s", fresh, split, why)
			}
		}
	}
}

// TestRandomYears has policies and commands of all kinds follow each other at random, ripe or not: nobody ever finds the
// zone bogus, and when things calm down the machine is where the policy wants it.
func TestRandomYears(t *testing.T) {
	runs := 10
	if n, err := strconv.Atoi(os.Getenv("KEYS_RUNS")); err == nil {
		runs = n
	}
	if testing.Short() {
		runs = 3
	}
	for seed := range runs {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, uint64(seed), randomPolicy(rand.New(rand.NewPCG(uint64(seed), 7))))
			w.fresh = seed%2 == 0
			w.run(time.Duration(1+w.rand.IntN(5)) * day)
			for range 12 {
				for range 1 + w.rand.IntN(4) {
					if w.command(); t.Failed() {
						return
					}
					w.run(time.Duration(w.rand.Int64N(int64(4 * day))))
				}
				w.calm()
				if t.Failed() {
					return
				}
			}
		})
	}
}

func randomPolicy(r *rand.Rand) Policy {
	p := Default()
	p.Algorithm = []uint8{8, 10, 13, 14, 15, 16}[r.IntN(6)]
	p.Split = r.IntN(2) == 0
	p.ZSKRoll, p.KSKRoll = ZSKRoll(r.IntN(2)), KSKRoll(r.IntN(2))
	p.Standby = max(0, r.IntN(4)-1)
	p.DNSKEYTTL = time.Duration(1+r.IntN(3)) * time.Hour
	p.NoCDS = r.IntN(6) == 0
	if r.IntN(2) == 0 {
		p.KSKLife, p.ZSKLife = 20*day, 10*day
	}
	return p
}

// command does something that somebody may do.
func (w *world) command() {
	note := func(format string, args ...any) {
		w.log = append(w.log, w.now.Format("01-02 15:04")+" COMMAND "+fmt.Sprintf(format, args...))
	}
	role := []Role{CSK, KSK, ZSK}[w.rand.IntN(3)]
	keys := w.ring.Keys()
	pick := "none"
	if len(keys) > 0 {
		pick = keys[w.rand.IntN(len(keys))].ID
	}
	switch n := w.rand.IntN(12); n {
	case 0, 1, 2:
		unsigned := w.p.Unsigned
		ttl := w.p.DNSKEYTTL
		w.p = randomPolicy(w.rand)
		w.p.Unsigned, w.p.DNSKEYTTL = unsigned, ttl
		note("policy algorithm %d split %v zsk %d ksk %d standby %d", w.p.Algorithm, w.p.Split, w.p.ZSKRoll, w.p.KSKRoll, w.p.Standby)
	case 3, 4:
		note("roll %v: %v", role, w.ring.Roll(role, w.now, &w.p))
	case 5:
		note("emergency %v: %v", role, w.ring.RollEmergency(role, w.now))
	case 6:
		note("retire %s: %v", pick, w.ring.Retire(pick, w.now))
	case 7:
		note("restore %s: %v", pick, w.ring.Restore(pick, w.now))
	case 8:
		w.p.Unsigned = !w.p.Unsigned
		note("unsigned %v", w.p.Unsigned)
	case 9:
		note("lose %s: %v", pick, w.ring.Lose(pick))
	case 10:
		w.parentSleeps = !w.parentSleeps
		note("parent sleeps %v", w.parentSleeps)
	case 11:
		for i := range w.parent {
			w.parent[i] = ""
		}
		w.parentWanted, w.parentDue = "", time.Time{}
		note("DS removed by force")
	}
}

// calm lets everything come to its end, the parent willing.
func (w *world) calm() {
	w.parentSleeps = false
	w.p.KSKLife, w.p.ZSKLife = 0, 0
	w.run(12 * day)
	if w.t.Failed() {
		return
	}
	if why := w.settled(); why != "" {
		w.t.Errorf("%v: not settled: %s", w.now, why)
	}
}
