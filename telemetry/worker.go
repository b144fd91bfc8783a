package telemetry

import (
	"onoma/dns"
	"onoma/telemetry/dnstap"
	"onoma/transport"
)

// worker answers by another Worker and takes notes.
type worker struct {
	hub    *Hub
	role   dnstap.Role
	inner  transport.Worker
	own    *lane // nil before the first query over UDP
	shared *lane

	glance   glance
	deferred bool         // this query was detached
	toTaps   uint8        // a bit for each tap that is told of this query
	toTop    bool         // this query is one that heavy hitters are looked for in
	tapLeft  [maxTaps]int // queries until the next such
	topLeft  int
	dice     uint64 // of xorshift, never 0
	event    dnstap.Event
	fold     [dns.MaxNameLen]byte
}

// Prepare lets the inner Worker see a batch, where it wants to.
func (w *worker) Prepare(msgs [][]byte) {
	if p, ok := w.inner.(transport.Preparer); ok {
		p.Prepare(msgs)
	}
}

// Answer lets the inner Worker answer, and notes what it said.
func (w *worker) Answer(dst []byte, q *transport.Query) []byte {
	w.deferred = false
	w.choose()
	q.SetTap(w)
	out := w.inner.Answer(dst, q)
	w.glance.read(q.Msg)
	if q.Proto == transport.UDP {
		if w.own == nil {
			w.own = w.hub.lease(w)
		}
		w.note(w.own, q, out)
		return out
	}
	w.shared.mu.Lock()
	w.note(w.shared, q, out)
	w.shared.mu.Unlock()
	return out
}

// choose decides whether this query is one of those that are looked at more closely.
func (w *worker) choose() {
	w.toTaps, w.toTop = 0, false
	for i, tap := range w.hub.opts.Taps {
		if w.tapLeft[i]--; w.tapLeft[i] < 0 {
			w.toTaps |= 1 << i
			w.tapLeft[i] = tap.Sample() - 1
		}
	}
	if n := w.hub.opts.TopSample; n > 0 {
		if w.topLeft--; w.topLeft < 0 {
			w.toTop, w.topLeft = true, w.gap(n)
		}
	}
}

// gap returns how many queries to leave out, n-1 on average: at random, so that what comes at regular intervals is seen as
// often as everything else.
func (w *worker) gap(n int) int {
	w.dice ^= w.dice << 13
	w.dice ^= w.dice >> 7
	w.dice ^= w.dice << 17
	return int(w.dice % uint64(2*n-1))
}

// note writes down a query, and its answer if there is one.
func (w *worker) note(l *lane, q *transport.Query, out []byte) {
	g := &w.glance
	l.query(q, g)
	var rcode dns.RCode
	switch {
	case len(out) >= dns.HeaderLen:
		rcode = l.answer(q.Proto, out, g.end)
	case w.deferred:
		l.counters.deferred.add(1)
	default:
		l.unanswered.add(1)
	}
	for i, tap := range w.hub.opts.Taps {
		if w.toTaps&(1<<i) != 0 {
			w.tell(tap, l.rings[i], q, out)
		}
	}
	if w.toTop {
		w.sample(l, q, rcode, out)
	}
}

func (w *worker) tell(tap *dnstap.Output, ring *dnstap.Ring, q *transport.Query, out []byte) {
	e := &w.event
	e.Query, e.Answer = nil, nil
	if tap.Queries() {
		e.Query = q.Msg
	}
	e.QueryTime, e.AnswerTime = q.Now, 0
	if tap.Responses() && len(out) > 0 {
		e.Answer = out
		e.AnswerTime = w.hub.opts.Clock().UnixNano()
	}
	if e.QueryTime == 0 { // nobody has looked at the clock: now is soon enough after it
		e.QueryTime = e.AnswerTime
		if e.QueryTime == 0 {
			e.QueryTime = w.hub.opts.Clock().UnixNano()
		}
	}
	e.Client, e.Local, e.Proto, e.Role = q.Client, q.Local, q.Proto, w.role
	if len(e.Query)+len(e.Answer) > 0 {
		ring.Put(e)
	}
	e.Query, e.Answer = nil, nil
}

// sample looks for heavy hitters in a query.
func (w *worker) sample(l *lane, q *transport.Query, rcode dns.RCode, out []byte) {
	name := dns.AppendFolded(w.fold[:0], w.glance.name)
	var denied []byte
	if rcode == dns.RCodeNXDomain {
		denied = suffix(name, out, w.glance.end)
	}
	l.heavy.add(name, q.Client.Addr(), denied)
}

// Detached is told that the query will be answered later, by another goroutine.
func (w *worker) Detached(q *transport.Query) func(msg []byte) {
	w.deferred = true
	w.glance.read(q.Msg)
	p := &later{hub: w.hub, lane: w.shared, since: w.hub.opts.Clock().UnixNano(), end: w.glance.end}
	p.event = dnstap.Event{Client: q.Client, Local: q.Local, Proto: q.Proto, Role: w.role, QueryTime: q.Now}
	if p.event.QueryTime == 0 {
		p.event.QueryTime = p.since
	}
	for i, tap := range w.hub.opts.Taps {
		if w.toTaps&(1<<i) != 0 && tap.Responses() {
			p.toTaps |= 1 << i
		}
	}
	if w.toTop {
		p.name = dns.AppendFolded(nil, w.glance.name)
	}
	return p.see
}

// later notes the answers to a detached query: one, or several of a zone transfer.
type later struct {
	hub    *Hub
	lane   *lane
	since  int64
	end    int
	toTaps uint8
	name   []byte // folded; nil: no heavy hitter is looked for
	seen   bool   // an answer, by whoever holds the lane's mutex
	event  dnstap.Event
}

func (p *later) see(msg []byte) {
	if len(msg) < dns.HeaderLen {
		return
	}
	now := p.hub.opts.Clock().UnixNano()
	l := p.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	rcode := l.answer(p.event.Proto, msg, p.end)
	if !p.seen {
		l.wait(now - p.since)
	}
	p.seen = true
	for i := range p.hub.opts.Taps {
		if p.toTaps&(1<<i) != 0 {
			e := p.event
			e.Answer, e.AnswerTime = msg, now
			l.rings[i].Put(&e)
		}
	}
	if p.name != nil && rcode == dns.RCodeNXDomain {
		l.heavy.deny(suffix(p.name, msg, p.end))
	}
}
