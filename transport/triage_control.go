package transport

import (
	"cmp"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// door is what triage needs of a socket.
type door interface {
	// setFilter gives the socket a filter for as many of the sources, best first, as it can hold.
	setFilter(ranked []uint32, k addrKey, cookie, other uint32) (kept int, err error)
	clearFilter()
	// level says how full the receive buffer is and how many packets were dropped since the socket was made.
	level() (fill float64, drops uint32, ok bool)
}

const (
	// controlSpan is how often the sockets are looked at; two system calls each.
	controlSpan = 100 * time.Millisecond
	// guestSpan is how old a guest list may get under pressure.
	guestSpan = time.Second
	// maxGuests fit a filter of 4096 instructions, the most that the kernel takes.
	maxGuests = 3072
	// benchSpan is how long a source that takes more than its share is treated as unknown.
	benchSpan = 10 * time.Second
	// listPatience is how long a loop may take to hand out its candidates: a busy one needs a batch's time.
	listPatience = 20 * time.Millisecond
	// crowdedLooks in a row show that known sources send too much, and not just once.
	crowdedLooks = 2
	// knownRoom is the part of the target that known sources get together when the heaviest of them lose their standing, and the
	// part of what is taken from which on they are the ones to blame for a full buffer.
	knownRoom = 0.9
)

// triageControl watches one socket. All of a server's belong to one goroutine.
type triageControl struct {
	t    *triage
	door door
	key  addrKey
	log  *logLimit

	pressure
	last    census
	drops   uint32
	at      time.Time
	listed  time.Time // when the guest list was made
	crowded int       // see note
	ranked  []uint32
	set     pressure // as in the filter
	refused bool     // the kernel takes no filter
	benched map[uint32]time.Time
	pressed atomic.Bool   // for Stats
	guests  atomic.Uint32 // likewise
}

func newTriageControl(t *triage, d door, k addrKey, log *logLimit) *triageControl {
	return &triageControl{t: t, door: d, key: k, log: log, benched: make(map[uint32]time.Time)}
}

// watch looks at all sockets again and again until stop is closed.
func watch(controls []*triageControl, stop <-chan struct{}) {
	tick := time.NewTicker(controlSpan)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			for _, c := range controls {
				c.look(c.log.now())
			}
		}
	}
}

// look takes the time since the last look into account.
func (c *triageControl) look(now time.Time) {
	l, ok := c.measure(now)
	if !ok {
		return
	}
	was := c.pressure.on
	c.pressure.step(l)
	switch {
	case c.pressure.on:
		if !was {
			c.pressed.Store(true)
			c.log.warn("more queries come in than can be answered: known clients first", "taken", l.taken(), "lost", l.lost, "in", l.elapsed)
		}
		c.hold(now, l)
	case was:
		c.release()
	}
}

// measure reads the counters.
func (c *triageControl) measure(now time.Time) (load, bool) {
	fill, drops, ok := c.door.level()
	if !ok {
		return load{}, false
	}
	l := load{lost: uint64(drops - c.drops), fill: fill, elapsed: now.Sub(c.at)}
	for i := range l.census {
		n := c.t.public[i].Load()
		l.census[i], c.last[i] = n-c.last[i], n
	}
	first := c.at.IsZero()
	c.drops, c.at = drops, now
	return l, !first
}

// hold keeps guest list and filter up to date.
func (c *triageControl) hold(now time.Time, l load) {
	c.note(l)
	fresh := (now.Sub(c.listed) >= guestSpan || c.crowded >= crowdedLooks) && c.makeGuests(now)
	cookie, other := threshold(c.cookie), threshold(c.other)
	if fresh || !near(c.set.cookie, c.pressure.cookie) || !near(c.set.other, c.pressure.other) {
		c.set = c.pressure
		if !c.refused {
			_, err := c.door.setFilter(c.ranked, c.key, cookie, other)
			if c.refused = err != nil; c.refused {
				c.log.warn("packets are turned away after they were received, which costs more", "error", err)
			}
		}
	}
	if !c.refused && l.fill < fullAt {
		cookie, other = open, open
	}
	// While the buffer is full of packets from before the filter, strangers among them must pass the same draw.
	c.t.door.Store(uint64(cookie)<<32 | uint64(other))
}

// note counts the looks in a row at which known sources alone were too many: the buffer was full although nearly nobody else
// was let in.
func (c *triageControl) note(l load) {
	known, all := l.census[kindKnown], l.taken()
	if l.fill < fullAt || float64(known) < knownRoom*float64(all) {
		c.crowded = 0
		return
	}
	c.crowded++
}

// near spares the kernel a new filter for a difference of less than a tenth.
func near(a, b float64) bool { return a > 0.9*b && b > 0.9*a && (a < 1) == (b < 1) }

// makeGuests asks the loop who there is and lists the best of them, but for those that take more than their share.
func (c *triageControl) makeGuests(now time.Time) bool {
	if c.crowded >= crowdedLooks {
		c.benchGreedy(now)
		c.crowded = 0
	}
	c.t.wanted.Store(true)
	var list []candidate
	select {
	case list = <-c.t.candidates:
	case <-time.After(listPatience):
		if c.t.wanted.CompareAndSwap(true, false) {
			return false // the loop sleeps: then there is no hurry
		}
		list = <-c.t.candidates
	}
	if c.t.guest.Load() == nil {
		c.benchSampled(now, list)
	}
	for k, until := range c.benched {
		if now.After(until) {
			delete(c.benched, k)
		}
	}
	slices.SortFunc(list, func(a, b candidate) int { return cmp.Compare(b.standing, a.standing) })
	c.ranked = c.ranked[:0]
	for _, s := range list {
		if _, out := c.benched[s.key]; !out && len(c.ranked) < maxGuests {
			c.ranked = append(c.ranked, s.key)
		}
	}
	c.t.spare = list
	c.t.guest.Store(newGuestList(c.ranked, c.t.sources.mix))
	c.guests.Store(uint32(len(c.ranked)))
	c.listed = now
	return true
}

// benchGreedy takes the standing of those who sent more than the fair level since the list was made.
func (c *triageControl) benchGreedy(now time.Time) {
	g, sec := c.t.guest.Load(), now.Sub(c.listed).Seconds()
	if g == nil || sec <= 0 {
		return
	}
	rates := make(map[uint32]float64, len(c.ranked))
	for i, k := range g.keys {
		if n := g.count[i].Load(); n > 0 {
			rates[k] = float64(n) / sec
		}
	}
	c.bench(now, rates)
}

// benchSampled does so when the pressure begins: all that is known then is who was how much of the sample.
func (c *triageControl) benchSampled(now time.Time, list []candidate) {
	rates := make(map[uint32]float64)
	for _, s := range list {
		if s.share > 0 {
			rates[s.key] = float64(s.share) * c.target
		}
	}
	c.bench(now, rates)
}

// bench takes the standing of those above the fair level.
func (c *triageControl) bench(now time.Time, rates map[uint32]float64) {
	level := fairLevel(slices.Sorted(maps.Values(rates)), knownRoom*c.target) * 1.1
	for k, rate := range rates {
		if rate > level && len(c.benched) < maxGuests {
			c.benched[k] = now.Add(benchSpan)
		}
	}
}

// release ends triage until the next time.
func (c *triageControl) release() {
	c.t.guest.Store(nil)
	c.t.door.Store(open<<32 | open)
	c.door.clearFilter()
	c.listed, c.set, c.crowded = time.Time{}, pressure{}, 0
	c.guests.Store(0)
	c.pressed.Store(false)
	c.log.warn("all queries can be answered again")
}
