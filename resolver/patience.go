package resolver

import (
	"slices"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/transport"
)

// A client does not wait for ever. When a look-up has taken StaleAfter (RFC 8767
// §5: the client response timer), those who can have an answer whose time is over
// get it; after ClientDeadline the others are told that there is none. The look-up
// goes on for those who come next.

// setAlarm has the patience of a job's clients end. jobs.mu is held.
func (r *Resolver) setAlarm(j *job) {
	if j.alarm != nil {
		return
	}
	first := max(r.cfg.StaleAfter, 0)
	if r.cfg.NoStale {
		first, j.rung = r.cfg.ClientDeadline, true
	}
	if first < 0 {
		return
	}
	j.alarm = time.AfterFunc(first, func() { r.ring(j) })
}

// ring answers those who have waited long enough.
func (r *Resolver) ring(j *job) {
	js := &r.jobs
	js.mu.Lock()
	if j.done {
		js.mu.Unlock()
		return
	}
	isLast := j.rung
	waiters, variants := j.waiters, j.variants
	j.waiters, j.rung = nil, true
	js.mu.Unlock()

	if isLast {
		r.respond(j, waiters, outcome{rcode: dns.RCodeServFail, ede: []dns.EDE{edeSlow}}, 0)
		return
	}
	waiters = r.respondCached(j, waiters, r.revive(j, variants, false))

	js.mu.Lock()
	if !j.done {
		j.waiters = append(waiters, j.waiters...)
		if left := r.cfg.ClientDeadline - max(r.cfg.StaleAfter, 0); r.cfg.ClientDeadline >= 0 {
			j.alarm.Reset(max(left, 0))
		}
		waiters = nil
	}
	js.mu.Unlock()
	if len(waiters) > 0 { // it ended meanwhile
		r.respond(j, waiters, j.out, j.kept)
	}
}

// keyOf is the key of the answer of one variant.
func (j *job) keyOf(v cache.Variant) []byte {
	key := []byte(j.key)
	key[len(key)-1] = byte(v)
	return key
}

// revive makes answers whose time is over good once more, of the variants given, and
// returns which of them are good, those whose time is not over among them.
func (r *Resolver) revive(j *job, variants uint8, reset bool) (done uint8) {
	now := r.now()
	for v := range cache.Variant(cache.NumVariants) {
		if variants&(1<<v) != 0 && r.reviveOne(j.keyOf(v), now, reset) {
			done |= 1 << v
			r.counters.stale.Add(1)
		}
	}
	return done
}

// reviveOne does that for one variant, if need be with what another one has: what was
// validated is good for those who want it unchecked, too, but not the other way round.
func (r *Resolver) reviveOne(key []byte, now uint32, reset bool) bool {
	if r.messages.Revive(key, now, reset) {
		return true
	}
	last := len(key) - 1
	other := slices.Clone(key)
	for _, flip := range [...]cache.Variant{cache.VariantDO, cache.VariantCD, cache.VariantDO | cache.VariantCD} {
		other[last] = key[last] ^ byte(flip)
		if other[last]&^key[last]&byte(cache.VariantCD) == 0 && r.messages.ReviveFrom(other, key, now, reset) {
			return true
		}
	}
	return false
}

// keepAll puts what came of a job into the cache of messages, in the variants that
// were asked for, and returns which of them can be had there. A failure leaves a
// stale answer in its place, and only where there is none is remembered itself.
func (r *Resolver) keepAll(j *job, variants uint8, out outcome) (kept uint8) {
	if !j.remembers(out) {
		return 0
	}
	if j.flushes != r.flushes.Load() {
		return 0 // perhaps it is what somebody wanted to be forgotten
	}
	if out.scope.IsValid() {
		r.keepScoped(j, variants, out)
		return 0
	}
	failed := out.answer == nil
	if failed {
		kept = r.revive(j, variants, r.cfg.StaleTTLReset)
	}
	for v := range cache.Variant(cache.NumVariants) {
		bit := uint8(1) << v
		switch {
		case (variants&^kept)&bit == 0:
		case failed:
			r.keepFailure(j.question, j.keyOf(v), out)
		case r.keep(j.question, j.keyOf(v), out):
			kept |= bit
		}
	}
	return kept
}

// respond answers the clients of a job, those whose variant was kept from there.
func (r *Resolver) respond(j *job, waiters []*transport.Pending, out outcome, kept uint8) {
	var buf []byte
	var q dns.Query
	for _, p := range r.respondCached(j, waiters, kept) {
		if err := q.Parse(p.Msg); err == nil {
			if buf = r.reply(buf[:0], p.Msg, &q, p.Proto, out); len(buf) > 0 {
				r.send(j, p, buf)
			}
		}
		r.dismiss(p)
	}
}

// respondCached answers those whose variants are in the cache of messages, and
// returns the others.
func (r *Resolver) respondCached(j *job, waiters []*transport.Pending, variants uint8) (others []*transport.Pending) {
	if variants == 0 {
		return waiters
	}
	w := worker{r: r}
	w.hit.Peek = true // they are why it is there
	var buf []byte
	for _, p := range waiters {
		if err := w.q.Parse(p.Msg); err == nil {
			v, ok := variant(&w.q), false
			key := j.keyOf(v)
			if variants&(1<<v) != 0 {
				buf, ok = w.cached(buf[:0], p.Msg, p.Proto, key)
			}
			if !ok {
				others = append(others, p)
				continue
			}
			r.send(j, p, buf)
		}
		r.dismiss(p)
	}
	return others
}

// dismiss lets a client go that has its answer.
func (r *Resolver) dismiss(p *transport.Pending) {
	client := p.Client.Addr()
	p.Done()
	r.jobs.waiting.Add(-1)
	r.waited(client)
}

func (r *Resolver) send(j *job, p *transport.Pending, msg []byte) {
	if err := p.Reply(r.ifInTime(p, msg)); err != nil {
		r.cfg.Log.Debug("answer not sent", "client", p.Client, "question", j.question.String(), "error", err)
	}
}

// outdated answers at once what may be answered by a stale answer without waiting,
// and has it looked up: everything where clients have no patience at all, else what
// could not be had a moment ago.
func (w *worker) outdated(dst []byte, tq *transport.Query, question dns.Question, key []byte) ([]byte, bool) {
	r := w.r
	now := r.now()
	if r.cfg.NoStale || r.cfg.StaleAfter >= 0 && !r.messages.IsStale(key, now) || !r.reviveOne(key, now, false) {
		return dst, false
	}
	out, ok := w.cached(dst, tq.Msg, tq.Proto, key)
	if ok {
		w.renew(question, key, 1)
	}
	return out, ok
}

// renew has an answer looked up again in the background.
func (w *worker) renew(question dns.Question, key []byte, until uint32) {
	var buf [maxKey]byte
	shared := append(buf[:0], key...)
	v := cache.Variant(shared[len(shared)-1])
	variants := uint8(1) << v
	shared[len(shared)-1] ^= byte(cache.VariantDO)
	if w.r.messages.Has(shared) {
		variants |= 1 << (v ^ cache.VariantDO) // would be as old
	}
	shared[len(shared)-1] &^= byte(cache.VariantDO)
	w.r.renew(question, shared, variants, until, w.whose)
}

// prefetch renews an answer that is asked for often shortly before its time is over.
func (w *worker) prefetch(key []byte) {
	if w.r.cfg.NoPrefetch || !w.r.messages.Claim(key) {
		return
	}
	if name, err := dns.NameFromWire(w.q.Name); err == nil {
		w.renew(dns.Question{Name: name, Type: w.q.Type, Class: w.q.Class}, key, w.hit.Expire)
	}
}
