package resolver

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"onoma/dns"
)

// exceptions are the negative trust anchors in force (RFC 7646), each until its
// end. Readers take no lock.
type exceptions struct {
	now func() time.Time
	mu  sync.Mutex // held by who makes the next map
	all atomic.Pointer[map[dns.Name]time.Time]
}

// has reports whether one stands at name.
func (x *exceptions) has(name dns.Name) bool {
	all := x.all.Load()
	if all == nil {
		return false
	}
	until, ok := (*all)[name.Fold()]
	return ok && (until.IsZero() || x.now().Before(until))
}

// left returns for how many seconds all of them stand: no answer that one of them
// let pass is kept for longer.
func (x *exceptions) left() uint32 {
	least := time.Duration(dns.MaxTTL) * time.Second
	if all := x.all.Load(); all != nil {
		for _, until := range *all {
			if d := until.Sub(x.now()); !until.IsZero() && d > 0 {
				least = min(least, d)
			}
		}
	}
	return uint32(least / time.Second)
}

// change puts an edited copy in the place of the map; those that are over go.
func (x *exceptions) change(edit func(map[dns.Name]time.Time)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	next := map[dns.Name]time.Time{}
	if old := x.all.Load(); old != nil {
		next = maps.Clone(*old)
	}
	maps.DeleteFunc(next, func(_ dns.Name, until time.Time) bool { return !until.IsZero() && !x.now().Before(until) })
	edit(next)
	x.all.Store(&next)
}

// Except sets a negative trust anchor: name and all below it count as not signed
// until then; the zero time is no end. One in the past takes it away. All whole
// answers are forgotten.
func (r *Resolver) Except(name dns.Name, until time.Time) {
	name = name.Fold()
	r.exceptions.change(func(all map[dns.Name]time.Time) {
		if all[name] = until; !until.IsZero() && !r.cfg.Env.Now().Before(until) {
			delete(all, name)
		}
	})
	r.forgetVerdicts()
}

// Exceptions returns the negative trust anchors in force.
func (r *Resolver) Exceptions() map[dns.Name]time.Time {
	r.exceptions.change(func(map[dns.Name]time.Time) {})
	return maps.Clone(*r.exceptions.all.Load())
}
