package year

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"onoma/signer/keys"
)

const resolvers = 4

// run goes on for a time; resolvers ask every hour.
func (w *world) run(d time.Duration) {
	w.Helper()
	if w.asking == nil {
		for i := range resolvers {
			w.asking = append(w.asking, w.newResolver(uint64(i)))
		}
		w.newClock()
		w.live = w.newLive()
	}
	for end := w.now.Add(d); w.clock().Before(end); w.set(w.clock().Add(tick)) {
		w.step()
		if w.clock().Minute() != 0 {
			continue
		}
		if why := w.lookAll(); why != "" {
			w.Errorf("%v: %s", w.clock(), why)
			return
		}
	}
}

// lookAll has all resolvers look; it returns what is wrong.
func (w *world) lookAll() string {
	w.hours++
	mayBeInsecure := w.mayBeInsecure()
	for i, r := range w.asking {
		if why := r.look(mayBeInsecure, 2); why != "" {
			return fmt.Sprintf("resolver %d: %s", i, why)
		}
	}
	for range w.questions {
		if why := w.live.ask(mayBeInsecure); why != "" {
			return "Unbound: " + why
		}
	}
	if w.hours%w.delvEvery == 0 {
		return w.live.delv(mayBeInsecure)
	}
	return ""
}

// mayBeInsecure: not all servers of the parent have a DS, or had one not long ago.
func (w *world) mayBeInsecure() bool {
	seen := w.Seen(w.id)
	if !slices.ContainsFunc(seen.DS, func(d keys.SeenDS) bool { return d.Servers == seen.Asked }) {
		w.insecure = w.clock()
		return true
	}
	return w.clock().Sub(w.insecure) < 2*time.Hour
}

// settled: by the end of each step all keys are where they are to be, and the zone is secure unless it is to be unsigned.
func (w *world) settled(step string) {
	w.Helper()
	view, ok := w.keeper.View(w.id, time.Time{})
	if !ok {
		w.Fatal("the zone is not kept")
	}
	for _, k := range view.Keys {
		phase := k.Phase()
		if k.Goal == keys.Hidden && phase != keys.Gone || k.Goal == keys.Omnipresent && phase != keys.Active && phase != keys.Ready {
			if w.policy.ZSKLife == 0 {
				w.Errorf("%v: %s: key %s is %s\n%s", w.clock(), step, k.ID, phase, w.waits())
			}
		}
	}
	if w.policy.Unsigned != w.mayBeInsecure() {
		w.Errorf("%v: %s: insecure %v\n%s", w.clock(), step, w.mayBeInsecure(), w.waits())
	}
	if len(view.Alarms) > 0 {
		w.Errorf("%v: %s: alarms %q", w.clock(), step, view.Alarms)
	}
}

func (w *world) waits() string {
	view, _ := w.keeper.View(w.id, time.Time{})
	var out []string
	for _, x := range view.Waits {
		out = append(out, x.Text)
	}
	return strings.Join(append(out, view.Alarms...), "\n")
}

// tells: people are told of something in these words.
func (w *world) tells(word string) {
	w.Helper()
	view, _ := w.keeper.View(w.id, time.Time{})
	isAlarm := len(view.Alarms) > 0
	for _, x := range view.Waits {
		isAlarm = isAlarm || x.Alarm
	}
	if text := w.waits(); !isAlarm || !strings.Contains(text, word) {
		w.Errorf("%v: nobody is alarmed:\n%s", w.clock(), text)
	}
}

func (w *world) report(step string) {
	view, _ := w.keeper.View(w.id, time.Time{})
	w.Logf("in step %q at %v:\n%s", step, w.clock(), w.waits())
	for _, k := range view.Keys {
		if k.Phase() == keys.Gone {
			continue
		}
		w.Logf("%s %v %d algorithm %d goal %v %v", k.ID, k.Role, k.Tag, k.Algorithm, k.Goal, k.Records)
	}
}
