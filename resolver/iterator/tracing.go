package iterator

import (
	"onoma/dns"
)

// trace fills in what all events have and tells whoever listens.
func (t *task) trace(e Event) {
	e.ID, e.Depth, e.Time = t.id, max(0, len(t.stack)-1), t.it.Env.Now()
	if t.it.Tracer != nil {
		t.it.Tracer.Trace(e)
	}
	if t.opts.Tracer != nil {
		t.opts.Tracer.Trace(e)
	}
}

// traced reports whether anybody listens.
func (t *task) traced() bool { return t.it.Tracer != nil || t.opts.Tracer != nil }

func (t *task) traceStart() {
	if t.traced() {
		t.trace(Event{Kind: EventStart, Question: t.question})
	}
}

func (t *task) traceEnd(a *Answer, err error) {
	if !t.traced() {
		return
	}
	e := Event{Kind: EventEnd, Question: t.question, Err: err, Cost: t.budget.Cost(), Outcome: OutcomeError, RCode: dns.RCodeServFail}
	if a != nil {
		e.RCode, e.TTL, e.Answer = a.RCode, a.TTL, records(a.Chain, false)
		e.Outcome = endOutcome(a)
	}
	t.trace(e)
}

func endOutcome(a *Answer) Outcome {
	switch {
	case a.RCode == dns.RCodeNXDomain:
		return OutcomeNXDomain
	case len(a.Authority) > 0 || len(a.Chain) == 0:
		return OutcomeNoData
	}
	return OutcomeAnswer
}

func (t *task) traceCached(q dns.Question, f *finding, local bool) {
	if t.traced() {
		t.trace(Event{
			Kind: EventCached, Question: q, Local: local, Outcome: f.outcome, RCode: f.rcode,
			Answer: records(f.chain, false), Target: f.target, TTL: f.ttl,
		})
	}
}

func (t *task) traceNSLookup(zone dns.Name, q dns.Question) {
	if t.traced() {
		t.trace(Event{Kind: EventNSLookup, Question: q, Zone: zone, Server: q.Name})
	}
}

func (t *task) traceShared(zone dns.Name, q dns.Question, r *reply) {
	if t.traced() {
		e := Event{Kind: EventShared, Question: t.question, Zone: zone, Sent: q}
		e.fromReply(t, r)
		t.trace(e)
	}
}

func (t *task) traceAsk(x *exchange) {
	if t.traced() {
		e := t.exchangeEvent(EventAsk, x)
		t.trace(e)
	}
}

func (t *task) traceReply(a *attempt) {
	if !t.traced() {
		return
	}
	e := t.exchangeEvent(EventReply, &a.exchange)
	e.RTT, e.Size, e.Err, e.Outcome = a.end.Sub(a.start), a.size, a.err, OutcomeError
	e.fromReply(t, a.reply)
	t.trace(e)
}

func (t *task) exchangeEvent(kind EventKind, x *exchange) Event {
	return Event{Kind: kind, Question: t.question, Zone: x.zone, Server: x.name, Addr: x.to.Addr, Proto: x.to.Proto, Sent: x.q}
}

// fromReply tells what a reply means and for how long that is remembered, the
// lease of the zone aside.
func (e *Event) fromReply(t *task, r *reply) {
	if r == nil {
		return
	}
	limits := &t.it.Limits
	e.Outcome, e.RCode, e.AA, e.Reason, e.Target = r.outcome, r.rcode, r.aa, r.reason, r.target
	e.Answer = records(r.chain, false)
	switch r.outcome {
	case OutcomeReferral:
		e.Child = r.child.zone
		e.TTL = min(r.child.ttl, seconds(limits.MaxTTL))
		for _, s := range r.child.servers {
			e.Servers = append(e.Servers, s.Name)
		}
	case OutcomeNoData, OutcomeNXDomain:
		e.TTL = min(r.negTTL, seconds(limits.MaxNegativeTTL))
		e.Answer = append(e.Answer, records(r.authority, false)...)
	default:
		for i, set := range r.chain {
			if ttl := min(set.TTL, seconds(limits.MaxTTL)); i == 0 || ttl < e.TTL {
				e.TTL = ttl
			}
		}
	}
}

// traceLocal tells of an answer from a zone in memory.
func (t *task) traceLocal(route *Route, q dns.Question, r *reply) {
	if t.traced() {
		e := Event{Kind: EventCached, Question: q, Local: true, Zone: route.Zone}
		e.fromReply(t, r)
		t.trace(e)
	}
}
