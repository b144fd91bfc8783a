package secondary

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

var origin = dns.MustName("secondary.example.")

// record reads a record of the zone of tests.
func record(format string, args ...any) dns.Record {
	return dns.MustRecord(fmt.Sprintf(format, args...))
}

func soa(serial uint32) dns.Record {
	return record("secondary.example. 300 IN SOA ns.secondary.example. hostmaster.secondary.example. %d 3600 600 86400 300", serial)
}

// build makes a version with so many names.
func build(t testing.TB, serial uint32, names int, more ...string) *zone.Version {
	t.Helper()
	b := zone.NewBuilder(origin)
	records := []dns.Record{soa(serial), record("secondary.example. 300 IN NS ns.secondary.example."), record("ns.secondary.example. 300 IN A 192.0.2.1")}
	for i := range names {
		records = append(records, record("n%d.secondary.example. 300 IN A 192.0.2.%d", i, i%250))
	}
	for _, s := range more {
		records = append(records, record("%s", s))
	}
	for _, r := range records {
		if err := b.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	v, findings := b.Build()
	if v == nil {
		t.Fatal(findings)
	}
	return v
}

// memory keeps zones as the pipeline does, but for the disk.
type memory struct {
	mu     sync.Mutex
	zones  map[zone.ID]*kept
	refuse error
	seen   []zone.Change
}

type kept struct {
	zone   *zone.Zone
	head   *zone.Version
	number uint64
}

func newMemory() *memory { return &memory{zones: make(map[zone.ID]*kept)} }

func (k *memory) add(id zone.ID, v *zone.Version) *zone.Zone {
	k.mu.Lock()
	defer k.mu.Unlock()
	z := &kept{zone: zone.New(id.Name)}
	z.zone.Keep(zone.NewHistory(zone.HistoryLimits{}))
	if v != nil {
		z.number, z.head = 1, v
		z.zone.Publish(v)
	}
	k.zones[id] = z
	return z.zone
}

func (k *memory) Head(id zone.ID) (uint64, *zone.Version, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	z := k.zones[id]
	if z == nil || z.head == nil {
		return 0, nil, z != nil
	}
	return z.number, z.head, true
}

func (k *memory) Zone(id zone.ID) *zone.Zone {
	k.mu.Lock()
	defer k.mu.Unlock()
	if z := k.zones[id]; z != nil {
		return z.zone
	}
	return nil
}

func (k *memory) Submit(_ context.Context, changes ...zone.Change) (out []zone.Receipt, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range changes {
		k.seen = append(k.seen, c)
		z := k.zones[c.Zone]
		switch {
		case z == nil:
			return nil, zone.ErrUnknown
		case k.refuse != nil:
			return nil, k.refuse
		case c.Base != 0 && c.Base != z.number:
			return nil, zone.ErrConflict
		}
		v := c.Replace
		if c.Edit != nil {
			e := z.head.Edit()
			if err := c.Edit(e); err != nil {
				e.Discard()
				return nil, errors.New("the edit has failed")
			}
			if v, err = e.Commit(); err != nil {
				return nil, err
			}
		}
		z.number++
		z.head = v
		z.zone.Publish(v)
		out = append(out, zone.Receipt{Zone: c.Zone, Version: z.number, Serial: v.Serial(), Changed: true})
	}
	return out, nil
}

// primary is an authority of ours that gives zones.
type primary struct {
	*transport.Server
	zones map[zone.ID]*zone.Zone
	auth  *authority.Server
}

// startPrimary serves versions.
func startPrimary(t testing.TB, o authority.Options, versions ...*zone.Version) *primary {
	t.Helper()
	if o.Transfers.Allow == nil {
		o.Transfers.Allow = authority.ACL{{}}
	}
	p := &primary{zones: make(map[zone.ID]*zone.Zone), auth: authority.New(o)}
	for _, v := range versions {
		z := zone.New(v.Origin())
		z.Keep(zone.NewHistory(zone.HistoryLimits{}))
		z.Publish(v)
		p.zones[zone.IDOf("", v.Origin())] = z
		p.auth.AddZone(z)
	}
	s, err := transport.Listen(transport.Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: p.auth})
	if err != nil {
		t.Fatal(err)
	}
	p.Server = s
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ctx) })
	t.Cleanup(func() {
		cancel()
		s.Close()
		wg.Wait()
	})
	return p
}

// change publishes the next version of the zone.
func (p *primary) change(t testing.TB, edit func(*zone.Editor) error) *zone.Version {
	t.Helper()
	v, err := p.zones[zone.IDOf("", origin)].Update(func(e *zone.Editor) error {
		set, _ := e.Find(origin).RRset(dns.TypeSOA)
		if _, err := e.Add(soa(dns.SOASerial(set.First()) + 1)); err != nil {
			return err
		}
		return edit(e)
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// await waits for a state of the zone.
func await(t testing.TB, s *Secondary, id zone.ID, what string, is func(State) bool) State {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		st, ok := s.State(id)
		if ok && is(st) {
			return st
		}
		if time.Now().After(deadline) {
			t.Fatalf("the zone is %+v, expected %s", st, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func awaitSerial(t testing.TB, s *Secondary, id zone.ID, serial uint32) State {
	t.Helper()
	return await(t, s, id, fmt.Sprintf("version %d", serial), func(st State) bool {
		return st.HasZone && st.Serial == serial && st.Phase == Waiting
	})
}

// run runs s until the test ends.
func run(t testing.TB, s *Secondary) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// same compares two versions record by record.
func same(t testing.TB, want, got *zone.Version) {
	t.Helper()
	if got == nil {
		t.Fatal("there is no version")
	}
	if d := zone.Diff(want, got); !d.IsEmpty() {
		t.Fatalf("the secondary lacks %v and has %v too much", d.Removed, d.Added)
	}
}
