package secondary

import (
	"container/heap"
	"time"
)

// arm has the machine woken for m when the first of its times comes.
func (c *machine) arm(m *member) {
	m.wake = time.Time{}
	if m.have && !m.withdrawn {
		m.wake = m.expires
	}
	if m.phase == Waiting && (m.wake.IsZero() || m.next.Before(m.wake)) {
		m.wake = m.next
	}
	switch {
	case m.wake.IsZero() || m.removed:
		c.disarm(m)
	case m.at >= 0:
		heap.Fix(&c.timers, m.at)
	default:
		heap.Push(&c.timers, m)
	}
}

func (c *machine) disarm(m *member) {
	if m.at >= 0 {
		heap.Remove(&c.timers, m.at)
	}
}

// timers is a heap of zones, the one that is due first on top.
type timers []*member

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].wake.Before(t[j].wake) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].at, t[j].at = i, j
}

// Push is heap.Push's.
func (t *timers) Push(x any) {
	m := x.(*member)
	m.at = len(*t)
	*t = append(*t, m)
}

// Pop is heap.Pop's.
func (t *timers) Pop() any {
	last := len(*t) - 1
	m := (*t)[last]
	m.at = -1
	(*t)[last] = nil
	*t = (*t)[:last]
	return m
}

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// bounded returns m's timers within their bounds.
func (m *member) bounded() times {
	t, b := m.times, m.cfg.Timers
	within := func(d, least, most, noLess, noMore time.Duration) time.Duration {
		if least <= 0 {
			least = noLess
		}
		if most <= 0 {
			most = noMore
		}
		return max(least, min(d, max(least, most)))
	}
	return times{
		within(t.refresh, b.MinRefresh, b.MaxRefresh, time.Second, 4*week),
		within(t.retry, b.MinRetry, b.MaxRetry, time.Second, 2*week),
		within(t.expire, b.MinExpire, b.MaxExpire, time.Second, 1<<31*time.Second),
	}
}

// The times between rounds for a zone that has never been fetched, which has no
// timers yet.
const (
	firstTry   = 2 * time.Second
	longestTry = 10 * time.Minute
)

// jitter takes up to a quarter off, so that zones which changed together are not
// asked for together for ever.
func (c *machine) jitter(d time.Duration) time.Duration {
	if d < 4 {
		return d
	}
	return d - time.Duration(c.random(int64(d/4)))
}

// succeeded sets the timers of a zone whose version a primary has confirmed or
// given. RFC 7314 §4: the EXPIRE option counts where it is less than the SOA
// record's; and for a version that was here already, where it is more than is left.
func (c *machine) succeeded(m *member, r *result, fresh bool, now time.Time) {
	t := m.bounded()
	m.checked, m.tries, m.why, m.isRefused, m.told = now, 0, nil, false, false
	expires := now.Add(t.expire)
	if r.hasExpire {
		byOption := now.Add(min(r.expire, t.expire))
		if expires = byOption; !fresh && m.expires.After(byOption) {
			expires = m.expires
		}
	}
	m.expires = expires
	m.next = now.Add(c.jitter(t.refresh))
	if last := expires.Add(-t.retry); m.next.After(last) { // a retry, at least, before it expires
		m.next = now.Add(max(time.Second, c.jitter(last.Sub(now))))
	}
	if m.withdrawn && m.expires.After(now) {
		m.withdrawn = false
		c.out = append(c.out, action{task: taskResume, m: m, id: m.id})
	}
	c.note(m)
}

// failed sets the time of the next round behind one in which no primary was of use.
func (c *machine) failed(m *member, now time.Time) {
	m.tries++
	wait := m.bounded().retry
	soon := firstTry << min(m.tries-1, 20)
	switch {
	case !m.have:
		wait = min(soon, longestTry)
	case m.told && !m.isRefused: // it was acknowledged, and nobody will tell of it again
		wait = min(soon, wait)
	}
	m.next = now.Add(c.jitter(wait))
	c.note(m)
}
