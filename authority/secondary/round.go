package secondary

import (
	"errors"
	"fmt"
	"time"

	"onoma/zone"
)

// A round asks one primary after the other until one has confirmed the version
// here, or has given a newer one.

// start begins a round, with the primary first that has told of news, if by is
// one.
func (c *machine) start(m *member, urgent bool, by int, now time.Time) {
	m.urgent, m.tried, m.older, m.same, m.back, m.again = urgent, 0, -1, false, false, false
	m.told = m.told || urgent
	if by >= 0 && !c.peers[m.cfg.Primaries[by]].isDown(now) {
		c.ask(m, by)
		return
	}
	c.further(m, now)
}

// further goes on with the next primary, or ends the round. Primaries that cannot
// be reached are waited for only where there is no other.
func (c *machine) further(m *member, now time.Time) {
	down := -1
	for i, p := range m.cfg.Primaries {
		if m.tried>>i&1 != 0 {
			continue
		}
		if !c.peers[p].isDown(now) {
			c.ask(m, i)
			return
		}
		if down < 0 {
			down = i
		}
	}
	if down >= 0 && m.tried == 0 {
		c.ask(m, down)
		return
	}
	c.end(m, now)
}

// ask queues the zone at a primary. Where there is news, or no version yet, the
// SOA record is not asked for first: the answer to IXFR says the same (RFC 1995
// §2), one round trip earlier.
func (c *machine) ask(m *member, i int) {
	m.asked, m.task = i, taskCheck
	switch {
	case m.force || !m.have && !m.isRefused || m.isVague():
		m.task = taskAXFR
	case m.have && m.urgent && m.hinted && !m.cfg.Primaries[i].NoIXFR:
		m.task = taskIXFR
	}
	c.enqueue(m)
}

// fetch queues the zone at the primary that has a newer version.
func (c *machine) fetch(m *member) {
	m.task = taskIXFR
	if !m.have || m.back || m.force || m.isVague() || m.cfg.Primaries[m.asked].NoIXFR {
		m.task = taskAXFR
	}
	c.enqueue(m)
}

func (c *machine) enqueue(m *member) {
	m.phase = Queued
	m.ticket++
	urgency := 1
	if m.urgent {
		urgency = 0
	}
	p := c.peers[m.cfg.Primaries[m.asked]]
	p.queues[m.task.class()][urgency].push(m)
	c.list(p)
	c.arm(m)
}

// done takes what has become of an action.
func (c *machine) done(a action, r result, now time.Time) {
	m, class := a.m, a.task.class()
	c.counts[class]--
	if p := c.peers[a.primary]; p != nil {
		p.counts[class] = max(0, p.counts[class]-1) // it may be another one of this name by now
		switch {
		case r.isDown:
			c.unreached(p, now)
		case !r.stopped:
			p.fails = 0
		}
		c.list(p)
	}
	if m.removed || m.ticket != a.ticket || m.phase != Checking && m.phase != Transferring {
		return
	}
	m.phase = Waiting
	switch {
	case r.stopped:
		c.arm(m)
	case m.asked >= len(m.cfg.Primaries) || m.cfg.Primaries[m.asked] != a.primary:
		c.start(m, true, -1, now) // it has other primaries by now
	case a.task == taskCheck && r.err == nil:
		c.checked(m, &r, now)
	case a.task != taskCheck:
		c.transferred(m, &r, now)
	default:
		c.useless(m, r.err, now)
	}
}

// checked compares the serial number of a primary with ours.
func (c *machine) checked(m *member, r *result, now time.Time) {
	m.took(r)
	switch {
	case m.isRefused && r.serial == m.refused:
		c.useless(m, fmt.Errorf("version %d was refused: %w", r.serial, m.why), now)
	case !m.have || m.isVague() || zone.IsNewer(r.serial, m.serial):
		c.fetch(m)
	case r.serial == m.serial:
		c.confirmed(m, r, now)
	default:
		c.isOlder(m, r.serial, now)
	}
}

// confirmed is for a primary with our version. Another one may have what a NOTIFY
// has told of.
func (c *machine) confirmed(m *member, r *result, now time.Time) {
	if m.hinted && zone.IsNewer(m.hint, m.serial) && m.tried|1<<m.asked != 1<<len(m.cfg.Primaries)-1 {
		m.same = true
		m.tried |= 1 << m.asked
		c.further(m, now)
		return
	}
	if m.urgent {
		m.fruitless = min(m.fruitless+1, mostFruitless)
	} else {
		m.fruitless = 0
	}
	c.succeeded(m, r, false, now)
	c.rest(m, now)
}

func (c *machine) isOlder(m *member, serial uint32, now time.Time) {
	if m.older < 0 {
		m.older = m.asked
	}
	c.useless(m, fmt.Errorf("it has version %d, which is not newer than %d here", serial, m.serial), now)
}

// took notes which version is here, which may have come by another server.
func (m *member) took(r *result) {
	if r.have {
		m.have, m.serial, m.source, m.times = true, r.ours, r.source, r.times
	}
}

// isVague reports whether nobody knows which version of the primary is here.
func (m *member) isVague() bool { return m.have && m.signer != nil && !m.source.known }

// transferred takes the end of a transfer.
func (c *machine) transferred(m *member, r *result, now time.Time) {
	m.took(r)
	switch {
	case r.elsewhere:
		m.next, m.again, m.overruns = now.Add(calm), false, 0
		c.arm(m)
	case r.done:
		m.force, m.back, m.fruitless, m.overruns = false, false, 0, 0
		c.succeeded(m, r, true, now)
		c.rest(m, now)
	case r.overrun && m.overruns < mostOverruns:
		m.overruns++
		c.ask(m, m.asked)
	case r.whole:
		m.task = taskAXFR
		c.enqueue(m)
	case r.refused, r.local:
		m.isRefused, m.refused, m.why = r.refused, r.serial, r.err
		m.force = false
		c.failed(m, now)
		c.rest(m, now)
	case r.err != nil:
		c.useless(m, r.err, now)
	case r.serial == m.serial: // RFC 1995 §2: the SOA record alone
		c.confirmed(m, r, now)
	default:
		c.isOlder(m, r.serial, now)
	}
}

// mostOverruns is how often in a row a transfer is begun anew because the zone has
// changed by another door.
const mostOverruns = 3

// useless goes on behind a primary that was of no use.
func (c *machine) useless(m *member, why error, now time.Time) {
	m.tried |= 1 << m.asked
	if !m.isRefused {
		m.why = fmt.Errorf("%s: %w", m.cfg.Primaries[m.asked].Addr, why)
	}
	c.further(m, now)
}

var errNoPrimary = errors.New("it has no primaries")

// end ends a round that no primary has ended.
func (c *machine) end(m *member, now time.Time) {
	m.phase = Waiting
	switch {
	case len(m.cfg.Primaries) == 0:
		m.force = false
		m.why = errNoPrimary
		c.failed(m, now)
	case m.same:
		c.succeeded(m, &result{}, false, now)
		m.fruitless = min(m.fruitless+1, mostFruitless)
	case m.older >= 0 && m.cfg.Backwards == Accept && !m.back:
		m.back, m.asked = true, m.older
		c.fetch(m)
		return
	default:
		m.force = false
		c.failed(m, now)
	}
	c.rest(m, now)
}

// rest waits for the next round, or begins it where somebody has told of news
// meanwhile.
func (c *machine) rest(m *member, now time.Time) {
	m.phase, m.overruns = Waiting, 0
	news := m.again && (!m.hinted || m.isNews(m.hint))
	m.again, m.hinted = false, m.hinted && news
	if news && m.fruitless < mostFruitless && m.tries == 0 || m.force {
		c.start(m, true, -1, now)
		return
	}
	if news {
		m.next = earlier(m.next, now.Add(calm))
	}
	c.arm(m)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
