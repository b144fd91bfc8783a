package pipeline

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"onoma/store"
	"onoma/zone"
)

// Pipeline makes versions of zones. Its methods may be called by any goroutine.
type Pipeline struct {
	o     Options
	store *store.Store

	turn   sync.Mutex // held by who changes what zones are
	last   uint64     // the commit up to which the zones are as in the database; turn
	untold []outcome  // what has been done, and nobody has been told of yet; turn

	complaints complaints // turn

	mu        sync.RWMutex // taken after turn
	zones     map[zone.ID]*state
	rows      map[int64]*state
	listeners []func(zone.Receipt)
	refused   refusals

	recalling sync.Mutex // held by who reads differences back into memory; taken before mu

	queue   queue
	prepare chan struct{} // as many as may be prepared at a time
	going   sync.WaitGroup
	keeper  keeper
	stats   counters
}

// New returns a Pipeline without zones.
func New(o Options) *Pipeline {
	o = o.withDefaults()
	p := &Pipeline{
		o: o, store: o.Store,
		zones: make(map[zone.ID]*state), rows: make(map[int64]*state),
		prepare: make(chan struct{}, preparers),
	}
	p.queue.init(o.Queue)
	p.keeper.init()
	return p
}

// state is what the Pipeline knows of a zone. There may be a million, so it is
// small. Fields without a remark change under turn and mu, and are read under
// either.
type state struct {
	spec *ZoneSpec // what it points to never changes
	row  int64     // in the database; never changes
	z    *zone.Zone

	number     uint64 // of the newest version, 0: there is none
	made       int64  // when that was made, in microseconds of Unix time
	checkpoint uint64
	oldest     uint64
	pending    int64 // octets of deltas after the checkpoint
	snapshot   uint64
	unsaved    int64 // octets of deltas after the snapshot
	broken     error // why the zone cannot be served or changed

	recalled atomic.Bool // what was before the start is among the differences in memory

	waiting []*batch // that come after the one that holds the zone; turn
	held    bool     // turn
	due     bool     // the keeper has it on its list; keeper.mu
}

// head returns the newest version, nil where there is none.
func (st *state) head() *zone.Version { return st.z.Latest() }

// find returns the state of a zone that can be changed. The caller holds turn.
func (p *Pipeline) find(id zone.ID) (*state, error) {
	st := p.zones[id]
	switch {
	case st == nil:
		return nil, fmt.Errorf("changing %s: %w", id, zone.ErrUnknown)
	case st.broken != nil:
		return nil, fmt.Errorf("changing %s: %w", id, st.broken)
	}
	return st, nil
}

// lookup returns the state of a zone, broken or not.
func (p *Pipeline) lookup(id zone.ID) (*state, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if st := p.zones[id]; st != nil {
		return st, nil
	}
	return nil, fmt.Errorf("zone %s: %w", id, zone.ErrUnknown)
}

// Zone returns the zone that is served, nil where there is no such zone.
func (p *Pipeline) Zone(id zone.ID) *zone.Zone {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if st := p.zones[id]; st != nil {
		return st.z
	}
	return nil
}

// Head returns the newest version of a zone and its number; nil and 0 where the
// zone has none yet.
func (p *Pipeline) Head(id zone.ID) (number uint64, v *zone.Version, ok bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	st := p.zones[id]
	if st == nil {
		return 0, nil, false
	}
	return st.number, st.head(), true
}

// Row returns the number of a zone in the database, under which doors keep their state there.
func (p *Pipeline) Row(id zone.ID) (row int64, ok bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	st := p.zones[id]
	if st == nil {
		return 0, false
	}
	return st.row, true
}

// Broken returns why a zone cannot be served, nil where nothing is wrong with it.
func (p *Pipeline) Broken(id zone.ID) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if st := p.zones[id]; st != nil {
		return st.broken
	}
	return nil
}

// IDs returns all zones, in no order.
func (p *Pipeline) IDs() []zone.ID {
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := make([]zone.ID, 0, len(p.zones))
	for id := range p.zones {
		out = append(out, id)
	}
	return out
}

// Listen has f called with the receipt of each new version, in order for each
// zone, once it is served; those of other nodes too. f is called by the goroutine
// that commits, and must be quick: it must not wait for a change.
func (p *Pipeline) Listen(f func(zone.Receipt)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listeners = append(slices.Clip(p.listeners), f)
}

func (p *Pipeline) tell(receipts []zone.Receipt) {
	p.mu.RLock()
	listeners := p.listeners
	p.mu.RUnlock()
	for _, r := range receipts {
		if !r.Changed {
			continue
		}
		for _, f := range listeners {
			f(r)
		}
	}
}

// Configure changes how a zone is kept. What is there already stays.
func (p *Pipeline) Configure(spec ZoneSpec) error {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.zones[spec.ID]
	if st == nil {
		return fmt.Errorf("configuring %s: %w", spec.ID, zone.ErrUnknown)
	}
	st.spec = &spec
	return nil
}

// Add adds a zone, with what the database has of it, and returns it. A zone that
// is there already gets the spec.
func (p *Pipeline) Add(ctx context.Context, spec ZoneSpec) (*zone.Zone, error) {
	if err := p.Load(ctx, []ZoneSpec{spec}); err != nil {
		return nil, err
	}
	if z := p.Zone(spec.ID); z != nil {
		return z, nil
	}
	return nil, fmt.Errorf("adding %s: %w", spec.ID, zone.ErrUnknown) // somebody has removed it already
}

// Remove removes a zone: it is not served any more, and changes of it that wait
// are refused. With forget its history goes too; else Add brings all of it back.
func (p *Pipeline) Remove(ctx context.Context, id zone.ID, forget bool) error {
	st := p.drop(id)
	if st == nil {
		return fmt.Errorf("removing %s: %w", id, zone.ErrUnknown)
	}
	if !forget {
		return nil
	}
	p.removeSnapshots(st, "")
	if err := p.store.RemoveZone(ctx, st.row); err != nil {
		return fmt.Errorf("removing %s: %w", id, err)
	}
	return nil
}

func (p *Pipeline) drop(id zone.ID) *state {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.zones[id]
	if st == nil {
		return nil
	}
	delete(p.zones, id)
	delete(p.rows, st.row)
	st.z.Publish(nil)
	return st
}

// Made returns when the newest version of a zone was made, the zero Time where
// there is none.
func (p *Pipeline) Made(id zone.ID) time.Time {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if st := p.zones[id]; st != nil && st.made != 0 {
		return time.UnixMicro(st.made).UTC()
	}
	return time.Time{}
}
