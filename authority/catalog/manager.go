package catalog

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"onoma/zone"
)

// Options are what a Manager works with. Host and Keeper must be set.
type Options struct {
	Host   Host
	Keeper Keeper
	// Taken tells the zones that the configuration has by itself, catalogs included;
	// no catalog touches them (§5.2). nil: none. It is called under a lock and must
	// not call the Manager.
	Taken func(zone.ID) bool
	Log   *slog.Logger // nil: nobody is told
	// Keep is for how long the data of members stays whose catalog went from the
	// configuration while nobody ran, which may be a mistake; 0 means a week.
	Keep  time.Duration
	Batch int           // most zones in one call of the Host; 0 means 1000
	Pause time.Duration // between two calls of the Host
}

const (
	defaultBatch = 1000
	defaultKeep  = 7 * 24 * time.Hour
	firstRetry   = time.Second
	lastRetry    = time.Minute
	saveAtLeast  = 2 * time.Second // while there is much to do, so often is written what has been done
)

// Manager has a Host serve what the catalogs list.
type Manager struct {
	o Options

	inbox struct {
		sync.Mutex
		latest map[zone.ID]*zone.Version // not looked at yet
	}
	wake chan struct{}

	mu      sync.Mutex // never held during a call of Host or Keeper
	c       *Consumer
	queue   []zone.ID // that want a look, in order
	queued  map[zone.ID]bool
	later   map[zone.ID]bool // that have failed
	unsaved bool             // something is wanted that has not been written
	logged  map[zone.ID]string

	// The rest is Run's.
	limit   int // zones in one call at the moment: fewer after an error
	retry   time.Duration
	retryAt time.Time
	savedAt time.Time
}

// NewManager returns a Manager. Load and Run are to follow.
func NewManager(o Options) *Manager {
	if o.Taken == nil {
		o.Taken = func(zone.ID) bool { return false }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Batch <= 0 {
		o.Batch = defaultBatch
	}
	if o.Keep <= 0 {
		o.Keep = defaultKeep
	}
	m := &Manager{
		o: o, c: NewConsumer(o.Taken, time.Now), queued: make(map[zone.ID]bool), later: make(map[zone.ID]bool), logged: make(map[zone.ID]string),
		wake: make(chan struct{}, 1), limit: o.Batch, retry: firstRetry,
	}
	m.inbox.latest = make(map[zone.ID]*zone.Version)
	return m
}

// Load is called once, before Run. It returns how the members are to be served
// that are known from earlier: with the data that is there, at once and all
// together. What has yet to be done with zones is done by Run.
func (m *Manager) Load(ctx context.Context, catalogs []Settings) ([]Placement, error) {
	states, err := m.o.Keeper.LoadCatalogs(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading the state of catalogs: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range catalogs {
		m.c.AddCatalog(s)
	}
	for _, id := range slices.SortedFunc(maps.Keys(states), compareIDs) {
		m.restore(id, states[id])
	}
	// Catalogs that have gone from the configuration while nobody ran.
	m.retire(catalogs, slices.Collect(maps.Keys(states)))
	m.enqueue(m.c.Recheck())
	m.unsaved = true
	for id := range m.c.Leaving() {
		m.push(id)
	}
	return m.placements(), nil
}

func (m *Manager) restore(id zone.ID, parts map[uint8][]byte) {
	if !m.c.Has(id) {
		m.c.AddCatalog(Settings{Catalog: id, Keep: m.o.Keep})
	}
	for p, data := range parts {
		if err := m.c.Restore(id, data); err != nil {
			// Its members are added once more by the first version; their data is there.
			m.o.Log.Error("state of a catalog is damaged; its members are read anew", "catalog", id.String(), "part", p, "error", err)
		}
	}
}

// retire ends the catalogs of have that are not in keep.
func (m *Manager) retire(keep []Settings, have []zone.ID) {
	for _, id := range have {
		if slices.ContainsFunc(keep, func(s Settings) bool { return s.Catalog == id }) {
			continue
		}
		if actions := m.c.RemoveCatalog(id); len(actions) > 0 {
			m.o.Log.Info("catalog is not configured any more; its members go", "catalog", id.String(), "members", len(actions))
			m.enqueue(actions)
		}
	}
}

// placements returns all zones that are to be served and need nothing first.
func (m *Manager) placements() []Placement {
	var list []Placement
	for id := range m.c.Owned() {
		s, ok := m.c.Next(id)
		if !ok {
			continue
		}
		template, serve := m.c.Templates(s.Catalog).For(s.Groups)
		if s.Fresh {
			m.push(id)
		} else if serve {
			list = append(list, Placement{Zone: id, Template: template, Catalog: s.Catalog})
		}
	}
	return list
}

// Configure takes the catalogs and, by Taken, the zones of another configuration.
func (m *Manager) Configure(catalogs []Settings) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range catalogs {
		changed := m.c.Has(s.Catalog) && !reflect.DeepEqual(m.c.Templates(s.Catalog), s.Templates)
		m.c.AddCatalog(s)
		if changed {
			for id := range m.c.OwnedBy(s.Catalog) {
				m.push(id)
			}
		}
	}
	m.retire(catalogs, m.c.Catalogs())
	m.enqueue(m.c.Recheck())
	m.unsaved = true
	m.notify()
}

// Update takes a new version of a zone, which is ignored unless the zone is a
// catalog that is consumed. It never waits.
func (m *Manager) Update(id zone.ID, v *zone.Version) {
	if v == nil {
		return // expired: the members stay (§5.1)
	}
	m.inbox.Lock()
	m.inbox.latest[id] = v
	m.inbox.Unlock()
	m.notify()
}

func (m *Manager) notify() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *Manager) enqueue(actions []Action) {
	for _, a := range actions {
		m.push(a.Zone)
	}
}

func (m *Manager) push(id zone.ID) {
	if !m.queued[id] {
		m.queued[id] = true
		m.queue = append(m.queue, id)
	}
}
