package delegation

import (
	"context"
	"errors"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// outcome is what a look has led to: for people, and for the schedule.
type outcome struct {
	report Report
	ended  ended
	taken  acceptance // what was taken of the child, if anything was
}

// request is a look that is to be made.
type request struct {
	key
	kinds    kinds
	because  string
	before   seenBefore
	approved bool
}

// look looks at a child, and has changed what follows from it.
func (d *Desk) look(ctx context.Context, p *parent, r request) outcome {
	began := d.o.Clock()
	ctx, cancel := context.WithTimeout(ctx, 4*d.o.Timeout)
	defer cancel()
	o := outcome{report: Report{Parent: r.parent, Child: r.child, At: began, Because: r.because}}
	d.examine(ctx, p, r, &o)
	o.report.Took = d.o.Clock().Sub(began)
	if !o.ended.since.IsZero() {
		o.ended.until = o.ended.since.Add(p.Policy.Bootstrap.Delay)
	}
	o.ended.verdict = worst(o.report.DS, o.report.CSYNC)
	return o
}

// worst is the verdict that counts for both sides together: a change first, and then what
// somebody should know.
func worst(list ...Outcome) Verdict {
	for _, v := range []Verdict{Changed, Refused, Waits} {
		for _, o := range list {
			if o.Looked && o.Verdict == v {
				return v
			}
		}
	}
	return Unchanged
}

// failed notes for both sides why nothing follows.
func (o *outcome) failed(what kinds, v Verdict, retry bool, why string) {
	for _, side := range []struct {
		kind kinds
		out  *Outcome
	}{{kindDS, &o.report.DS}, {kindCSYNC, &o.report.CSYNC}} {
		if what&side.kind != 0 {
			*side.out = Outcome{Looked: true, Verdict: v, Why: why}
		}
	}
	if retry {
		o.ended.again |= what
	}
}

func (d *Desk) examine(ctx context.Context, p *parent, r request, o *outcome) {
	o.ended.since, o.ended.print = r.before.since, r.before.print
	v := d.o.Zone(r.parent)
	if v == nil {
		o.failed(r.kinds, Waits, true, "the parent's zone is not served now")
		return
	}
	was, ok := read(v, r.child)
	if !ok {
		o.ended.since = time.Time{}
		o.failed(r.kinds, Unchanged, false, "it is not delegated")
		return
	}
	places, err := d.places(ctx, v, hostsOf(was.NS))
	if err != nil {
		o.failed(r.kinds, Waits, true, err.Error())
		return
	}
	l := &look{was: was, policy: &p.Policy, approved: r.approved, now: d.o.Clock(), accepted: p.acceptedOf(r.child)}
	l.servers = d.survey(ctx, was.Child, places, apexTypes(r.kinds))
	o.report.Servers = describeServers(l.servers)
	order := Order{Parent: r.parent, Was: was}
	if r.kinds&kindDS != 0 {
		d.examineDS(ctx, l, r, o, &order)
	}
	if r.kinds&kindCSYNC != 0 {
		d.examineSync(ctx, v, l, o, &order)
	}
	d.keep(ctx, p, r, o, order)
}

// examineDS decides on the DS set, and adds to the order what follows.
func (d *Desk) examineDS(ctx context.Context, l *look, r request, o *outcome, order *Order) {
	w := decideDS(l)
	after := seenBefore{}
	switch {
	case w.verdict == Changed && w.first:
		w, after = d.bootstrap(ctx, l, w, r.before)
	case w.verdict == Waits:
		after = r.before // nobody has said anything else
	}
	o.ended.since, o.ended.print = after.since, after.print
	if w.retry {
		o.ended.again |= kindDS
	}
	o.report.DS = Outcome{Looked: true, Verdict: w.verdict, Why: w.why}
	if w.verdict == Changed {
		order.replace(l.was.DS, dsRecords(l.was, w.ds, l.policy.TTL))
		order.Why, o.taken = w.why, w.taken
	}
}

// examineSync decides on NS and glue, and adds to the order what follows.
func (d *Desk) examineSync(ctx context.Context, v *zone.Version, l *look, o *outcome, order *Order) {
	if o.report.DS.Looked && o.report.DS.Verdict == Changed {
		// What is proven is proven under the DS set that goes.
		o.report.CSYNC = Outcome{Looked: true, Verdict: Waits, Why: "the DS set comes first"}
		o.ended.again |= kindCSYNC
		return
	}
	s := d.decideSync(ctx, v, l)
	o.report.CSYNC = Outcome{Looked: true, Verdict: s.verdict, Why: s.why}
	if s.retry {
		o.ended.again |= kindCSYNC
	}
	if s.verdict == Changed {
		order.replace(l.was.NS, nsRecords(l.was, s.ns))
		order.replace(l.was.Glue, glueRecords(l.was, s.glue))
		order.spare(v)
		order.Why, o.taken = s.why, s.taken
	}
}

// decideSync asks what a CSYNC needs to be known, step by step, and decides.
func (d *Desk) decideSync(ctx context.Context, v *zone.Version, l *look) syncDecision {
	plan, err := planSync(l)
	switch {
	case err != nil:
		return syncDecision{verdict: err.verdict, retry: err.retry, why: err.why}
	case plan == nil:
		return syncDecision{why: "the child publishes no CSYNC"}
	}
	l.servers = d.revisit(ctx, l.servers, plan.questions(l.was.Child))
	s := decideSync(l, plan)
	if s.verdict != Changed {
		return s
	}
	if err := d.admitNew(ctx, v, l, &s); err != nil {
		return syncDecision{verdict: err.verdict, retry: err.retry, why: err.why}
	}
	return s
}

// admitNew asks the servers that the delegation would lead to and does not yet.
func (d *Desk) admitNew(ctx context.Context, v *zone.Version, l *look, s *syncDecision) *verdictError {
	var places []place
	for _, data := range s.ns {
		host := nameOf(data)
		addrs := appendAddrs(appendAddrs(nil, glueFor(s.glue, host, dns.TypeA)), glueFor(s.glue, host, dns.TypeAAAA))
		var err error
		if len(addrs) > 0 {
			addrs, err = d.fit(addrs)
		} else {
			addrs, err = d.addresses(ctx, v, host)
		}
		if err != nil {
			return wait("the name server %s: %v", host, err)
		}
		for _, a := range addrs {
			if !wasAsked(l.servers, a) {
				places = append(places, place{host, a})
			}
		}
	}
	if len(places) > maxServers {
		return refuse("the new name servers have %d addresses: at most %d are asked", len(places), maxServers)
	}
	for _, seen := range d.survey(ctx, l.was.Child, places, []dns.Type{dns.TypeSOA, dns.TypeDNSKEY}) {
		if err := admit(l, &seen); err != nil {
			return err
		}
	}
	return nil
}

// keep has the order carried out, and notes what has come of it.
func (d *Desk) keep(ctx context.Context, p *parent, r request, o *outcome, order Order) {
	if len(order.Remove)+len(order.Add) == 0 {
		return
	}
	// Before the change: what is older is not taken any more, however the change ends.
	p.accept(r.child, o.taken, d.o.Clock())
	receipt, err := p.keeper(d)(ctx, order)
	if err == nil {
		o.report.Receipt = &receipt
		return
	}
	v, why := Waits, "changing the delegation: "+err.Error()
	var refusal *zone.Refusal
	if errors.As(err, &refusal) {
		v = Refused
	}
	for _, side := range []struct {
		kind kinds
		out  *Outcome
	}{{kindDS, &o.report.DS}, {kindCSYNC, &o.report.CSYNC}} {
		if side.out.Verdict == Changed {
			side.out.Verdict, side.out.Why = v, why
			o.ended.again |= side.kind
		}
	}
}
