package resolver

import (
	"container/list"
	"context"
	"errors"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/transport"
)

// jobs are the look-ups in flight for clients.
type jobs struct {
	mu     sync.Mutex
	byKey  map[string]*job
	order  *list.List // of *job, the oldest first
	closed bool

	renewals int // that run

	waiting atomic.Int64 // clients, for all of them
}

// job is one look-up and the clients that wait for it.
type job struct {
	key      string
	id       string // key, and the network that servers may be told of
	question dns.Question
	started  time.Time
	cancel   context.CancelCauseFunc
	place    *list.Element // nil once it gave way to a newer one

	bearing
	payer            netip.Addr // whose question it was first; not valid: nobody's
	checkingDisabled bool       // not validated: the client does that
	flushes          uint64     // of the resolver when it began
	renewal          uint32     // if not 0: began for nobody, and what is known no longer than until then is asked for again

	// The rest is guarded by jobs.mu.
	waiters  []*transport.Pending
	variants uint8       // bit v: the answer of variant v is remembered
	alarm    *time.Timer // of the clients' patience (see patience.go); nil before there are any
	rung     bool        // once
	done     bool        // and what came of it is out
	out      outcome
	kept     uint8 // the variants that are in the cache of messages now
}

func (j *jobs) init() { j.byKey, j.order = map[string]*job{}, list.New() }

// close lets nothing more in.
func (j *jobs) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
}

// errJostled ends a look-up that gave way to a newer one.
var errJostled = errors.New("gave way to newer questions")

var errPanic = errors.New("internal error")

// admit detaches a query and has it looked up, together with others that ask
// the same. Where there is no room, it is not detached, and ede says why.
func (r *Resolver) admit(tq *transport.Query, q dns.Question, key []byte, v cache.Variant, b bearing) (ede dns.EDE, ok bool) {
	js := &r.jobs
	js.mu.Lock()
	defer js.mu.Unlock()
	if js.closed {
		return edeClosed, false
	}
	j := js.byKey[b.jobID(key)]
	switch {
	case js.waiting.Load() >= int64(r.cfg.MaxWaiting):
		return edeTooMany, false
	case j == nil && js.order.Len() >= r.cfg.MaxInFlight && !js.jostle(r.cfg.Env.Now(), r.cfg.JostleAfter):
		return edeTooMany, false
	case j != nil && len(j.waiters) >= r.cfg.MaxWaiters:
		return edeTooMany, false
	case !r.mayWait(tq.Client.Addr()):
		return edeCrowded, false
	case j == nil:
		j = r.begin(&job{key: string(key), question: q, bearing: b, payer: tq.Client.Addr()})
	}
	p := tq.Detach()
	p.Since = r.cfg.Env.Now()
	j.waiters = append(j.waiters, p)
	js.waiting.Add(1)
	j.variants |= 1 << v
	r.setAlarm(j)
	return ede, true
}

// renew has the answer to q looked up again though, until then, it is in the cache,
// or at least a stale one. Nobody waits for it: where there is no room, it is not done.
func (r *Resolver) renew(q dns.Question, key []byte, variants uint8, until uint32, b bearing) {
	js := &r.jobs
	js.mu.Lock()
	defer js.mu.Unlock()
	j := js.byKey[b.jobID(key)]
	switch {
	case js.closed, j == nil && (js.renewals >= r.cfg.MaxRenewals || js.order.Len() >= r.cfg.MaxInFlight/2):
		return
	case j == nil:
		js.renewals++
		r.counters.renewals.Add(1)
		j = r.begin(&job{key: string(key), question: q, renewal: max(until, 1), bearing: b})
	}
	j.variants |= variants
}

// begin starts a job. jobs.mu is held.
func (r *Resolver) begin(j *job) *job {
	js := &r.jobs
	j.started, j.flushes = r.cfg.Env.Now(), r.flushes.Load()
	j.checkingDisabled = cache.Variant(j.key[len(j.key)-1])&cache.VariantCD != 0
	j.id = j.jobID([]byte(j.key))
	js.byKey[j.id], j.place = j, js.order.PushBack(j)
	var ctx context.Context
	ctx, j.cancel = context.WithCancelCause(r.ctx)
	r.wg.Add(1)
	r.crew.Go(func() { r.run(ctx, j) })
	return j
}

// jostle ends the oldest look-up if it is older than after: its clients have
// mostly given up, and an attacker's questions for silent servers must not keep
// everybody else's out.
func (js *jobs) jostle(now time.Time, after time.Duration) bool {
	front := js.order.Front()
	if front == nil {
		return false
	}
	j := front.Value.(*job)
	if now.Sub(j.started) < after {
		return false
	}
	js.order.Remove(front)
	j.place = nil
	j.cancel(errJostled)
	return true
}

// run looks a job up and answers all who wait for it.
func (r *Resolver) run(ctx context.Context, j *job) {
	defer r.wg.Done()
	defer j.cancel(nil)
	out, err := r.resolve(ctx, j)
	switch {
	case err == nil:
	case errors.Is(context.Cause(ctx), errJostled):
		out = outcome{rcode: dns.RCodeServFail, ede: []dns.EDE{edeTooMany}}
	case ctx.Err() != nil:
		out = outcome{rcode: dns.RCodeServFail, ede: []dns.EDE{edeClosed}}
	default:
		out = failed(err)
	}
	js := &r.jobs
	js.mu.Lock()
	variants := j.variants
	js.mu.Unlock()
	kept := r.keepAll(j, variants, out) // before anybody can ask anew
	waiters := r.takeOut(j, out, kept)
	r.counters.ended(&out, len(waiters))
	r.respond(j, waiters, out, kept)
}

// resolve looks up, except that a panic in it costs this question only.
func (r *Resolver) resolve(ctx context.Context, j *job) (out outcome, err error) {
	defer func() {
		if v := recover(); v != nil {
			r.cfg.Log.Error("look-up panicked", "question", j.question.String(), "panic", v, "stack", string(debug.Stack()))
			out, err = outcome{}, errPanic
		}
	}()
	budget := r.iterator.NewBudget()
	defer func() { r.costs.charge(j.payer, budget.Cost(), r.cfg.Env.Now()) }()
	var scope netip.Prefix
	how := asking{checkingDisabled: j.checkingDisabled, renewal: j.renewal, budget: budget, subnet: j.subnet, scope: &scope}
	if out, err = r.treat(ctx, j.question, how, j.bearing); out.answer != nil {
		out.scope = scope
	}
	return out, err
}

// takeOut ends the job for newcomers, and returns its clients.
func (r *Resolver) takeOut(j *job, out outcome, kept uint8) []*transport.Pending {
	r.jobs.mu.Lock()
	defer r.jobs.mu.Unlock()
	delete(r.jobs.byKey, j.id)
	if j.place != nil {
		r.jobs.order.Remove(j.place)
	}
	if j.alarm != nil {
		j.alarm.Stop()
	}
	if j.renewal != 0 {
		r.jobs.renewals--
	}
	j.done, j.out, j.kept = true, out, kept
	return j.waiters
}
