package propagation

import (
	"net/netip"
	"slices"
	"time"

	"onoma/zone"
)

// core knows what secondaries serve, and decides what to ask and when: versions, answers and time come in, questions go
// out. It has no sockets, no clock and no goroutine. One caller at a time.
//
// Each server has a queue of its own, so that one that is down delays nobody.
type core struct {
	most, each      int
	recheck, spread time.Duration
	random          func(n int64) int64 // 0 to n-1
	alone           func(zone.ID) bool  // it has no secondaries; nil: that is not known
	begun           time.Time           // moments are counted from it

	zones   map[zone.ID]*followed
	servers map[Target]*server
	busy    []*server // that have something ready and a place free, the next one first
	timers  timers
	flying  int
	find    []*followed // whose targets are to be looked for
	lagging map[*followed]struct{}
	events  []Event // that nobody has taken yet

	asked, unanswered uint64
}

// moment is a time as the core keeps it: since core.begun, one nanosecond added. 0 is never.
type moment int64

func (c *core) moment(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	m := moment(t.Sub(c.begun))
	if m >= 0 {
		m++
	}
	return m
}

func (c *core) time(m moment) time.Time {
	switch {
	case m == 0:
		return time.Time{}
	case m > 0:
		m--
	}
	return c.begun.Add(time.Duration(m))
}

// followed is a zone. Between changes it costs its memory, and a timer for each secondary.
type followed struct {
	id        zone.ID
	current   publication
	before    []publication // that some secondary lacks, too, the oldest first
	pairs     []*pair
	waits     []*wait
	seeker    *pair // whose timer is for looking for targets; it has no server
	found     moment
	has       bool // something was published
	isSeeking bool // targets are being looked for
	isQueued  bool // in core.find
	isGone    bool
}

type publication struct {
	serial uint32
	at     moment
}

// mostBefore bounds how many versions are remembered that a secondary lacks.
const mostBefore = 16

// wait is somebody who waits for all to serve a version.
type wait struct {
	serial uint32
	done   chan struct{}
}

// server is a target of any number of zones.
type server struct {
	Target
	pairs  int
	ready  []*pair // to be asked, the first one first
	flying int     // questions that wait for an answer
	isBusy bool    // in core.busy
}

// pair is a zone at a server.
type pair struct {
	zone   *followed
	server *server

	seen, contact, back moment
	due                 moment
	serial, acked       uint32
	at                  int32 // in timers, -1: not there
	phase               phase
	tries               uint8 // since something has happened
	has                 bool  // serial is what it serves
	again               bool  // something has happened while a question was under way
	stream              bool  // the next question goes over TCP
	err                 string
}

type phase uint8

const (
	rests  phase = iota // its timer runs, or there is nothing to be done
	queued              // in server.ready
	asked               // a question waits for an answer
)

// question is an SOA record to ask for.
type question struct {
	zone   zone.ID
	target Target
	stream bool
}

// answer is what came of a question: a serial number, or why there is none.
type answer struct {
	serial   uint32
	err      string
	timedOut bool
}

func newCore(o Options, begun time.Time, random func(int64) int64) *core {
	return &core{
		most: o.Most, each: o.MostEach, recheck: o.Recheck, spread: o.Spread, random: random, alone: o.Alone, begun: begun,
		zones: make(map[zone.ID]*followed), servers: make(map[Target]*server), lagging: make(map[*followed]struct{}),
	}
}

func (c *core) follow(id zone.ID) *followed {
	z := c.zones[id]
	if z == nil {
		z = &followed{id: id}
		c.zones[id] = z
	}
	return z
}

// load takes a version that was there from the start. Nobody is asked for a while: a server may have many zones.
func (c *core) load(id zone.ID, serial uint32, at, now time.Time) {
	z := c.follow(id)
	z.current, z.has = publication{serial, c.moment(at)}, true
	if c.isAlone(z, now) {
		return
	}
	if z.found == 0 && !z.isSeeking {
		c.seekAt(z, c.moment(now)+moment(c.random(int64(c.spread))))
	}
}

// isAlone reports whether z has no secondaries and had none, and then notes that.
func (c *core) isAlone(z *followed, now time.Time) bool {
	if c.alone == nil || len(z.pairs) > 0 || z.isSeeking || z.seeker != nil || !c.alone(z.id) {
		return false
	}
	z.found = c.moment(now)
	return true
}

// noticeTime is how long secondaries are given for what makes us ask them, NOTIFY and transfer, before they are asked without.
const noticeTime = 500 * time.Millisecond

// publish takes the newest version of a zone.
func (c *core) publish(id zone.ID, serial uint32, now time.Time) {
	z, m := c.follow(id), c.moment(now)
	if z.has && z.current.serial != serial && slices.ContainsFunc(z.pairs, func(p *pair) bool { return !p.serves(z.current.serial) }) {
		z.remember()
	}
	if !z.has || z.current.serial != serial {
		z.current, z.has = publication{serial, m}, true
	}
	if c.isAlone(z, now) {
		c.settle(z, now)
		return
	}
	c.lagging[z] = struct{}{}
	for _, p := range z.pairs {
		if p.serves(serial) {
			continue
		}
		p.tries = 0
		switch p.phase {
		case asked:
			p.again = true
		case rests:
			c.set(p, m+moment(noticeTime))
		}
	}
	c.seek(z)
}

// remember keeps the current version as one that somebody lacks. Of too many, the oldest says since when, and stays.
func (z *followed) remember() {
	if len(z.before) == mostBefore {
		z.before = slices.Delete(z.before, 1, 2)
	}
	z.before = append(z.before, z.current)
}

// seek has the targets of z looked for.
func (c *core) seek(z *followed) {
	z.isSeeking = true
	if !z.isQueued {
		z.isQueued = true
		c.find = append(c.find, z)
	}
	if z.seeker != nil {
		c.unset(z.seeker)
		z.seeker = nil
	}
}

// seekAt has them looked for at a moment to come.
func (c *core) seekAt(z *followed, at moment) {
	if z.seeker == nil {
		z.seeker = &pair{zone: z, at: -1}
	}
	c.set(z.seeker, at)
}

// nextSeek takes a zone whose targets are to be looked for.
func (c *core) nextSeek() (id zone.ID, ok bool) {
	for len(c.find) > 0 {
		z := c.find[0]
		c.find[0] = nil
		c.find = c.find[1:]
		z.isQueued = false
		if !z.isGone {
			return z.id, true
		}
	}
	return zone.ID{}, false
}

const (
	// mostTargets bounds the secondaries of a zone.
	mostTargets = 256
	// seekWait is how long to wait before targets are looked for again, where that went wrong.
	seekWait = time.Minute
)

// targets takes what was found; ok is false where it went wrong.
func (c *core) targets(id zone.ID, targets []Target, ok bool, now time.Time) {
	z := c.zones[id]
	if z == nil {
		return
	}
	z.isSeeking = z.isQueued // the zone has changed meanwhile: they are looked for once more
	if !ok {
		if !z.isQueued {
			c.seekAt(z, c.moment(now)+moment(seekWait))
		}
		z.isSeeking = z.isSeeking || z.found == 0
		c.settle(z, now)
		return
	}
	z.found = c.moment(now)
	old := z.pairs
	z.pairs = make([]*pair, 0, min(len(targets), mostTargets))
	for _, t := range targets {
		t.Addr, t.Key = unmap(t.Addr), t.Key.Fold()
		if len(z.pairs) == mostTargets || z.pair(t) != nil {
			continue
		}
		if i := slices.IndexFunc(old, func(p *pair) bool { return p.server.Target == t }); i >= 0 {
			z.pairs = append(z.pairs, old[i])
			old = slices.Delete(old, i, i+1)
			continue
		}
		p := &pair{zone: z, server: c.server(t), at: -1}
		z.pairs = append(z.pairs, p)
		c.queue(p)
	}
	for _, p := range old {
		c.drop(p)
	}
	c.settle(z, now)
}

func (c *core) server(t Target) *server {
	s := c.servers[t]
	if s == nil {
		s = &server{Target: t}
		c.servers[t] = s
	}
	s.pairs++
	return s
}

// drop ends what is about a pair. In server.ready it is passed over.
func (c *core) drop(p *pair) {
	c.unset(p)
	p.phase = rests
	if p.server.pairs--; p.server.pairs == 0 {
		delete(c.servers, p.server.Target)
	}
	p.server = nil
}

// forget ends what is about a zone. Who waits for it goes on waiting until the time is over.
func (c *core) forget(id zone.ID) {
	z := c.zones[id]
	if z == nil {
		return
	}
	z.isGone = true
	delete(c.zones, id)
	delete(c.lagging, z)
	for _, p := range z.pairs {
		c.drop(p)
	}
	if z.seeker != nil {
		c.unset(z.seeker)
	}
}

func (z *followed) pair(t Target) *pair {
	for _, p := range z.pairs {
		if p.server.Target == t {
			return p
		}
	}
	return nil
}

// heard takes that a secondary has done something about a zone: now is the time to ask it. acked is the serial number
// that it has acknowledged, if isAck. Without a port every secondary with that address counts: transfers come from ports of
// their own.
func (c *core) heard(id zone.ID, from netip.AddrPort, acked uint32, isAck bool, now time.Time) {
	z := c.zones[id]
	if z == nil {
		return
	}
	for _, p := range z.pairs {
		if p.server.Addr.Addr() != from.Addr() || isAck && p.server.Addr != from {
			continue
		}
		p.contact = c.moment(now)
		if isAck {
			p.acked = acked
		}
		if !p.serves(z.current.serial) {
			p.tries = 0
			c.hurry(p)
		}
	}
}

// hurry has p asked as soon as can be.
func (c *core) hurry(p *pair) {
	switch p.phase {
	case rests:
		c.queue(p)
	case asked:
		p.again = true
	}
}

func (c *core) queue(p *pair) {
	c.unset(p)
	p.phase = queued
	p.server.ready = append(p.server.ready, p)
	c.engage(p.server)
}

// engage puts a server in the row of those that may be asked.
func (c *core) engage(s *server) {
	if !s.isBusy && len(s.ready) > 0 && s.flying < c.each {
		s.isBusy = true
		c.busy = append(c.busy, s)
	}
}

// next returns what is to be asked now, and when there will be more to do if nothing happens; the zero Time: never.
func (c *core) next(now time.Time) (out []question, wake time.Time) {
	m := c.moment(now)
	for len(c.timers) > 0 && c.timers[0].due <= m {
		c.ring(c.timers[0], m)
	}
	for len(c.busy) > 0 && c.flying < c.most {
		s := c.busy[0]
		c.busy[0] = nil
		c.busy = c.busy[1:]
		s.isBusy = false
		if p := s.take(); p != nil {
			out = append(out, c.ask(p))
		}
		c.engage(s)
	}
	if len(c.timers) > 0 {
		wake = c.time(c.timers[0].due)
	}
	return out, wake
}

// ring does what is due.
func (c *core) ring(p *pair, m moment) {
	c.unset(p)
	if p.server == nil {
		p.zone.seeker = nil
		c.seek(p.zone)
		return
	}
	if z := p.zone; c.recheck > 0 && time.Duration(m-z.found) > c.recheck/2 && !z.isSeeking {
		c.seek(z)
	}
	c.queue(p)
}

// take returns the first one that is still to be asked.
func (s *server) take() *pair {
	for len(s.ready) > 0 {
		p := s.ready[0]
		s.ready[0] = nil
		s.ready = s.ready[1:]
		if p.server == s && p.phase == queued {
			return p
		}
	}
	return nil
}

func (c *core) ask(p *pair) question {
	p.phase, p.again = asked, false
	p.tries += min(1, 255-p.tries)
	p.server.flying++
	c.flying++
	c.asked++
	return question{p.zone.id, p.server.Target, p.stream}
}
