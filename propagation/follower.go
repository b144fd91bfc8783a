package propagation

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"onoma/transport"
	"onoma/zone"
)

// Follower follows zones to their secondaries. Make it with New and have it Run.
type Follower struct {
	options  Options
	exchange func(ctx context.Context, proto transport.Proto, server netip.AddrPort, query, buf []byte) (transport.Reply, error)
	wake     chan struct{} // there may be something to do
	seek     chan struct{} // there may be targets to look for

	mu        sync.Mutex
	core      *core
	listeners []func(Event)
}

// New returns a Follower that asks nobody before it runs.
func New(o Options) *Follower {
	for _, x := range []struct {
		n       *int
		without int
	}{{&o.Most, 256}, {&o.MostEach, 32}} {
		if *x.n <= 0 {
			*x.n = x.without
		}
	}
	for _, x := range []struct {
		d       *time.Duration
		without time.Duration
	}{{&o.Timeout, 2 * time.Second}, {&o.Recheck, time.Hour}, {&o.Spread, 10 * time.Minute}} {
		if *x.d == 0 {
			*x.d = x.without
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Spread = max(o.Spread, time.Millisecond)
	return &Follower{
		options: o, exchange: clients(o).exchange, wake: make(chan struct{}, 1), seek: make(chan struct{}, finders),
		core: newCore(o, time.Now(), rand.Int64N),
	}
}

// Load takes the version of a zone that was there when the server started, and when it was published, if that is known. Its
// secondaries are asked within Options.Spread, or when somebody waits.
func (f *Follower) Load(id zone.ID, serial uint32, at time.Time) {
	f.do(func(now time.Time) { f.core.load(id, serial, at, now) })
}

// Publish takes a version that is served from now on. It returns at once.
func (f *Follower) Publish(id zone.ID, serial uint32) {
	f.do(func(now time.Time) { f.core.publish(id, serial, now) })
	poke(f.seek)
}

// Acked takes that a secondary has acknowledged by NOTIFY that there is a version with that serial number.
func (f *Follower) Acked(id zone.ID, from netip.AddrPort, serial uint32) {
	f.do(func(now time.Time) { f.core.heard(id, unmap(from), serial, true, now) })
}

// Transferred takes that a client was sent the zone, or what it lacked of it.
func (f *Follower) Transferred(id zone.ID, client netip.Addr) {
	f.do(func(now time.Time) { f.core.heard(id, netip.AddrPortFrom(client.Unmap(), 0), 0, false, now) })
}

// Forget ends what is about a zone.
func (f *Follower) Forget(id zone.ID) {
	f.do(func(time.Time) { f.core.forget(id) })
}

// Retarget has the secondaries of all zones looked for again, soon: what Options.Targets returns may have changed.
func (f *Follower) Retarget() {
	f.do(func(now time.Time) {
		for _, z := range f.core.zones {
			if z.found != 0 && !f.core.isAlone(z, now) {
				f.core.seek(z)
			}
		}
	})
	poke(f.seek)
}

// Listen has listener told of each event, one at a time, by the goroutine that keeps the time: it must be quick. Call it before Run.
func (f *Follower) Listen(listener func(Event)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listeners = append(f.listeners, listener)
}

// do does something with the core, and has what follows from it done.
func (f *Follower) do(what func(now time.Time)) {
	f.mu.Lock()
	what(time.Now())
	f.mu.Unlock()
	poke(f.wake)
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// State returns how the secondaries of a zone stand.
func (f *Follower) State(id zone.ID) []Secondary {
	f.mu.Lock()
	defer f.mu.Unlock()
	z := f.core.zones[id]
	if z == nil {
		return nil
	}
	now := f.core.moment(time.Now())
	out := make([]Secondary, len(z.pairs))
	for i, p := range z.pairs {
		out[i] = f.core.state(p, now)
	}
	return out
}

func (c *core) state(p *pair, now moment) Secondary {
	return Secondary{
		Target: p.server.Target, Condition: p.condition(), Serial: p.serial, Seen: c.time(p.seen), Contact: c.time(p.contact),
		Acked: p.acked, Lag: p.lag(now), WentBack: c.time(p.back), Error: p.err,
	}
}

// Published returns the newest version of a zone, and since when it is served here: the zero Time where that is not known.
func (f *Follower) Published(id zone.ID) (serial uint32, at time.Time, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	z := f.core.zones[id]
	if z == nil || !z.has {
		return 0, time.Time{}, false
	}
	return z.current.serial, f.core.time(z.current.at), true
}

// InSync returns the newest version that this server and all secondaries of the zone are known to serve at least, and
// whether it is the newest there is. The serial number is 0 where not all have said what they serve.
func (f *Follower) InSync(id zone.ID) (serial uint32, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	z := f.core.zones[id]
	if z == nil || !z.has || z.found == 0 {
		return 0, false
	}
	serial = z.current.serial
	for _, p := range z.pairs {
		if !p.has {
			return 0, false
		}
		if zone.IsNewer(serial, p.serial) {
			serial = p.serial
		}
	}
	return serial, z.allServe(z.current.serial)
}

// Wait returns when this server and all secondaries of the zone serve that version or a newer one. When ctx ends before, the error
// is a *LagError.
func (f *Follower) Wait(ctx context.Context, id zone.ID, serial uint32) error {
	w := &wait{serial: serial, done: make(chan struct{})}
	if err := f.enlist(id, w); err != nil {
		return err
	}
	poke(f.wake)
	poke(f.seek)
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
	}
	return f.late(ctx, id, w)
}

// enlist has w told, now or later, and those asked that are not known to serve what it waits for.
func (f *Follower) enlist(id zone.ID, w *wait) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	z := f.core.zones[id]
	if z == nil {
		return ErrUnknown
	}
	z.waits = append(z.waits, w)
	f.core.settle(z, time.Now())
	for _, p := range z.pairs {
		if !p.serves(w.serial) {
			f.core.hurry(p)
		}
	}
	if z.found == 0 {
		f.core.seek(z)
	}
	return nil
}

// late returns the error of a wait that is over.
func (f *Follower) late(ctx context.Context, id zone.ID, w *wait) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	z := f.core.zones[id]
	if z == nil {
		return ErrUnknown
	}
	i := slices.Index(z.waits, w)
	if i < 0 {
		return nil // it came at the last moment
	}
	z.waits = slices.Delete(z.waits, i, i+1)
	e := &LagError{Zone: id, Serial: w.serial, Published: z.current.serial, Cause: context.Cause(ctx)}
	now := f.core.moment(time.Now())
	for _, p := range z.pairs {
		if !p.serves(w.serial) {
			e.Behind = append(e.Behind, f.core.state(p, now))
		}
	}
	return e
}
