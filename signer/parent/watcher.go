package parent

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// Watcher watches the parents of zones. Make it with New and have it Run.
type Watcher struct {
	options  Options
	exchange func(ctx context.Context, proto transport.Proto, server netip.AddrPort, query, buf []byte) (transport.Reply, error)
	wake     chan struct{}

	mu   sync.Mutex
	core *core

	alarms map[zone.ID]string // that the log has; they belong to Run's goroutine

	answered, failed atomic.Uint64 // looks at servers
}

// New returns a Watcher that asks nobody before it runs.
func New(o Options) *Watcher {
	for _, x := range []struct {
		n       *int
		without int
	}{{&o.Most, 64}, {&o.MostEach, 16}} {
		if *x.n <= 0 {
			*x.n = x.without
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Spread <= 0 {
		o.Spread = 10 * time.Minute
	}
	if o.Port == 0 {
		o.Port = 53
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	w := &Watcher{options: o, exchange: o.Exchange, wake: make(chan struct{}, 1), core: newCore(o, rand.Int64N), alarms: make(map[zone.ID]string)}
	if w.exchange == nil {
		w.exchange = clients(o).exchange
	}
	return w
}

// Set takes a zone, or how it now is. It is first looked at within Options.Spread; Wake has it looked at at once.
func (w *Watcher) Set(z Zone) { w.do(func(now time.Time) { w.core.set(z, now) }) }

// Expect takes what the parent should have from now on, and if that is another than before has the parent's servers looked
// at now and often, until they have it.
func (w *Watcher) Expect(id zone.ID, want Wanted) {
	w.with(id, func(z *watched, now time.Time) { w.core.expect(z, want, now) })
}

// Wake has the parent's servers looked at now, and then often as long as they don't have what is wanted.
func (w *Watcher) Wake(id zone.ID) {
	w.with(id, func(z *watched, now time.Time) { w.core.wake(z, now) })
}

// Tell tells the parent that the zone has other records of the type: CDS, which stands for CDNSKEY too, or CSYNC. It is to
// be called when all servers of the zone have them (RFC 9859 §4.2). For CDS the DS set is pushed, too, where the zone has a Push.
func (w *Watcher) Tell(id zone.ID, t dns.Type) {
	w.with(id, func(z *watched, now time.Time) { w.core.tell(z, t, now) })
}

// Forget ends what is about a zone.
func (w *Watcher) Forget(id zone.ID) { w.do(func(time.Time) { w.core.forget(id) }) }

// Asked returns how many looks at a parent's server brought an answer, and how many did not.
func (w *Watcher) Asked() (answered, failed uint64) { return w.answered.Load(), w.failed.Load() }

// State returns what is known of a zone's parent; ok is false for a zone that was not set.
func (w *Watcher) State(id zone.ID) (v View, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	z := w.core.zones[id]
	if z == nil {
		return View{}, false
	}
	return z.view(time.Now()), true
}

func (w *Watcher) with(id zone.ID, what func(z *watched, now time.Time)) {
	w.do(func(now time.Time) {
		if z := w.core.zones[id]; z != nil {
			what(z, now)
		}
	})
}

// do does something with the core, and has what follows from it done.
func (w *Watcher) do(what func(now time.Time)) {
	w.mu.Lock()
	what(time.Now())
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run asks and tells until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		tasks, views, wait := w.next()
		for _, v := range views {
			w.report(v)
		}
		for _, do := range tasks {
			wg.Go(func() { do(ctx) })
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-w.wake:
		case <-timer.C:
		}
	}
	return nil
}

// next returns what is to be done, who changed, and how long to wait if nothing happens.
func (w *Watcher) next() (tasks []func(context.Context), views []View, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	jobs, wake := w.core.next(now)
	for _, j := range jobs {
		tasks = append(tasks, w.task(j))
	}
	for {
		v, ok := w.core.nextChanged(now)
		if !ok {
			break
		}
		views = append(views, v)
	}
	wait = time.Hour
	if !wake.IsZero() {
		wait = wake.Sub(now)
	}
	return tasks, views, wait
}

// report tells who listens, and the log of what an operator has to know, once.
func (w *Watcher) report(v View) {
	codes := ""
	for _, f := range v.Findings {
		if f.Level != Alarm {
			continue
		}
		codes += f.Code + " "
		if !strings.Contains(w.alarms[v.Zone], f.Code+" ") {
			w.options.Log.Warn("delegation needs a person", "zone", v.Zone.String(), "finding", f.Code, "what", f.Text, "do", f.Fix)
		}
	}
	if codes == "" {
		delete(w.alarms, v.Zone)
	} else {
		w.alarms[v.Zone] = codes
	}
	if w.options.Changed != nil {
		w.options.Changed(v.Zone, v)
	}
}

// task is what a job does. It takes what it needs of the zone now, under the lock.
func (w *Watcher) task(j *job) func(context.Context) {
	z := j.zone
	child, configured := z.ID.Name, z.Parents
	switch j.kind {
	case finding:
		return func(ctx context.Context) {
			f := w.find(ctx, child, configured)
			w.finish(ctx, j, func(now time.Time) { w.core.found(j, f, now) })
		}
	case looking:
		q := z.question(j)
		return func(ctx context.Context) {
			s := w.lookAt(ctx, q)
			w.finish(ctx, j, func(now time.Time) { w.core.saw(j, s, now) })
		}
	case telling:
		n := z.notice(j)
		return func(ctx context.Context) {
			receivers, err := w.notify(ctx, n)
			w.finish(ctx, j, func(now time.Time) { w.core.told(j, receivers, err, now) })
		}
	}
	order := z.order()
	return func(ctx context.Context) {
		err := w.put(ctx, order)
		w.finish(ctx, j, func(now time.Time) { w.core.pushedTo(j, err, now) })
	}
}

// finish takes what a job brought, if somebody still wants to know.
func (w *Watcher) finish(ctx context.Context, j *job, take func(now time.Time)) {
	isOver := ctx.Err() != nil
	w.do(func(now time.Time) {
		if !w.core.done(j) || isOver {
			return
		}
		again := j.again
		if take(now); again {
			w.core.now(j)
		}
	})
}
