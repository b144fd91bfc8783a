package iterator

import (
	"errors"
	"net/netip"
	"sync"

	"onoma/dns"
)

// flightKey is one question for one zone's servers. What else the query carries
// (EDNS, case) makes no difference.
type flightKey struct {
	zone  string // wire forms, folded
	name  string
	typ   dns.Type
	route *Route // a zone may have a route, and servers of its own

	subnet netip.Prefix // that the servers are told of
}

// flight is that question while one look-up, its owner, is asking it.
type flight struct {
	owner *task
	done  chan struct{} // nil until somebody waits; under flights.mu
	reply *reply        // valid once done is closed
	err   error
}

// flights lets look-ups share what they ask, across all cores. A look-up that
// waits for another is noted in it, so that two never wait for each other:
// name servers named in each other's zones would have them do so.
type flights struct {
	mu       sync.Mutex // guards m and every task's waits
	all      map[flightKey]*flight
	networks map[flightKey]int // of the flights that tell of one, by key without it
}

// shared runs ask, or waits for the look-up that is asking the same already. An
// owner whose own budget ran out has nothing to say to others: one of them asks again.
func (t *task) shared(key flightKey, zone dns.Name, q dns.Question, ask func(netip.Prefix) (*reply, error)) (*reply, error) {
	fs := &t.it.flights
	fs.mu.Lock()
	f := fs.all[key]
	if f == nil && key.subnet.IsValid() && fs.networks[key.untold()] >= mostNetworks {
		key = key.untold()
		f = fs.all[key]
	}
	switch {
	case f == nil:
		f = &flight{owner: t}
		fs.all[key] = f
		if key.subnet.IsValid() {
			fs.networks[key.untold()]++
		}
		fs.mu.Unlock()
		return t.fly(key, f, ask)
	case f.owner.waitsFor(t):
		fs.mu.Unlock()
		return ask(key.subnet)
	}
	t.waits = f.owner
	if f.done == nil {
		f.done = make(chan struct{})
	}
	done := f.done
	fs.mu.Unlock()
	select {
	case <-done:
	case <-t.ctx.Done():
	}
	fs.mu.Lock()
	t.waits = nil
	fs.mu.Unlock()
	if err := t.ctx.Err(); err != nil {
		return nil, t.outOfTime()
	}
	var failed *Failure
	if f.err != nil && (!errors.As(f.err, &failed) || failed.Budget) {
		return t.shared(key, zone, q, ask)
	}
	t.traceShared(zone, q, f.reply)
	return f.reply, f.err
}

// errAbandoned is what waiters of a flight see whose owner panicked.
var errAbandoned = errors.New("look-up abandoned")

func (t *task) fly(key flightKey, f *flight, ask func(netip.Prefix) (*reply, error)) (*reply, error) {
	f.err = errAbandoned
	defer func() {
		t.it.flights.mu.Lock()
		delete(t.it.flights.all, key)
		t.it.flights.land(key)
		if f.done != nil {
			close(f.done)
		}
		t.it.flights.mu.Unlock()
	}()
	f.reply, f.err = ask(key.subnet)
	return f.reply, f.err
}

func (k flightKey) untold() flightKey {
	k.subnet = netip.Prefix{}
	return k
}

// land notes that a flight is over. mu is held.
func (fs *flights) land(k flightKey) {
	if !k.subnet.IsValid() {
		return
	}
	if k = k.untold(); fs.networks[k] > 1 {
		fs.networks[k]--
	} else {
		delete(fs.networks, k)
	}
}

// waitsFor reports whether t waits, through whatever others, for u; or is u.
// flights.mu is held.
func (t *task) waitsFor(u *task) bool {
	for ; t != nil; t = t.waits {
		if t == u {
			return true
		}
	}
	return false
}
