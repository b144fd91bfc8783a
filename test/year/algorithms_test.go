package year

import (
	"os"
	"slices"
	"testing"
	"time"

	"onoma/dns/dnssec"
	"onoma/signer/keys"
)

var algorithms = []uint8{
	dnssec.ECDSAP256SHA256, dnssec.RSASHA256, dnssec.RSASHA512, dnssec.ECDSAP384SHA384, dnssec.ED25519, dnssec.ED448,
}

// walk goes from the algorithm i to each later one and back, and so on from there: each change from one to another once.
func walk(i int) (to []uint8) {
	for j := i + 1; j < len(algorithms); j++ {
		to = append(to, algorithms[j])
		if j == i+1 {
			to = append(to, walk(j)...)
		}
		to = append(to, algorithms[i])
	}
	return to
}

// TestAlgorithms changes from every algorithm to every other, with one key and with two by turns. The hours of the world go on
// until the change is done. With ONOMA_YEAR=1 it is all of them, and the first few otherwise.
func TestAlgorithms(t *testing.T) {
	changes := walk(0)
	if n := len(algorithms) * (len(algorithms) - 1); len(changes) != n {
		t.Fatalf("%d changes, expected %d", len(changes), n)
	}
	if os.Getenv("ONOMA_YEAR") == "" {
		t.Skip("the year has some of them; ONOMA_YEAR=1 has all")
	}
	w := newWorld(t)
	w.questions, w.delvEvery = 3, 11
	begin(w)
	w.run(day)
	judged := 0
	for i, to := range changes {
		step := "to " + dnssec.AlgorithmName(to)
		policy(func(p *keys.Policy) { p.Algorithm, p.Split = to, i%2 == 0 })(w)
		for range 20 {
			w.edit(i)
			w.run(6 * time.Hour)
			judged += w.judgeZone(step)
			if t.Failed() {
				w.report(step)
				return
			}
			if w.hasOnly(to) {
				break
			}
		}
		w.settled(step)
		if t.Failed() || !w.hasOnly(to) {
			w.report(step)
			t.Fatalf("%s takes more than five days", step)
		}
	}
	t.Logf("%d hours, %d versions, %d verdicts of other tools, %d answers of Unbound, %d of delv", w.hours, w.versions, judged, w.live.asked, w.live.delved)
}

// hasOnly: all keys that there are have the algorithm, and are in use.
func (w *world) hasOnly(algorithm uint8) bool {
	view, _ := w.keeper.View(w.id, time.Time{})
	return !slices.ContainsFunc(view.Keys, func(k keys.Key) bool {
		return k.Phase() != keys.Gone && (k.Algorithm != algorithm || k.Phase() != keys.Active || k.Goal != keys.Omnipresent)
	})
}
