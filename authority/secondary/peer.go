package secondary

import (
	"container/heap"
	"time"
)

// peer is a primary, of any number of zones.
type peer struct {
	primary Primary
	users   int         // zones
	queues  [2][2]queue // by class; what is urgent first
	listed  [2][2]bool  // it is in machine.ready
	counts  [2]int      // under way, by class
	fails   int         // in a row: it could not be reached
	until   time.Time   // it is left alone, since it could not be reached
	rests   bool        // it is in machine.resting
}

// queue has the places of zones, the one that came first, first. Places of zones
// that have gone elsewhere are passed over.
type queue []place

type place struct {
	m      *member
	ticket uint32
}

func (q *queue) push(m *member) { *q = append(*q, place{m, m.ticket}) }

// pop returns the first zone that still waits in this place, nil where none does.
func (q *queue) pop() *member {
	for len(*q) > 0 {
		p := (*q)[0]
		(*q)[0] = place{}
		if *q = (*q)[1:]; len(*q) == 0 {
			*q = nil
		}
		if p.waits() {
			return p.m
		}
	}
	return nil
}

func (p place) waits() bool {
	return !p.m.removed && p.m.phase == Queued && p.m.ticket == p.ticket
}

// The times for which a primary is left alone that could not be reached.
const (
	firstRest   = time.Second
	longestRest = time.Minute
)

// isDown reports whether nobody should wait for the primary.
func (p *peer) isDown(now time.Time) bool { return p.fails > 0 && now.Before(p.until) }

// isOpen reports whether one more question may be sent. A primary that could not
// be reached gets one at a time.
func (p *peer) isOpen(now time.Time) bool {
	return p.fails == 0 || !now.Before(p.until) && p.counts[classCheck]+p.counts[classTransfer] == 0
}

// unreached notes that the primary could not be reached.
func (c *machine) unreached(p *peer, now time.Time) {
	if p.fails > 0 && now.Before(p.until) {
		return // one of several that failed together
	}
	p.until = now.Add(min(firstRest<<min(p.fails, 10), longestRest))
	p.fails++
	if p.rests {
		heap.Init(&c.resting)
		return
	}
	p.rests = true
	heap.Push(&c.resting, p)
}

// use notes that n zones more have these primaries. One that no zone has is
// forgotten.
func (c *machine) use(primaries []Primary, n int) {
	for _, to := range primaries {
		p := c.peers[to]
		if p == nil {
			p = &peer{primary: to}
			c.peers[to] = p
		}
		if p.users += n; p.users == 0 {
			delete(c.peers, to)
		}
	}
}

// list has zones that wait for p looked after.
func (c *machine) list(p *peer) {
	for class := range p.queues {
		for urgency := range p.queues[class] {
			if len(p.queues[class][urgency]) > 0 && !p.listed[class][urgency] {
				p.listed[class][urgency] = true
				c.ready[class][urgency] = append(c.ready[class][urgency], p)
			}
		}
	}
}

// dispatch begins what may begin, what is urgent first, one primary after the
// other. A primary that must wait is left out until it is listed again: when
// something with it has ended, or its rest has.
func (c *machine) dispatch(now time.Time) (wake time.Time) {
	for len(c.resting) > 0 && !c.resting[0].until.After(now) {
		c.list(heap.Pop(&c.resting).(*peer))
	}
	for class := range c.ready {
		for urgency := range c.ready[class] {
			ready := &c.ready[class][urgency]
			for len(*ready) > 0 && c.counts[class] < c.most.all[class] {
				p := (*ready)[0]
				(*ready)[0] = nil
				*ready = (*ready)[1:]
				p.listed[class][urgency] = false
				if c.begin(p, class, urgency, now) {
					c.list(p)
				}
			}
		}
	}
	if len(c.resting) > 0 {
		wake = c.resting[0].until
	}
	return wake
}

// begin has the primary asked for one zone, if one waits and may go.
func (c *machine) begin(p *peer, class, urgency int, now time.Time) bool {
	if !p.isOpen(now) || p.counts[class] >= c.most.each[class] {
		return false
	}
	m := p.queues[class][urgency].pop()
	if m == nil {
		return false
	}
	c.counts[class]++
	p.counts[class]++
	m.phase = Checking
	if m.task != taskCheck {
		m.phase = Transferring
	}
	c.out = append(c.out, action{
		task: m.task, m: m, ticket: m.ticket, id: m.id,
		primary: p.primary, limits: m.cfg.Limits, signer: m.signer, source: m.source,
	})
	return true
}

// rests is a heap of primaries that are left alone, the one whose rest ends first
// on top.
type rests []*peer

func (r rests) Len() int           { return len(r) }
func (r rests) Less(i, j int) bool { return r[i].until.Before(r[j].until) }
func (r rests) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }

// Push is heap.Push's.
func (r *rests) Push(x any) { *r = append(*r, x.(*peer)) }

// Pop is heap.Pop's.
func (r *rests) Pop() any {
	last := len(*r) - 1
	p := (*r)[last]
	(*r)[last] = nil
	*r = (*r)[:last]
	p.rests = false
	return p
}
