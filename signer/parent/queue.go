package parent

import (
	"container/heap"
	"net/netip"
	"time"
)

// job is something to be asked or said, again and again. What it brings is for the zone that it belongs to.
type job struct {
	zone    *watched
	kind    kind
	place   netip.AddrPort // whom it goes to; the zero AddrPort: the resolver
	due     time.Time      // meaningless unless it is in the timers
	at      int            // in timers, -1: not there
	phase   phase
	again   bool // it is to be done once more, as soon as what is under way has ended
	isBegun bool // it was done at least once
	tries   int  // without success, since it was last set going
}

type kind uint8

const (
	finding kind = iota // who serves the parent
	looking             // at the DS set of one server
	telling             // NOTIFY
	pushing             // UPDATE
)

type phase uint8

const (
	rests  phase = iota // its timer runs, or there is nothing to be done
	queued              // in place.ready
	flying
	gone // let go: nobody wants to know any more
)

// place is a server, or the resolver: it is asked so many things at once, and no more.
type place struct {
	ready  []*job
	flying int
	isBusy bool // in queue.busy
}

// queue decides what is done when. One that does not answer delays nobody else.
type queue struct {
	most, each int
	places     map[netip.AddrPort]*place
	busy       []netip.AddrPort // that have something ready and room for it, the next one first
	timers     timers
	flying     int
}

// later has j done at that time, unless it is on its way already.
func (q *queue) later(j *job, at time.Time) {
	switch j.phase {
	case gone, queued:
		return
	case flying:
		j.again = true
		return
	}
	q.unset(j)
	j.due = at
	heap.Push(&q.timers, j)
}

// now has it done as soon as there is room.
func (q *queue) now(j *job) {
	switch j.phase {
	case flying:
		j.again = true
	case rests:
		q.unset(j)
		j.phase = queued
		p := q.places[j.place]
		if p == nil {
			p = &place{}
			q.places[j.place] = p
		}
		p.ready = append(p.ready, j)
		q.engage(j.place, p)
	}
}

// engage puts a place in the row of those that have something to do.
func (q *queue) engage(a netip.AddrPort, p *place) {
	if !p.isBusy && len(p.ready) > 0 && p.flying < q.each {
		p.isBusy = true
		q.busy = append(q.busy, a)
	}
}

// next returns what is to be done now, and when there will be more if nothing happens; the zero Time: never.
func (q *queue) next(now time.Time) (out []*job, wake time.Time) {
	for len(q.timers) > 0 && !q.timers[0].due.After(now) {
		q.now(q.timers[0])
	}
	for len(q.busy) > 0 && q.flying < q.most {
		a := q.busy[0]
		q.busy = q.busy[1:]
		p := q.places[a]
		p.isBusy = false
		if j := p.take(); j != nil {
			j.phase, j.again, j.isBegun = flying, false, true
			p.flying++
			q.flying++
			out = append(out, j)
		}
		q.engage(a, p)
		q.tidy(a, p)
	}
	if len(q.timers) > 0 {
		wake = q.timers[0].due
	}
	return out, wake
}

// take returns the first that is still to be done.
func (p *place) take() *job {
	for len(p.ready) > 0 {
		j := p.ready[0]
		p.ready[0] = nil
		p.ready = p.ready[1:]
		if j.phase == queued {
			return j
		}
	}
	return nil
}

// done takes that j has come back. It reports whether anybody still wants to know what it brought.
func (q *queue) done(j *job) bool {
	q.flying--
	if p := q.places[j.place]; p != nil {
		p.flying--
		q.engage(j.place, p)
		q.tidy(j.place, p)
	}
	if j.phase == gone {
		return false
	}
	j.phase = rests
	return true
}

// tidy forgets a place where nothing is to be done.
func (q *queue) tidy(a netip.AddrPort, p *place) {
	if p.flying == 0 && len(p.ready) == 0 && !p.isBusy {
		delete(q.places, a)
	}
}

// drop lets j go. In place.ready it is passed over.
func (q *queue) drop(j *job) {
	if j != nil {
		q.unset(j)
		j.phase = gone
	}
}

func (q *queue) unset(j *job) {
	if j.at >= 0 {
		heap.Remove(&q.timers, j.at)
	}
}

// timers is a heap by job.due.
type timers []*job

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].at, t[j].at = i, j
}

// Push is for container/heap.
func (t *timers) Push(x any) {
	j := x.(*job)
	j.at = len(*t)
	*t = append(*t, j)
}

// Pop is for container/heap.
func (t *timers) Pop() any {
	old := *t
	j := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	j.at = -1
	return j
}
