package delegation

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"onoma/dns"
	"onoma/zone"
)

const (
	scanTick = time.Second // how often scans go on
	saveTick = time.Second // how often states are saved that have changed
)

// Run looks at children until ctx ends, and for what is being looked at then.
func (d *Desk) Run(ctx context.Context) error {
	r := &runner{d: d, done: make(chan bool)}
	var saver sync.WaitGroup
	saver.Go(func() { d.saveNowAndThen(ctx) })
	for ctx.Err() == nil {
		wait := time.NewTimer(r.start(ctx))
		select {
		case <-ctx.Done():
		case <-d.wake:
		case <-wait.C:
		case idle := <-r.done:
			r.ended(idle)
		}
		wait.Stop()
	}
	for r.running > 0 {
		r.ended(<-r.done)
	}
	saver.Wait()
	return nil
}

// runner has the looks that are under way.
type runner struct {
	d             *Desk
	running, idle int       // idle: of those, the ones that nobody waits for
	done          chan bool // one of them has ended
}

func (r *runner) ended(idle bool) {
	r.running--
	if idle {
		r.idle--
	}
}

// start starts what is to be done now, and returns how long nothing else is.
func (r *runner) start(ctx context.Context) time.Duration {
	d := r.d
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.o.Clock()
	wait := time.Hour
	if d.scanAll(now) {
		wait = scanTick
	}
	// A quarter of the room is for news, however many children hang in a scan.
	for r.running < d.o.Parallel {
		t := d.schedule.next(now, r.idle < d.o.Parallel-d.o.Parallel/4)
		if t == nil {
			break
		}
		idle := t.idle
		if r.running++; idle {
			r.idle++
		}
		go func() {
			d.work(ctx, t)
			r.done <- idle
		}()
	}
	if due, ok := d.schedule.wake(); ok {
		wait = min(wait, max(due.Sub(now), time.Millisecond))
	}
	return wait
}

// scanAll goes on with all scans, and says whether there are any.
func (d *Desk) scanAll(now time.Time) bool {
	any := false
	for id, p := range d.parents {
		if p.Policy.Scan == 0 {
			continue
		}
		any = true
		v := d.o.Zone(id)
		if v == nil {
			continue
		}
		p.mu.Lock()
		before := p.scan.cursor
		p.scan.step(v, &p.Policy, now, func(child dns.Name, what kinds) bool {
			return d.schedule.scan(key{id, child}, what, now)
		})
		p.dirty = p.dirty || p.scan.cursor != before
		p.mu.Unlock()
	}
	return any
}

// work looks at the child of a task.
func (d *Desk) work(ctx context.Context, t *task) {
	d.mu.Lock()
	p := d.parents[t.parent]
	r := request{key: t.key, kinds: t.kinds, because: t.because, before: seenBefore{t.since, t.print}}
	d.mu.Unlock()
	if p == nil {
		d.mu.Lock()
		d.schedule.drop(t)
		d.mu.Unlock()
		return
	}
	o := d.look(ctx, p, r)
	d.mu.Lock()
	o.report.Next = d.schedule.done(t, o.ended, &p.Policy, d.o.Clock())
	d.settle(p, r, &o)
	d.mu.Unlock()
	d.tell(&o.report)
	d.stir()
}

// settle notes a look's end. The caller holds d.mu.
func (d *Desk) settle(p *parent, r request, o *outcome) {
	d.recent.add(r.key, &o.report)
	if !r.before.since.Equal(o.ended.since) {
		p.mu.Lock()
		p.dirty = true
		p.mu.Unlock()
	}
}

// tell logs what somebody may want to know.
func (d *Desk) tell(r *Report) {
	for _, side := range []struct {
		what string
		out  Outcome
	}{{"DS", r.DS}, {"CSYNC", r.CSYNC}} {
		level := slog.LevelDebug
		switch {
		case !side.out.Looked:
			continue
		case side.out.Verdict == Changed:
			level = slog.LevelInfo
		case side.out.Verdict == Refused:
			level = slog.LevelWarn
		}
		d.o.Log.Log(context.Background(), level, "delegation looked at", "parent", r.Parent, "child", r.Child, "side", side.what,
			"verdict", side.out.Verdict.String(), "why", side.out.Why, "because", r.Because, "took", r.Took)
	}
}

// saveNowAndThen keeps the states of parents in the store, until ctx ends and then once
// more.
func (d *Desk) saveNowAndThen(ctx context.Context) {
	tick := time.NewTicker(saveTick)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		d.saveAll(context.WithoutCancel(ctx))
	}
}

// saveAll saves what has changed. One caller at a time.
func (d *Desk) saveAll(ctx context.Context) {
	if d.o.Save == nil {
		return
	}
	d.mu.Lock()
	parents := make([]*parent, 0, len(d.parents))
	for _, p := range d.parents {
		parents = append(parents, p)
	}
	d.mu.Unlock()
	for _, p := range parents {
		err := d.save(ctx, p)
		if err != nil && !p.unsaved {
			d.o.Log.Error("delegations: the state is not saved, and is tried again each second", "parent", p.ID, "error", err)
		}
		p.unsaved = err != nil
	}
}

func (d *Desk) save(ctx context.Context, p *parent) error {
	if !p.isDirty() {
		return nil
	}
	d.mu.Lock()
	delays := make(map[key]seenBefore)
	for k, t := range d.schedule.tasks {
		if k.parent == p.ID && !t.since.IsZero() {
			delays[k] = seenBefore{t.since, t.print}
		}
	}
	d.mu.Unlock()
	b := p.save(delays, d.o.Clock())
	if b == nil {
		return nil
	}
	err := d.o.Save(ctx, p.ID, b)
	if err != nil {
		p.mu.Lock()
		p.dirty = true
		p.mu.Unlock()
	}
	return err
}

// Look looks at a child now, for a person, and has changed what follows. With approve it
// takes a CSYNC too that waits for that (RFC 7477 §2.1.1.2.1).
func (d *Desk) Look(ctx context.Context, id zone.ID, child dns.Name, approve bool) (Report, error) {
	id = zone.IDOf(id.View, id.Name)
	r := request{key: key{id, child.Fold()}, because: becauseAsked, approved: approve}
	d.mu.Lock()
	p := d.parents[id]
	if t := d.schedule.tasks[r.key]; t != nil {
		r.before = seenBefore{t.since, t.print}
	}
	d.mu.Unlock()
	switch {
	case p == nil:
		return Report{}, fmt.Errorf("%s: %w", id, ErrUnknown)
	case !p.Policy.watches(r.child):
		return Report{}, fmt.Errorf("%s is not looked at: the policy of %s leaves it out", child, id)
	}
	if p.Policy.DS {
		r.kinds |= kindDS
	}
	if p.Policy.CSYNC {
		r.kinds |= kindCSYNC
	}
	o := d.look(ctx, p, r)
	now := d.o.Clock()
	d.mu.Lock()
	if !o.ended.until.IsZero() {
		o.report.Next = o.ended.nextOfDelay(now)
		d.schedule.restore(r.key, o.ended.since, o.ended.print, o.report.Next)
	}
	d.settle(p, r, &o)
	d.mu.Unlock()
	d.tell(&o.report)
	d.stir()
	return o.report, nil
}

// State is what is known of a child.
type State struct {
	Parent  zone.ID
	Child   dns.Name
	Pending string    // "", "waits", "ready", "running", "rests"
	Because string    // of what is pending
	Due     time.Time // that it is looked at, or may be again
	Since   time.Time // a first DS has been seen since then, and is taken after the policy's delay
	Last    *Report   // of the last look, if it was one of the last thousand
}

// State returns what is known of a child.
func (d *Desk) State(id zone.ID, child dns.Name) State {
	k := key{zone.IDOf(id.View, id.Name), child.Fold()}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stateOf(k)
}

func (d *Desk) stateOf(k key) State {
	s := State{Parent: k.parent, Child: k.child, Last: d.recent.reports[k]}
	if t := d.schedule.tasks[k]; t != nil {
		s.Pending = [...]string{"waits", "ready", "running", "rests"}[t.phase]
		s.Because, s.Due, s.Since = t.because, t.due, t.since
	}
	return s
}

// Pending returns the children of which something is pending, at most limit.
func (d *Desk) Pending(limit int) []State {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []State
	for k, t := range d.schedule.tasks {
		if t.phase == resting && t.again == 0 {
			continue
		}
		if len(out) == limit {
			break
		}
		out = append(out, d.stateOf(k))
	}
	return out
}
