package resolver

import (
	"container/list"
	"context"
	"errors"
	"runtime/debug"
	"sync"
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
}

// job is one look-up and the clients that wait for it.
type job struct {
	key      string
	question dns.Question
	started  time.Time
	waiters  []*transport.Pending // under jobs.mu, until the job is taken out
	cancel   context.CancelCauseFunc
	place    *list.Element // nil once it gave way to a newer one

	checkingDisabled bool // not validated: the client does that
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
func (r *Resolver) admit(tq *transport.Query, q dns.Question, key []byte) (ede dns.EDE, ok bool) {
	js := &r.jobs
	js.mu.Lock()
	defer js.mu.Unlock()
	if js.closed {
		return edeClosed, false
	}
	if j := js.byKey[string(key)]; j != nil {
		if len(j.waiters) >= r.cfg.MaxWaiters {
			return edeTooMany, false
		}
		j.waiters = append(j.waiters, tq.Detach())
		return ede, true
	}
	now := r.cfg.Env.Now()
	if js.order.Len() >= r.cfg.MaxInFlight && !js.jostle(now, r.cfg.JostleAfter) {
		return edeTooMany, false
	}
	j := &job{key: string(key), question: q, started: now, waiters: []*transport.Pending{tq.Detach()}}
	j.checkingDisabled = cache.Variant(key[len(key)-1])&cache.VariantCD != 0
	js.byKey[j.key], j.place = j, js.order.PushBack(j)
	var ctx context.Context
	ctx, j.cancel = context.WithCancelCause(r.ctx)
	r.wg.Add(1)
	go r.run(ctx, j)
	return ede, true
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
	r.respond(j, r.takeOut(j), out)
}

// resolve looks up, except that a panic in it costs this question only.
func (r *Resolver) resolve(ctx context.Context, j *job) (out outcome, err error) {
	defer func() {
		if v := recover(); v != nil {
			r.cfg.Log.Error("look-up panicked", "question", j.question.String(), "panic", v, "stack", string(debug.Stack()))
			out, err = outcome{}, errPanic
		}
	}()
	return r.lookUp(ctx, j.question, asking{checkingDisabled: j.checkingDisabled})
}

// takeOut ends the job for newcomers, and returns its clients.
func (r *Resolver) takeOut(j *job) []*transport.Pending {
	r.jobs.mu.Lock()
	defer r.jobs.mu.Unlock()
	delete(r.jobs.byKey, j.key)
	if j.place != nil {
		r.jobs.order.Remove(j.place)
	}
	return j.waiters
}

// respond answers the clients of a job, and remembers the answer in the forms
// that they wanted it in.
func (r *Resolver) respond(j *job, waiters []*transport.Pending, out outcome) {
	var q dns.Query
	var buf []byte
	var kept [4]bool
	for _, p := range waiters {
		if err := q.Parse(p.Msg); err == nil {
			v := variant(&q)
			buf = r.reply(buf[:0], p.Msg, &q, p.Proto, out, !kept[v])
			kept[v] = true
			if err := p.Reply(buf); err != nil {
				r.cfg.Log.Debug("answer not sent", "client", p.Client, "question", j.question.String(), "error", err)
			}
		}
		p.Done()
	}
}
