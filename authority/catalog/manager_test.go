package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/zone"
)

// server is a Host and a Keeper that survive a restart of the Manager, as a disk does.
type server struct {
	mu      sync.Mutex
	data    map[zone.ID]int    // zones on the disk, and how often they were transferred
	served  map[zone.ID]string // template
	state   map[zone.ID]map[uint8][]byte
	calls   []int // zones of each call
	saved   int   // parts written
	fail    func(id zone.ID) bool
	noSave  error
	unknown map[zone.ID]bool // catalogs that are no zones any more
}

func newServer() *server {
	return &server{data: map[zone.ID]int{}, served: map[zone.ID]string{}, state: map[zone.ID]map[uint8][]byte{}}
}

func (s *server) AddMany(_ context.Context, add []Placement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, len(add))
	for _, p := range add {
		if s.fail != nil && s.fail(p.Zone) {
			return fmt.Errorf("%s cannot be added", p.Zone)
		}
	}
	for _, p := range add {
		if p.Fresh {
			delete(s.data, p.Zone)
		}
		if s.data[p.Zone] == 0 {
			s.data[p.Zone]++
		}
		s.served[p.Zone] = p.Template
	}
	return nil
}

func (s *server) RemoveMany(_ context.Context, zones []zone.ID, forget bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, len(zones))
	for _, id := range zones {
		delete(s.served, id)
		if forget {
			delete(s.data, id)
		}
	}
	return nil
}

func (s *server) LoadCatalogs(context.Context) (map[zone.ID]map[uint8][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[zone.ID]map[uint8][]byte)
	for id, parts := range s.state {
		out[id] = maps.Clone(parts)
	}
	return out, nil
}

func (s *server) SaveCatalog(_ context.Context, catalog zone.ID, parts map[uint8][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noSave != nil {
		return s.noSave
	}
	if s.unknown[catalog] {
		return zone.ErrUnknown
	}
	if s.state[catalog] == nil {
		s.state[catalog] = make(map[uint8][]byte)
	}
	maps.Copy(s.state[catalog], parts)
	s.saved += len(parts)
	return nil
}

// zones are those that are served, with their templates, and those that are only on the disk.
func (s *server) zones() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.data {
		if template, ok := s.served[id]; ok {
			list = append(list, id.Name.String()+" "+template)
		} else {
			list = append(list, id.Name.String()+" kept")
		}
	}
	slices.Sort(list)
	return list
}

func (s *server) locked(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// transfers is how often a zone has been transferred.
func (s *server) transfers(name string) (n int) {
	s.locked(func() { n = s.data[id(name)] })
	return n
}

func (s *server) attempts() (n int) {
	s.locked(func() { n = len(s.calls) })
	return n
}

// run is a Manager at work, until stop.
type run struct {
	*Manager
	loaded []Placement
	stop   func()
}

// start starts a Manager as a daemon would. Its goroutine is in the test's bubble.
func start(t *testing.T, s *server, o Options, catalogs ...Settings) *run {
	t.Helper()
	o.Host, o.Keeper = s, s
	ctx, cancel := context.WithCancel(t.Context())
	r := &run{Manager: NewManager(o)}
	var err error
	if r.loaded, err = r.Load(ctx, catalogs); err != nil {
		t.Fatal(err)
	}
	s.locked(func() {
		clear(s.served)
		for _, p := range r.loaded {
			s.served[p.Zone] = p.Template
			s.data[p.Zone] = max(s.data[p.Zone], 1)
		}
	})
	var done sync.WaitGroup
	done.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	r.stop = sync.OnceFunc(func() {
		cancel()
		done.Wait()
	})
	t.Cleanup(r.stop)
	return r
}

func (r *run) sees(t *testing.T, v *zone.Version) {
	t.Helper()
	r.Update(zone.IDOf("", v.Origin()), v)
	synctest.Wait()
}

func settings(name string, keep time.Duration) Settings {
	return Settings{Catalog: id(name), Keep: keep, Templates: Templates{Groups: map[string]string{"g": "grouped"}, Default: "plain"}}
}

func expectZones(t *testing.T, s *server, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.zones()); diff != "" {
		t.Helper()
		t.Fatalf("zones (-expected +got):\n%s", diff)
	}
}

func TestManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		m := start(t, s, Options{}, settings("c.", 0))
		a, b := "a.zones 0 PTR a.example.", "b.zones 0 PTR b.example."
		m.sees(t, catz(t, "c.", a, `group.a.zones 0 TXT "g"`, b))
		expectZones(t, s, "a.example. grouped", "b.example. plain")
		m.sees(t, catz(t, "c.", a, `group.b.zones 0 TXT "g"`, b))
		expectZones(t, s, "a.example. plain", "b.example. grouped")
		m.sees(t, catz(t, "c.", a, "a.zones 0 PTR both.example."))
		expectZones(t, s, "a.example. plain", "b.example. grouped") // broken
		if st, ok := m.Status(id("c.")); !ok || st.Broken == nil || st.Owned != 2 {
			t.Errorf("status %+v, expected a broken catalog of 2 zones", st)
		}
		m.sees(t, catz(t, "c.", a, "n.zones 0 PTR n.example."))
		expectZones(t, s, "a.example. plain", "n.example. plain")
		if owner, ok := m.Owner(id("a.example.")); !ok || owner != id("c.") {
			t.Errorf("owner %v %v", owner, ok)
		}
		m.Update(id("c."), nil) // expired
		m.sees(t, catz(t, "unknown.", a))
		expectZones(t, s, "a.example. plain", "n.example. plain")

		// Nothing is done again after a restart.
		m.stop()
		calls := s.attempts()
		m = start(t, s, Options{}, settings("c.", 0))
		if len(m.loaded) != 2 {
			t.Errorf("%v are loaded, expected 2 zones", m.loaded)
		}
		m.sees(t, catz(t, "c.", a, "n.zones 0 PTR n.example."))
		if n := s.attempts() - calls; n != 0 {
			t.Errorf("%d calls after a restart, expected none", n)
		}

		// Another template for all, and then no catalog at all.
		changed := settings("c.", 0)
		changed.Templates.Default = "other"
		m.Configure([]Settings{changed})
		synctest.Wait()
		expectZones(t, s, "a.example. other", "n.example. other")
		m.stop()
		s.unknown = map[zone.ID]bool{id("c."): true}
		m = start(t, s, Options{Keep: time.Hour}, settings("d.", 0))
		m.sees(t, catz(t, "d.", "d.zones 0 PTR d.example."))
		expectZones(t, s, "a.example. kept", "d.example. plain", "n.example. kept")
		time.Sleep(time.Hour)
		synctest.Wait()
		expectZones(t, s, "d.example. plain")
	})
}

// TestKeep: the data of a removed member stays for a while, and serves whoever comes back as the same.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		c := settings("c.", time.Hour)
		m := start(t, s, Options{}, c)
		a, b, d := "a.zones 0 PTR a.example.", "b.zones 0 PTR b.example.", "d.zones 0 PTR d.example."
		m.sees(t, catz(t, "c.", a, b, d))
		s.locked(func() { s.data[id("a.example.")], s.data[id("b.example.")] = 7, 7 })
		m.sees(t, catz(t, "c."))
		expectZones(t, s, "a.example. kept", "b.example. kept", "d.example. kept")
		m.stop()
		m = start(t, s, Options{}, c)
		time.Sleep(30 * time.Minute)
		m.sees(t, catz(t, "c.", a, "b2.zones 0 PTR b.example."))
		expectZones(t, s, "a.example. plain", "b.example. plain", "d.example. kept")
		if s.transfers("a.example.") != 7 {
			t.Error("a.example. has lost its data, though it is the same")
		}
		if s.transfers("b.example.") == 7 {
			t.Error("b.example. has the data of its predecessor")
		}
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		expectZones(t, s, "a.example. plain", "b.example. plain")
	})
}

// TestFailures: one bad zone does not keep others from being served, and nothing is done before it is written.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		bad := true
		s.fail = func(id zone.ID) bool { return bad && id.Name.String() == "z7.example." }
		m := start(t, s, Options{}, settings("c.", 0))
		var lines []string
		for i := range 50 {
			lines = append(lines, fmt.Sprintf("l%d.zones 0 PTR z%d.example.", i, i))
		}
		s.locked(func() { s.noSave = errors.New("disk full") })
		m.sees(t, catz(t, "c.", lines...))
		expectZones(t, s)
		s.locked(func() { s.noSave = nil })
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if n := len(s.zones()); n != 49 {
			t.Errorf("%d zones are served, expected all 50 but one", n)
		}
		if waiting, failed := m.Pending(); waiting != 1 || failed != 1 {
			t.Errorf("%d wait, %d have failed, expected 1", waiting, failed)
		}
		calls := s.attempts()
		time.Sleep(10 * time.Minute)
		if n := s.attempts() - calls; n < 5 || n > 30 {
			t.Errorf("%d attempts in 10 minutes, expected about one a minute", n)
		}
		s.locked(func() { bad = false })
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := len(s.zones()); n != 50 {
			t.Errorf("%d zones are served, expected all 50", n)
		}
	})
}

// TestCrash: wherever the process ends, the next one does what is left, and no zone is left over.
func TestCrash(t *testing.T) {
	a, b, d := "a.zones 0 PTR a.example.", "b.zones 0 PTR b.example.", "d.zones 0 PTR d.example."
	for calls := range 6 {
		t.Run(fmt.Sprintf("after %d calls", calls), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer()
				first := start(t, s, Options{}, settings("c.", 0))
				first.sees(t, catz(t, "c.", a, b))
				first.stop()
				s.data[id("b.example.")] = 7
				crashing := &crash{server: s, left: calls}
				doomed := NewManager(Options{Host: crashing, Keeper: crashing, Batch: 1})
				if _, err := doomed.Load(t.Context(), []Settings{settings("c.", 0)}); err != nil {
					t.Fatal(err)
				}
				doomed.Update(id("c."), catz(t, "c.", "b2.zones 0 PTR b.example.", d))
				for range 10 {
					doomed.turn(t.Context())
				}
				m := start(t, s, Options{}, settings("c.", 0))
				m.sees(t, catz(t, "c.", "b2.zones 0 PTR b.example.", d))
				expectZones(t, s, "b.example. plain", "d.example. plain")
				if s.transfers("b.example.") == 7 {
					t.Error("b.example. has the data from before its reset")
				}
			})
		})
	}
}

// crash is a server of which nothing more is heard after some calls.
type crash struct {
	*server
	left int
}

var errCrash = errors.New("crashed")

func (c *crash) gone() bool {
	c.left--
	return c.left < 0
}

func (c *crash) AddMany(ctx context.Context, add []Placement) error {
	if c.gone() {
		return errCrash
	}
	return c.server.AddMany(ctx, add)
}

func (c *crash) RemoveMany(ctx context.Context, zones []zone.ID, forget bool) error {
	if c.gone() {
		return errCrash
	}
	return c.server.RemoveMany(ctx, zones, forget)
}

func (c *crash) SaveCatalog(ctx context.Context, catalog zone.ID, parts map[uint8][]byte) error {
	if c.gone() {
		return errCrash
	}
	return c.server.SaveCatalog(ctx, catalog, parts)
}

// TestLargeStart: 100,000 members come in batches, and a restart does nothing.
func TestLargeStart(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 5000
	}
	p := producer("c.")
	v := large(t, p, n)
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		m := start(t, s, Options{Batch: 1000, Pause: 10 * time.Millisecond}, settings("c.", 0))
		began := time.Now()
		m.sees(t, v)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(s.served) != n || len(s.calls) != n/1000 || slices.Max(s.calls) > 1000 {
			t.Fatalf("%d zones in %d calls of at most %d, expected %d in %d", len(s.served), len(s.calls), slices.Max(s.calls), n, n/1000)
		}
		if time.Since(began) < time.Second*time.Duration(n)/100_000 {
			t.Error("there is no pause between batches")
		}
		m.stop()
		saved := s.saved
		m = start(t, s, Options{}, settings("c.", 0))
		if len(m.loaded) != n {
			t.Errorf("%d zones are loaded, expected %d", len(m.loaded), n)
		}
		m.sees(t, v)
		change, err := p.Set(author, Wish{Zone: dns.MustName("one.more.")})
		m.sees(t, made(t, v, change, err))
		if len(s.calls) != n/1000+1 || s.saved > saved+1 {
			t.Errorf("%d calls and %d parts are written, expected one for one more zone", len(s.calls)-n/1000, s.saved-saved)
		}
	})
}

// TestTakenZones: what the configuration has is no catalog's.
func TestTakenZones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		taken := func(z zone.ID) bool { return strings.HasPrefix(z.Name.String(), "own.") }
		m := start(t, s, Options{Taken: taken}, settings("c.", 0))
		m.sees(t, catz(t, "c.", "a.zones 0 PTR a.example.", "o.zones 0 PTR own.example."))
		expectZones(t, s, "a.example. plain")
		st, _ := m.Status(id("c."))
		if len(st.Clashes) != 1 || st.Listed != 2 || st.Owned != 1 {
			t.Errorf("status %+v, expected one clash", st)
		}
		if _, ok := m.Status(id("other.")); ok {
			t.Error("a zone that is no catalog has a status")
		}
	})
}
