package propagation

import (
	"container/heap"
	"slices"
	"time"

	"onoma/zone"
)

// serves reports whether the secondary is known to serve that version or a newer one. A number that was never published here
// says nothing of what is served under it: who is ahead serves somebody else's zone.
func (p *pair) serves(serial uint32) bool {
	return p.has && !zone.IsNewer(serial, p.serial) && !zone.IsNewer(p.serial, p.zone.current.serial)
}

// allServe reports whether this server and all secondaries of z do.
func (z *followed) allServe(serial uint32) bool {
	if !z.has || zone.IsNewer(serial, z.current.serial) || z.found == 0 || z.isSeeking {
		return false
	}
	return !slices.ContainsFunc(z.pairs, func(p *pair) bool { return !p.serves(serial) })
}

// answered takes what came of a question.
func (c *core) answered(q question, a answer, now time.Time) {
	c.flying--
	if a.err != "" {
		c.unanswered++
	}
	// A server of which nothing is left to ask has been let go; its places are nobody's then.
	if s := c.servers[q.target]; s != nil && s.flying > 0 {
		s.flying--
		defer c.engage(s)
	}
	z := c.zones[q.zone]
	if z == nil {
		return
	}
	p := z.pair(q.target)
	if p == nil || p.phase != asked {
		return
	}
	p.phase = rests
	if a.err == "" {
		c.learn(p, a.serial, now)
	} else {
		p.err, p.stream = a.err, a.timedOut && !q.stream
	}
	c.settle(z, now)
	c.plan(p, now)
}

// learn takes the serial number that a secondary serves.
func (c *core) learn(p *pair, serial uint32, now time.Time) {
	m := c.moment(now)
	isNews, wentBack := !p.has || p.serial != serial, p.has && zone.IsNewer(p.serial, serial)
	p.has, p.serial, p.seen, p.contact, p.err, p.stream = true, serial, m, m, "", false
	if wentBack {
		p.back = m
	}
	if !isNews {
		return
	}
	e := Event{Zone: p.zone.id, Target: p.server.Target, Serial: serial, At: now, Condition: p.condition(), WentBack: wentBack}
	if at := p.zone.publishedAt(serial); at != 0 {
		e.Took = time.Duration(m - at)
	}
	c.events = append(c.events, e)
}

// publishedAt returns when a version was, 0 where that is not known any more.
func (z *followed) publishedAt(serial uint32) moment {
	if z.current.serial == serial {
		return z.current.at
	}
	for _, p := range z.before {
		if p.serial == serial {
			return p.at
		}
	}
	return 0
}

// settle does what follows from news about z: tells who waits, and notes whether z lags.
func (c *core) settle(z *followed, now time.Time) {
	z.waits = slices.DeleteFunc(z.waits, func(w *wait) bool {
		done := z.allServe(w.serial)
		if done {
			close(w.done)
		}
		return done
	})
	z.before = slices.DeleteFunc(z.before, func(b publication) bool {
		return !slices.ContainsFunc(z.pairs, func(p *pair) bool { return !p.serves(b.serial) })
	})
	_, lagged := c.lagging[z]
	switch all := z.has && z.allServe(z.current.serial); {
	case all && lagged:
		delete(c.lagging, z)
		z.before = nil
		c.events = append(c.events, Event{
			Zone: z.id, Serial: z.current.serial, At: now, Condition: InSync, All: true, Took: time.Duration(c.moment(now) - z.current.at),
		})
	case !all && !lagged && slices.ContainsFunc(z.pairs, (*pair).lags):
		c.lagging[z] = struct{}{}
	}
}

// lags reports that a secondary was asked and does not serve the newest version, as far as is known.
func (p *pair) lags() bool { return !p.serves(p.zone.current.serial) && (p.has || p.err != "") }

// plan says when p is asked next.
func (c *core) plan(p *pair, now time.Time) {
	d := backoff(int(p.tries))
	switch {
	case p.serves(p.zone.current.serial):
		if c.recheck <= 0 {
			return
		}
		d = max(d, time.Minute) // it fails, but lacks nothing
		if p.err == "" {
			p.tries, d = 0, c.recheck+c.recheck/8
		}
		d = min(d, c.recheck+c.recheck/8)
	case p.again:
		p.tries = 0
		c.queue(p)
		return
	case len(p.zone.waits) > 0:
		d = min(d, longestWatched)
	}
	c.set(p, c.moment(now)+moment(d-time.Duration(c.random(int64(d/4)))))
}

const (
	firstWait = 2 * time.Millisecond
	// finelyUntil is up to when waits grow by half, so that a secondary is asked soon after it has the version; behind
	// it they double.
	finelyUntil = time.Second
	longestWait = time.Hour
	// longestWatched is the longest wait while somebody waits for the zone.
	longestWatched = 250 * time.Millisecond
)

// backoff returns how long to wait after so many tries.
func backoff(tries int) time.Duration {
	d := firstWait
	for range tries - 1 {
		switch {
		case d < finelyUntil:
			d += d / 2
		case d < longestWait:
			d *= 2
		}
	}
	return min(d, longestWait)
}

// condition says how the secondary stands.
func (p *pair) condition() Condition {
	switch newest := p.zone.current.serial; {
	case !p.has:
		return Unknown
	case p.serial == newest:
		return InSync
	case zone.IsNewer(p.serial, newest):
		return Ahead
	}
	return Behind
}

// lag returns for how long there has been a version that the secondary lacks. Of one that was not asked yet nothing is said.
func (p *pair) lag(m moment) time.Duration {
	if !p.lags() {
		return 0
	}
	for _, b := range p.zone.before {
		if !p.serves(b.serial) {
			return sinceMoment(b.at, m)
		}
	}
	return sinceMoment(p.zone.current.at, m)
}

func sinceMoment(at, now moment) time.Duration {
	if at == 0 {
		return 0
	}
	return max(0, time.Duration(now-at))
}

// set lets p's timer ring at a moment.
func (c *core) set(p *pair, at moment) {
	p.due = at
	if p.at >= 0 {
		heap.Fix(&c.timers, int(p.at))
		return
	}
	heap.Push(&c.timers, p)
}

func (c *core) unset(p *pair) {
	if p.at >= 0 {
		heap.Remove(&c.timers, int(p.at))
	}
}

// timers is a heap, what is due first on top.
type timers []*pair

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due < t[j].due }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].at, t[j].at = int32(i), int32(j)
}

// Push is heap.Push's.
func (t *timers) Push(x any) {
	p := x.(*pair)
	p.at = int32(len(*t))
	*t = append(*t, p)
}

// Pop is heap.Pop's.
func (t *timers) Pop() any {
	last := len(*t) - 1
	p := (*t)[last]
	p.at = -1
	(*t)[last] = nil
	*t = (*t)[:last]
	return p
}
