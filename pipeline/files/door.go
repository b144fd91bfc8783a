package files

import (
	"context"
	"fmt"
	"sync"
	"time"

	"onoma/zone"
)

// Door is the door of zone files.
type Door struct {
	o        Options
	inFlight chan struct{}
	rewatch  chan struct{} // what is to be watched may have changed
	rewrite  chan struct{} // a file is to be written back

	mu      sync.Mutex
	order   []*entry
	zones   map[zone.ID]*entry
	stamps  map[zone.ID][]byte // of the last run, for zones that are not configured yet
	pending map[zone.ID][]byte // stamps that are to be kept
	started bool               // stamps have been read
}

// entry is what is known of one zone with a file.
type entry struct {
	busy sync.Mutex // held while the file is read or written

	// Under Door.mu.
	zone  Zone
	state State
	files []string  // that the zone was read from when it was good
	paths []string  // of them, where they are; nil: not known
	isNew bool      // nobody has read it since the configuration names it
	dirty time.Time // when the file is to be written back; zero: it is not

	// Under busy.
	stamp stamp
	tried *zone.Source // files of the last reading that came to nothing, or of a conflict
}

// New returns a Door without zones.
func New(o Options) *Door {
	o = o.withDefaults()
	return &Door{
		o: o, inFlight: make(chan struct{}, o.InFlight),
		rewatch: make(chan struct{}, 1), rewrite: make(chan struct{}, 1),
		zones: make(map[zone.ID]*entry), pending: make(map[zone.ID][]byte),
	}
}

// Configure says which zones have files. Those that are not among them are no longer
// read; their versions stay as they are. Nothing is read by it: Reload does that.
func (d *Door) Configure(zones []Zone) error {
	seen := make(map[zone.ID]bool, len(zones))
	for i := range zones {
		switch z := &zones[i]; {
		case seen[z.ID]:
			return fmt.Errorf("zone %s has two files", z.ID)
		case z.Path == "":
			return fmt.Errorf("zone %s has no file", z.ID)
		case z.WriteBack && z.Mode != Initial:
			return fmt.Errorf("zone %s: its file is to be written, and belongs to who edits it; expected mode %s, or no writing back", z.ID, Initial)
		default:
			seen[z.ID] = true
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for id := range d.zones {
		if !seen[id] {
			delete(d.zones, id)
		}
	}
	d.order = make([]*entry, len(zones))
	for i, z := range zones {
		d.order[i] = d.enter(z)
	}
	signal(d.rewatch)
	return nil
}

// enter returns the entry of z, a new one if need be. Who calls it has mu.
func (d *Door) enter(z Zone) *entry {
	e := d.zones[z.ID]
	if e == nil {
		e = &entry{state: State{Status: Unread}}
		d.zones[z.ID] = e
	}
	if e.zone != z {
		e.paths, e.isNew = nil, true
	}
	e.zone = z
	e.state.Zone, e.state.Path, e.state.Mode = z.ID, z.Path, z.Mode
	return e
}

// signal wakes who waits for c, without waiting for it.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// start reads the stamps of the last run, once.
func (d *Door) start(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.started || d.o.Stamps == nil {
		return
	}
	stamps, err := d.o.Stamps(ctx)
	if err != nil {
		d.o.Log.Warn("stamps of zone files cannot be read, all files are read again", "error", err)
	}
	d.stamps, d.started = stamps, ctx.Err() == nil
}

// find returns the entry of a zone, and its zone as it is configured now.
func (d *Door) find(id zone.ID) (*entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.zones[id]; e != nil {
		return e, nil
	}
	return nil, fmt.Errorf("zone %s: %w with a file", id, zone.ErrUnknown)
}

// State says how a zone stands with its file, and whether it has one.
func (d *Door) State(id zone.ID) (State, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.zones[id]
	if e == nil {
		return State{}, false
	}
	return e.state, true
}

// States says how all zones stand with their files, in the order of Configure.
func (d *Door) States() []State {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]State, len(d.order))
	for i, e := range d.order {
		out[i] = e.state
	}
	return out
}

// Allows reports whether a zone may be changed by a door as far as its file goes.
func (d *Door) Allows(id zone.ID, door zone.Door) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.zones[id]
	return e == nil || e.zone.Mode.Allows(door)
}

// seen notes that e's file is looked at, as it is configured now.
func (d *Door) seen(e *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.isNew = false
}

// set makes s what is known of e.
func (d *Door) set(e *entry, s State) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Zone, s.Path, s.Mode = e.zone.ID, e.zone.Path, e.zone.Mode
	e.state = s
}

// get returns what is known of e. The lists of the state are not changed by anyone.
func (d *Door) get(e *entry) (Zone, State) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return e.zone, e.state
}

// take gives e the stamp that the last run has left, if there is one. Who calls it has e.busy.
func (d *Door) take(e *entry, id zone.ID) {
	d.mu.Lock()
	b, ok := d.stamps[id]
	delete(d.stamps, id)
	d.mu.Unlock()
	if !ok || e.stamp.source != nil {
		return
	}
	s, err := parseStamp(b)
	if err != nil {
		d.o.Log.Warn("stamp of a zone file is damaged, the file is read again", "zone", id, "error", err)
		return
	}
	d.stamped(e, s)
}

// stamped makes s the stamp of e. Who calls it has e.busy.
func (d *Door) stamped(e *entry, s stamp) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.stamp, e.files, e.paths = s, nil, nil
	if s.source != nil {
		for _, f := range s.source.Files {
			e.files = append(e.files, f.Path)
		}
	}
}

// keepEach is how many stamps are kept at once.
const keepEach = 1000

// keep notes e's stamp, to be kept with others.
func (d *Door) keep(ctx context.Context, e *entry, id zone.ID) {
	if d.o.Keep == nil || e.stamp.source == nil {
		return
	}
	d.mu.Lock()
	d.pending[id] = e.stamp.append(nil)
	full := len(d.pending) >= keepEach
	d.mu.Unlock()
	if full {
		d.flush(ctx)
	}
}

// flush keeps the stamps that are pending. One that is lost costs a file being read
// once more.
func (d *Door) flush(ctx context.Context) {
	d.mu.Lock()
	stamps := d.pending
	d.pending = make(map[zone.ID][]byte)
	d.mu.Unlock()
	if len(stamps) == 0 {
		return
	}
	if err := d.o.Keep(ctx, stamps); err != nil {
		d.o.Log.Warn("stamps of zone files are not kept, these files are read again at the next start", "files", len(stamps), "error", err)
	}
}
