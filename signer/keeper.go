package signer

import (
	"container/heap"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"onoma/signer/keys"
	"onoma/zone"
)

// Keeper keeps zones signed.
type Keeper struct {
	o Options

	mu    sync.Mutex
	zones map[zone.ID]*Zone
	times times
	same  map[string]*Settings // by policy: what a zone was given last
	wake  chan struct{}
	// Who tends a zone has a place, or is one of those that wait for something.
	places, hanging chan struct{}

	signatures atomic.Uint64 // made
}

// New returns a Keeper without zones.
func New(o Options) *Keeper {
	if o.Clock == nil {
		o.Clock = NewSteady(nil, nil)
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Keeper{
		o: o, zones: make(map[zone.ID]*Zone), same: make(map[string]*Settings), wake: make(chan struct{}, 1),
		places: make(chan struct{}, o.Workers), hanging: make(chan struct{}, mostHanging),
	}
}

// Add keeps a zone signed by the settings, from what is known of it, and returns what signs it. One that is there already
// gets the settings.
func (k *Keeper) Add(ctx context.Context, id zone.ID, s Settings) (*Zone, error) {
	if err := s.Policy.Check(); err != nil {
		return nil, fmt.Errorf("signing %s: policy %s: %w", id, s.Policy.Name, err)
	}
	k.mu.Lock()
	z := k.zones[id]
	k.mu.Unlock()
	if z != nil {
		z.mu.Lock()
		z.settings = k.share(s)
		z.isPassive = z.isPassive && s.Auto
		z.mu.Unlock()
		k.Wake(id)
		return z, nil
	}
	data, err := k.o.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	return k.AddLoaded(ctx, id, s, data)
}

// AddLoaded is Add of a zone that is not there yet, given what Options.Load would return.
func (k *Keeper) AddLoaded(ctx context.Context, id zone.ID, s Settings, data []byte) (*Zone, error) {
	z := &Zone{k: k, id: id, settings: k.share(s), slot: -1}
	if data != nil {
		if err := z.st.decode(data); err != nil {
			return nil, fmt.Errorf("signing %s: %w", id, err)
		}
		z.saved = keptOf(data, &z.st)
	}
	if z.st.Ring == nil {
		z.st.Ring = keys.New(id.Name)
	}
	head := z.latest()
	z.mu.Lock()
	z.wasThere = isAtParent(z.st.Ring)
	z.head = head
	z.st.Fresh = z.st.Fresh || s.New && data == nil && head == nil
	// Who signed it before this server knew of keys goes on doing so.
	z.isPassive = s.Auto && head != nil && isSigned(head) && !z.isOurs(head)
	z.mu.Unlock()
	if data == nil && head == nil && !s.Auto {
		// Its first content waits for keys.
		if err := z.begin(ctx); err != nil {
			return nil, err
		}
	}
	now, _ := k.o.Clock.Now()
	z.guard(now)
	k.mu.Lock()
	k.zones[id] = z
	others := len(k.zones)
	k.mu.Unlock()
	k.schedule(z, z.wakesAt(now))
	if data != nil {
		// What there is to do next is not kept, nor is what the parent was last asked for. Many zones are not all looked at at once.
		k.schedule(z, now.Add(time.Duration(others)*apart))
	}
	return z, nil
}

// share returns settings as the one value that all zones have that have the same.
func (k *Keeper) share(s Settings) *Settings {
	k.mu.Lock()
	defer k.mu.Unlock()
	had := k.same[s.Policy.Name]
	if had == nil || !had.equal(&s) {
		had = &s
		k.same[s.Policy.Name] = had
	}
	return had
}

// isAtParent reports whether the parent had the DS that it is to have, and nothing was to change there.
func isAtParent(r *keys.Ring) (is bool) {
	for _, k := range r.Keys() {
		switch k.Records[keys.DS].State {
		case keys.Rumoured, keys.Unretentive:
			return false
		case keys.Omnipresent:
			is = true
		}
	}
	return is
}

// apart is between the first looks at zones after a start: a hundred thousand take eight minutes.
const apart = 5 * time.Millisecond

// Remove lets go of a zone. What is on the disk of it stays.
func (k *Keeper) Remove(id zone.ID) {
	k.mu.Lock()
	z := k.zones[id]
	delete(k.zones, id)
	if z != nil && z.slot >= 0 {
		heap.Remove(&k.times, z.slot)
	}
	k.mu.Unlock()
	if z != nil && k.o.Parents != nil {
		k.o.Parents.Forget(id)
	}
}

// Zone returns what signs a zone, nil where nothing here does.
func (k *Keeper) Zone(id zone.ID) *Zone {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.zones[id]
}

// Zones returns the zones, in no order.
func (k *Keeper) Zones() []zone.ID {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]zone.ID, 0, len(k.zones))
	for id := range k.zones {
		out = append(out, id)
	}
	return out
}

// Wake has a zone looked at now: something about it has changed, at its parent, at its secondaries, or in what is wanted.
func (k *Keeper) Wake(id zone.ID) {
	if z := k.Zone(id); z != nil {
		now, _ := k.o.Clock.Now()
		k.schedule(z, now)
	}
}

// Published is told of each version of a zone once it is served. It is quick.
func (k *Keeper) Published(r zone.Receipt) {
	z := k.Zone(r.Zone)
	if z == nil || r.By.Door == zone.DoorSigner && !k.o.IsShared {
		return
	}
	z.mu.Lock()
	next, isKnown, passive := z.st.Next, z.st.Served.Generation != 0, z.isPassive
	z.mu.Unlock()
	switch {
	case passive:
	case !isKnown, r.By.Door == zone.DoorSigner: // by whichever server
		k.Wake(r.Zone)
	default:
		k.schedule(z, next)
	}
}

// schedule has a zone tended at a time, if it is not to be tended earlier.
func (k *Keeper) schedule(z *Zone, at time.Time) {
	if at.IsZero() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.zones[z.id] != z {
		return
	}
	switch {
	case z.slot < 0:
		z.at = at
		heap.Push(&k.times, z)
	case at.Before(z.at):
		z.at = at
		heap.Fix(&k.times, z.slot)
	default:
		return
	}
	if z.slot == 0 {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
}

// longest is how long the Keeper sleeps at most: clocks may be set meanwhile.
const longest = time.Minute

// hangs is when who tends a zone is taken to wait for something, a token or a large zone: then another one begins in his place.
const hangs = 30 * time.Second

// mostHanging is how many may wait so.
const mostHanging = 256

// tend tends a zone, and gives its place among the workers back: early where that takes long.
func (k *Keeper) tend(ctx context.Context, z *Zone) {
	var mu sync.Mutex
	isEarly, isOver := false, false
	early := time.AfterFunc(hangs, func() {
		mu.Lock()
		defer mu.Unlock()
		select {
		case k.hanging <- struct{}{}:
			if isEarly = !isOver; isEarly {
				<-k.places
			} else {
				<-k.hanging
			}
		default:
		}
	})
	at := z.tend(ctx)
	early.Stop()
	mu.Lock()
	if isOver = true; isEarly {
		<-k.hanging
	} else {
		<-k.places
	}
	mu.Unlock()
	k.schedule(z, at)
}

// Run tends zones until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	workers.Go(func() { k.runGuard(ctx) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		z, wait := k.take()
		if z != nil {
			select {
			case k.places <- struct{}{}:
				workers.Go(func() { k.tend(ctx, z) })
			case <-ctx.Done():
				return nil
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-k.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// take returns a zone whose time has come, or how long to wait for one.
func (k *Keeper) take() (*Zone, time.Duration) {
	now, _ := k.o.Clock.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.times) == 0 {
		return nil, longest
	}
	if wait := k.times[0].at.Sub(now); wait > 0 {
		return nil, min(wait, longest)
	}
	return heap.Pop(&k.times).(*Zone), 0
}

// Tend does what is due for all zones now, one after the other, and returns when there is something to do next. It is for
// who has no time but that of a test, instead of Run.
func (k *Keeper) Tend(ctx context.Context) time.Time {
	for {
		z, _ := k.take()
		if z == nil {
			break
		}
		k.schedule(z, z.tend(ctx))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.times) == 0 {
		return time.Time{}
	}
	return k.times[0].at
}

// times is a heap of zones by when they are tended next.
type times []*Zone

func (t times) Len() int           { return len(t) }
func (t times) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t times) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].slot, t[j].slot = i, j
}
func (t *times) Push(x any) {
	z := x.(*Zone)
	z.slot = len(*t)
	*t = append(*t, z)
}
func (t *times) Pop() any {
	old := *t
	z := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	z.slot = -1
	return z
}
