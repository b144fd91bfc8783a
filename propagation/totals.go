package propagation

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"onoma/zone"
)

// Totals counts zones and secondaries, and returns the zones that lag most, so many at most.
func (f *Follower) Totals(worst int) Totals {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, now := f.core, f.core.moment(time.Now())
	t := Totals{Zones: len(c.zones), Lagging: len(c.lagging), Asked: c.asked, Unanswered: c.unanswered}
	for _, z := range c.zones {
		for _, p := range z.pairs {
			t.Secondaries[p.condition()]++
			if p.err != "" {
				t.Failing++
			}
		}
	}
	for z := range c.lagging {
		l := z.lagging(now)
		t.Lag = max(t.Lag, l.Lag)
		if l.Behind > 0 {
			t.Worst = append(t.Worst, l)
		}
	}
	slices.SortFunc(t.Worst, func(a, b Lagging) int {
		return cmp.Or(cmp.Compare(b.Lag, a.Lag), a.Zone.Name.Compare(b.Zone.Name), cmp.Compare(a.Zone.View, b.Zone.View))
	})
	t.Worst = slices.Clip(t.Worst[:min(len(t.Worst), worst)])
	return t
}

func (z *followed) lagging(now moment) Lagging {
	l := Lagging{Zone: z.id, Serial: z.current.serial}
	for _, p := range z.pairs {
		if p.lags() {
			l.Behind++
			l.Lag = max(l.Lag, p.lag(now))
		}
	}
	return l
}

// Count is how many secondaries a zone has, and how many of them serve its newest version.
type Count struct {
	Serial      uint32 // published here
	Secondaries int
	InSync      int
	Lag         time.Duration // the longest
}

// Count returns that of one zone.
func (f *Follower) Count(id zone.ID) Count {
	f.mu.Lock()
	defer f.mu.Unlock()
	z := f.core.zones[id]
	if z == nil {
		return Count{}
	}
	return z.count(f.core.moment(time.Now()))
}

func (z *followed) count(now moment) Count {
	n := Count{Serial: z.current.serial, Secondaries: len(z.pairs)}
	for _, p := range z.pairs {
		if p.serves(z.current.serial) {
			n.InSync++
		}
		n.Lag = max(n.Lag, p.lag(now))
	}
	return n
}

// Counts yields those of all zones as they were when it was called, in no order.
func (f *Follower) Counts() iter.Seq2[zone.ID, Count] {
	f.mu.Lock()
	defer f.mu.Unlock()
	type line struct {
		id zone.ID
		n  Count
	}
	lines, now := make([]line, 0, len(f.core.zones)), f.core.moment(time.Now())
	for id, z := range f.core.zones {
		lines = append(lines, line{id, z.count(now)})
	}
	return func(yield func(zone.ID, Count) bool) {
		for _, l := range lines {
			if !yield(l.id, l.n) {
				return
			}
		}
	}
}
