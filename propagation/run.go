package propagation

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"onoma/zone"
)

// finders is how many goroutines look for targets.
const finders = 4

// Run asks until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	if f.options.Targets != nil {
		for range finders {
			wg.Go(func() { f.findTargets(ctx) })
		}
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		questions, events, wait := f.next()
		for _, e := range events {
			f.tell(e)
		}
		for _, q := range questions {
			wg.Go(func() {
				a := f.ask(ctx, q)
				f.do(func(now time.Time) { f.core.answered(q, a, now) })
			})
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-f.wake:
		case <-timer.C:
		}
	}
	return nil
}

// next returns what is to be done, and how long to wait if nothing happens.
func (f *Follower) next() (questions []question, events []Event, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	questions, wake := f.core.next(now)
	events, f.core.events = f.core.events, nil
	if len(f.core.find) > 0 {
		poke(f.seek)
	}
	wait = time.Hour
	if !wake.IsZero() {
		wait = wake.Sub(now)
	}
	return questions, events, wait
}

// tell tells the listeners, and the log of what an operator has to know.
func (f *Follower) tell(e Event) {
	switch log := f.options.Log.With("zone", e.Zone.String(), "secondary", e.Target.String(), "serial", e.Serial); {
	case e.All:
		log.Debug("all secondaries serve the version", "took", e.Took)
	case e.WentBack:
		log.Warn("a secondary serves an older version than before")
	case e.Condition == Ahead:
		log.Warn("a secondary serves a newer version than this server has, and will not take ours")
	default:
		log.Debug("a secondary serves a version", "took", e.Took)
	}
	f.mu.Lock()
	listeners := f.listeners
	f.mu.Unlock()
	for _, listener := range listeners {
		listener(e)
	}
}

// findTargets looks for targets.
func (f *Follower) findTargets(ctx context.Context) {
	for {
		id, ok := f.nextSeek()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-f.seek:
			}
			continue
		}
		targets, err := f.options.Targets(ctx, id)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			f.options.Log.Warn("the secondaries of a zone are not found", "zone", id.String(), "error", err)
		}
		f.do(func(now time.Time) { f.core.targets(id, targets, err == nil, now) })
	}
}

func (f *Follower) nextSeek() (zone.ID, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, ok := f.core.nextSeek()
	if ok && len(f.core.find) > 0 {
		poke(f.seek) // another one has something to do, too
	}
	return id, ok
}

// from returns the local address to ask a server from.
func (o *Options) from(server netip.Addr) netip.Addr {
	for _, a := range o.From {
		if a.Unmap().Is4() == server.Is4() {
			return a.Unmap()
		}
	}
	return netip.Addr{}
}
