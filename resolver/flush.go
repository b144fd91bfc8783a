package resolver

import (
	"slices"
	"sync"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
)

// purgeDelay is how long changes of zones are gathered before what was known of them
// is looked for: that takes the same time for one zone and for a thousand.
const purgeDelay = 100 * time.Millisecond

// purging are the zones that changed.
type purging struct {
	mu    sync.Mutex
	zones []dns.Name // since then
}

// Flush forgets what is known of name, and of all below it if tree: RRsets,
// negative answers, delegations, failures, and whole answers, those included that
// an alias leads there from elsewhere.
func (r *Resolver) Flush(name dns.Name, tree bool) (entries int) {
	if tree {
		return r.forget(cache.Below(name))
	}
	return r.forget(cache.At(name))
}

// FlushType forgets of name what is known of records of one type, also that there
// are none, that the name does not exist, or is an alias.
func (r *Resolver) FlushType(name dns.Name, t dns.Type) (entries int) {
	return r.forget(cache.At(name).Type(t))
}

// FlushAll forgets everything but what is known of servers' speed.
func (r *Resolver) FlushAll() (entries int) {
	r.forgetAnswers()
	return r.iterator.Cache.FlushAll()
}

// Purge is told that zones have changed, by who serves them: within a moment nothing
// is known of them any more. It is cheap, and may be called for every change.
func (r *Resolver) Purge(zones ...dns.Name) {
	p := &r.purging
	p.mu.Lock()
	defer p.mu.Unlock()
	isFirst := len(p.zones) == 0
	for _, z := range zones {
		if !slices.ContainsFunc(p.zones, z.Equal) {
			p.zones = append(p.zones, z)
		}
	}
	if isFirst && len(p.zones) > 0 {
		time.AfterFunc(purgeDelay, r.purge)
	}
}

func (r *Resolver) purge() {
	p := &r.purging
	p.mu.Lock()
	zones := p.zones
	p.zones = nil
	p.mu.Unlock()
	r.forget(cache.Below(zones...))
}

// forget forgets records before answers: an answer is not made of old ones then.
func (r *Resolver) forget(s cache.Scope) int {
	r.flushes.Add(1)
	return r.iterator.Cache.Forget(s) + r.messages.Forget(s)
}

// forgetAnswers forgets all whole answers, those among them that are being looked up.
func (r *Resolver) forgetAnswers() {
	r.flushes.Add(1)
	r.messages.FlushAll()
}
