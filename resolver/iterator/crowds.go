package iterator

import (
	"sync"
	"time"

	"onoma/dns"
)

// crowds bounds how many questions wait for the servers of one zone, so that a
// zone that does not answer, or is made not to by questions for random names,
// cannot take all look-ups for itself (CVE-2022-3204; BIND has fetches-per-zone).
// The bound is a zone's own: it halves with each step in which nobody answers and
// grows with each other one. While few look-ups are under way, nobody is turned away.
type crowds struct {
	mu  sync.Mutex
	all map[string]*crowd // by zone, in wire form and folded
}

type crowd struct {
	waiting int
	room    int
	used    time.Time
}

const (
	mostRoom  = 1024 // questions to the servers of one zone at the same time
	leastRoom = 16
	moreRoom  = 8 // for each step that succeeds
	forgetFor = time.Minute
	maxCrowds = 10_000
	calmBelow = 256 // look-ups at the same time: then there is room for all
)

// busy is how many look-ups are under way.
func (it *Iterator) busy() int { return int(it.active.Load()) }

// enter lets one more question to zone's servers in, or says why not.
func (c *crowds) enter(zone dns.Name, busy int, now time.Time) error {
	key := zone.Fold().Wire()
	c.mu.Lock()
	defer c.mu.Unlock()
	z := c.all[key]
	if z == nil || z.waiting == 0 && now.Sub(z.used) > forgetFor {
		c.makeRoom()
		z = &crowd{room: mostRoom}
		c.all[key] = z
	}
	if z.waiting >= z.room && busy >= calmBelow {
		f := failure(dns.EDENoReachableAuthority, "too many questions wait for the servers of %s", zone)
		f.crowded = true
		return f
	}
	z.waiting++
	z.used = now
	return nil
}

// leave is the end of what enter began.
func (c *crowds) leave(zone dns.Name, isSilent bool, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	z := c.all[zone.Fold().Wire()]
	if z == nil {
		return
	}
	z.waiting = max(0, z.waiting-1)
	z.used = now
	if isSilent {
		z.room = max(z.room/2, leastRoom)
		return
	}
	z.room = min(z.room+moreRoom, mostRoom)
}

// makeRoom forgets zones that nobody waits for where there are too many; mu is held.
func (c *crowds) makeRoom() {
	for key, z := range c.all {
		if len(c.all) < maxCrowds {
			return
		}
		if z.waiting == 0 {
			delete(c.all, key)
		}
	}
}
