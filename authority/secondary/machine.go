package secondary

import (
	"net/netip"
	"slices"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// machine is the core of a [Secondary]: zones, NOTIFY, results and time come in,
// actions come out. It has no sockets, no clock and no goroutine. One caller at a
// time.
type machine struct {
	most   bounds
	random func(int64) int64 // 0 to n-1

	zones   map[zone.ID]*member
	peers   map[Primary]*peer
	ready   [2][2][]*peer // that zones wait for, by class and urgency; whose turn is next, first
	resting rests
	timers  timers
	last    *ZoneConfig // of the zone that came last: see share
	counts  [2]int      // under way, by class
	dirty   []*member
	out     []action
}

// bounds are how much may be under way at once.
type bounds struct{ all, each [2]int } // by class

// class tells what is cheap from what is not.
type class uint8

const (
	classCheck    class = iota // a SOA query
	classTransfer              // AXFR or IXFR
)

// task is what is to be asked of a primary.
type task uint8

const (
	taskCheck    task = iota // its SOA record
	taskIXFR                 // what has changed since our version
	taskAXFR                 // the whole zone
	taskWithdraw             // the zone has expired: nothing of it is to be served
	taskResume               // it is good again
)

func (t task) class() class {
	if t == taskCheck {
		return classCheck
	}
	return classTransfer
}

// action is something to do. Each but those of withdrawing is answered by
// machine.done.
type action struct {
	task    task
	m       *member
	ticket  uint32
	id      zone.ID
	primary Primary
	limits  Limits
	signer  Signer // nil: none
	source  source // of what was here when the action began
}

// result is what has become of an action.
type result struct {
	err       error
	isDown    bool // err is that the primary cannot be reached at all
	stopped   bool // it was given up because the server ends
	refused   bool // err is that the version with serial must not be served
	local     bool // err is this server's, not the primary's
	whole     bool // the difference is of no use: ask for the whole zone
	elsewhere bool // another server is fetching the zone; have, ours and times are its
	overrun   bool // the zone has got another version meanwhile; have, ours and times are its

	serial uint32 // of the primary's version
	done   bool   // of a transfer: that version is served now
	have   bool   // there is a version here, with the serial number ours
	ours   uint32
	source source // of it, where it is signed here; ours is the primary's number then
	times  times  // of the version that is here

	expire    time.Duration // of the EXPIRE option (RFC 7314)
	hasExpire bool
}

// times are the timers of a SOA record.
type times struct{ refresh, retry, expire time.Duration }

// timesOf reads a SOA record.
func timesOf(v *zone.Version) times {
	soa, err := dns.ParseSOA(dns.RData(v.SOA().First()))
	if err != nil {
		return times{}
	}
	seconds := func(n uint32) time.Duration { return time.Duration(n) * time.Second }
	return times{seconds(soa.Refresh), seconds(soa.Retry), seconds(soa.Expire)}
}

// member is one zone.
type member struct {
	id     zone.ID
	cfg    *ZoneConfig // without what is of this zone alone
	have   bool
	serial uint32 // as the primaries count
	times  times
	signer Signer
	source source // where there is a signer

	phase  Phase
	task   task
	urgent bool   // somebody has told that there is something new
	ticket uint32 // of the place in a queue, or of the action under way
	asked  int    // which primary, of the round
	tried  uint64 // a bit for each primary that the round is done with
	older  int    // the first primary with an older version, -1: none
	same   bool   // a primary has confirmed the version in this round
	back   bool   // an older version is being fetched
	force  bool   // the whole zone is to be fetched, whatever its version
	again  bool   // another round is wanted behind this one
	told   bool   // somebody has told of something new, which has not come yet
	hinted bool   // a NOTIFY named
	hint   uint32 // this serial number

	fruitless int8 // NOTIFYs in a row that brought nothing
	overruns  int8
	withdrawn bool
	removed   bool
	changed   bool // in dirty
	isRefused bool
	refused   uint32 // serial number of the version that must not be served

	checked, expires, next time.Time
	wake                   time.Time // the first of expires and next that counts
	at                     int       // in timers, -1: not there
	tries                  int
	why                    error
}

func newMachine(b bounds, random func(int64) int64) *machine {
	return &machine{most: b, random: random, zones: make(map[zone.ID]*member), peers: make(map[Primary]*peer)}
}

// maxPrimaries of one zone are asked.
const maxPrimaries = 64

// startSpread is the time between the first checks of zones whose time has come
// while the server was down, on average: many of them are no storm.
const startSpread = time.Millisecond

// add begins to keep a zone, or goes on with other settings. have, ours, source and
// times of here are of the version that is here.
func (c *machine) add(cfg ZoneConfig, here *result, now time.Time) {
	if len(cfg.Primaries) > maxPrimaries {
		cfg.Primaries = cfg.Primaries[:maxPrimaries]
	}
	if old := c.zones[cfg.ID]; old != nil {
		c.configure(old, cfg, now)
		return
	}
	have := here.have
	m := &member{id: cfg.ID, cfg: c.share(cfg), signer: cfg.Signer, older: -1, at: -1}
	m.took(here)
	c.zones[cfg.ID] = m
	c.use(cfg.Primaries, 1)
	s, known := readSaved(cfg.Saved)
	if known {
		m.checked, m.expires, m.next, m.tries = s.checked, s.expires, s.next, s.tries
	}
	if known && s.source.number > 0 && m.signer == nil {
		m.force = true // it was signed here, and has serial numbers that are not the primary's
	}
	switch {
	case !have:
		m.expires, m.next = time.Time{}, now
	case !known: // when it was fetched nobody knows
		m.expires = now.Add(m.bounded().expire)
		fallthrough
	case !m.next.After(now), m.force, m.isVague():
		m.next = now.Add(time.Duration(c.random(int64(len(c.zones)) * int64(startSpread))))
	case m.next.After(now.Add(m.bounded().refresh)): // the clock has been set back
		m.next = now.Add(time.Duration(c.random(int64(m.bounded().refresh))))
	}
	c.arm(m)
}

// share returns what zones have in common, without what is of one alone: a hundred
// thousand with the same settings tend to come one after the other, and keep them
// once.
func (c *machine) share(cfg ZoneConfig) *ZoneConfig {
	cfg.ID, cfg.Saved, cfg.Signer = zone.ID{}, nil, nil
	if had := c.last; had == nil || had.Backwards != cfg.Backwards || had.Timers != cfg.Timers || had.Limits != cfg.Limits ||
		!slices.Equal(had.Primaries, cfg.Primaries) || !slices.Equal(had.AllowNotify, cfg.AllowNotify) {
		c.last = &cfg
	}
	return c.last
}

// configure gives a zone other settings. Where it has other primaries, these are
// asked at once.
func (c *machine) configure(m *member, cfg ZoneConfig, now time.Time) {
	others := len(cfg.Primaries) != len(m.cfg.Primaries)
	for i := 0; i < len(cfg.Primaries) && !others; i++ {
		others = cfg.Primaries[i] != m.cfg.Primaries[i]
	}
	c.use(cfg.Primaries, 1)
	c.use(m.cfg.Primaries, -1)
	m.cfg = c.share(cfg)
	if (m.signer == nil) != (cfg.Signer == nil) {
		others, m.force = true, true // whose serial numbers are here is another matter now
	}
	if m.signer = cfg.Signer; m.signer == nil {
		m.source = source{}
	}
	if !others {
		return
	}
	m.again = true
	if m.phase == Queued || m.phase == Waiting {
		c.start(m, true, -1, now)
	}
}

// remove ends what is about a zone. What is under way for it counts no more.
func (c *machine) remove(id zone.ID) {
	m := c.zones[id]
	if m == nil {
		return
	}
	delete(c.zones, id)
	m.removed = true
	c.disarm(m)
	c.use(m.cfg.Primaries, -1)
}

// Standing is what becomes of a NOTIFY.
type standing uint8

const (
	unknown standing = iota // the zone is fetched from nobody
	refused                 // who sent it may not
	taken
)

// The bounds of NOTIFYs that bring nothing new: so many are followed at once, the
// others one by one.
const (
	mostFruitless = 5
	calm          = time.Second
)

// notified takes a NOTIFY that names a serial number, or none.
func (c *machine) notified(id zone.ID, from netip.Addr, key dns.Name, serial *uint32, now time.Time) standing {
	m := c.zones[id]
	if m == nil {
		return unknown
	}
	by := m.primaryOf(from, key)
	if by < 0 && !m.cfg.AllowNotify.Allows(from, key) {
		return refused
	}
	if serial != nil && !m.isNews(*serial) {
		return taken
	}
	m.hinted = serial != nil
	if m.hinted {
		m.hint = *serial
	}
	switch {
	case m.phase == Checking || m.phase == Transferring:
		m.again = true
	case m.phase == Queued && m.urgent && !c.helps(m, by, now):
	case m.phase == Waiting && m.fruitless >= mostFruitless:
		if soon := now.Add(calm); soon.Before(m.next) {
			m.next = soon
			c.arm(m)
		}
	default:
		c.start(m, true, by, now)
	}
	return taken
}

// primaryOf returns which primary has sent a NOTIFY, -1 for none: the address or
// the key is enough, since a NOTIFY has no other effect than a question to a
// primary.
func (m *member) primaryOf(from netip.Addr, key dns.Name) int {
	from = from.Unmap().WithZone("")
	for i, p := range m.cfg.Primaries {
		if p.Addr.Addr().Unmap().WithZone("") == from || !key.IsZero() && !p.Key.IsZero() && p.Key.Equal(key) {
			return i
		}
	}
	return -1
}

// isNews reports whether a version with that serial number is worth a question.
// RFC 1996 §3.7 has the number in a NOTIFY as a hint; one that says that nothing is
// new spares the question.
func (m *member) isNews(serial uint32) bool {
	switch {
	case !m.have || m.withdrawn || m.isVague():
		return true
	case m.isRefused && serial == m.refused:
		return false
	}
	return zone.IsNewer(serial, m.serial) || m.cfg.Backwards == Accept && serial != m.serial
}

// helps reports whether a queued zone, which waits for a primary that is down,
// had better ask the one that has just shown that it lives.
func (c *machine) helps(m *member, by int, now time.Time) bool {
	if by < 0 || m.asked == by {
		return false
	}
	return c.peers[m.cfg.Primaries[m.asked]].isDown(now) && !c.peers[m.cfg.Primaries[by]].isDown(now)
}

// refresh asks for the zone now; with force it is fetched as a whole, whatever
// its version. One that was refused may pass now: the limits may be others.
func (c *machine) refresh(id zone.ID, force bool, now time.Time) bool {
	m := c.zones[id]
	if m == nil {
		return false
	}
	m.force = m.force || force
	m.isRefused = false
	if m.phase == Queued && m.urgent && !force {
		return true
	}
	if m.phase == Checking || m.phase == Transferring {
		m.again = true
		return true
	}
	c.start(m, true, -1, now)
	return true
}

// step returns what is to be done now, and when there will be more to do if
// nothing happens; the zero Time: never.
func (c *machine) step(now time.Time) (out []action, wake time.Time) {
	for len(c.timers) > 0 && !c.timers[0].wake.After(now) {
		c.ring(c.timers[0], now)
	}
	wake = c.dispatch(now)
	if len(c.timers) > 0 && (wake.IsZero() || c.timers[0].wake.Before(wake)) {
		wake = c.timers[0].wake
	}
	out, c.out = c.out, nil
	return out, wake
}

// ring does what is due for m.
func (c *machine) ring(m *member, now time.Time) {
	if m.have && !m.withdrawn && !m.expires.After(now) {
		m.withdrawn = true
		c.out = append(c.out, action{task: taskWithdraw, m: m, id: m.id})
		c.note(m)
	}
	if m.phase == Waiting && !m.next.After(now) {
		c.start(m, false, -1, now)
	}
	c.arm(m)
}

// saves returns what has changed since the last call, most zones of it.
func (c *machine) saves(most int) []Saved {
	n := min(most, len(c.dirty))
	out := make([]Saved, 0, n)
	for _, m := range c.dirty[:n] {
		m.changed = false
		if !m.removed {
			out = append(out, Saved{Zone: m.id, Data: m.save()})
		}
	}
	clear(c.dirty[:n])
	if c.dirty = c.dirty[n:]; len(c.dirty) == 0 {
		c.dirty = nil
	}
	return out
}

// note has the zone's times saved.
func (c *machine) note(m *member) {
	if !m.changed {
		m.changed = true
		c.dirty = append(c.dirty, m)
	}
}
