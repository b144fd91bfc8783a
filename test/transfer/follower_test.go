package transfer

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	ours "onoma/dns"

	"onoma/authority"
	"onoma/authority/secondary"
	"onoma/test/peers"
	"onoma/transport"
	"onoma/zone"
)

// follower is our secondary of one zone, with zones in memory, which answers at an address of its own.
type follower struct {
	*secondary.Secondary
	addr  netip.AddrPort
	zone  *zone.Zone
	serve *transport.Server
	auth  *authority.Server

	mu     sync.Mutex
	head   *zone.Version
	number uint64
	saved  []byte
	ended  []secondary.Report
	cfg    secondary.ZoneConfig
	o      secondary.Options
	stop   func()
	log    strings.Builder
}

func (f *follower) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.Write(b)
}

// follow starts a follower of primaries.
func follow(t *testing.T, key *peers.Key, primaries ...secondary.Primary) *follower {
	t.Helper()
	origin := ours.MustName(zoneName)
	f := &follower{zone: zone.New(origin)}
	f.zone.Keep(zone.NewHistory(zone.HistoryLimits{}))
	keys := new(authority.Keys)
	if key != nil {
		secret, err := base64.StdEncoding.DecodeString(key.Secret)
		if err != nil {
			t.Fatal(err)
		}
		keys.Set([]ours.TSIGKey{{Name: ours.MustName(key.Name), Algorithm: ours.HMACSHA256, Secret: secret}})
		for i := range primaries {
			primaries[i].Key = ours.MustName(key.Name)
		}
	}
	everybody := authority.ACL{{Prefix: netip.MustParsePrefix("127.0.0.0/8")}}
	f.cfg = secondary.ZoneConfig{ID: zone.IDOf("", origin), Primaries: primaries, AllowNotify: everybody}
	f.o = secondary.Options{Zones: f, Keys: keys, Save: f.save, Ended: f.report, Log: slog.New(slog.NewTextHandler(f, nil))}
	f.auth = authority.New(authority.Options{
		Keys: keys, Transfers: authority.TransferOptions{Allow: everybody},
		Notified: func(n authority.Notice) authority.NoticeVerdict { return f.current().Notified(n) },
	})
	f.auth.AddZone(f.zone)
	s, err := transport.Listen(transport.Config{Addrs: []netip.AddrPort{peers.Addr(t)}, Handler: f.auth})
	if err != nil {
		t.Fatal(err)
	}
	f.serve, f.addr = s, s.Addrs()[0]
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ctx) })
	f.start()
	t.Cleanup(func() {
		f.stop()
		cancel()
		s.Close()
		wg.Wait()
		if t.Failed() {
			t.Logf("the log of our secondary:\n%s", f.log.String())
		}
	})
	return f
}

func (f *follower) current() *secondary.Secondary {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Secondary
}

// start runs a Secondary with what was saved last.
func (f *follower) start() {
	f.cfg.Saved = f.saved
	s := secondary.New(f.o)
	s.Add(f.cfg)
	f.mu.Lock()
	f.Secondary = s
	f.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	f.stop = func() {
		cancel()
		wg.Wait()
	}
}

// restart is a restart of the secondary.
func (f *follower) restart() {
	f.stop()
	f.start()
}

func (f *follower) save(_ context.Context, batch []secondary.Saved) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.saved = batch[len(batch)-1].Data
	return nil
}

func (f *follower) report(r secondary.Report) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = append(f.ended, r)
}

// kinds counts the transfers that went well.
func (f *follower) kinds() map[authority.TransferKind]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[authority.TransferKind]int)
	for _, r := range f.ended {
		if r.Err == nil {
			out[r.Kind]++
		}
	}
	return out
}

// Head is secondary.Zones'.
func (f *follower) Head(zone.ID) (uint64, *zone.Version, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.number, f.head, true
}

// Zone is secondary.Zones'.
func (f *follower) Zone(zone.ID) *zone.Zone { return f.zone }

// Submit is secondary.Zones'.
func (f *follower) Submit(_ context.Context, changes ...zone.Change) ([]zone.Receipt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := changes[0]
	if c.Base != f.number {
		return nil, zone.ErrConflict
	}
	v := c.Replace
	if c.Edit != nil {
		if f.head == nil {
			return nil, errors.New("there is nothing to edit")
		}
		e := f.head.Edit()
		if err := c.Edit(e); err != nil {
			e.Discard()
			return nil, err
		}
		var err error
		if v, err = e.Commit(); err != nil {
			return nil, err
		}
	}
	f.number++
	f.head = v
	f.zone.Publish(v)
	return []zone.Receipt{{Zone: c.Zone, Version: f.number, Serial: v.Serial(), Changed: true}}, nil
}

// fetchVersion has the follower ask its primary until it serves a version: one that reloads may answer with the last
// version for a moment, from processes that are about to end.
func (f *follower) fetchVersion(t *testing.T, want uint32) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for serial(f.addr) != want && time.Now().Before(deadline) {
		f.Refresh(f.cfg.ID)
		for patience := time.Now().Add(time.Second); serial(f.addr) != want && time.Now().Before(patience); {
			time.Sleep(20 * time.Millisecond)
		}
	}
	f.awaitVersion(t, want)
}

// awaitVersion waits until the follower serves a version.
func (f *follower) awaitVersion(t *testing.T, want uint32) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for serial(f.addr) != want {
		if time.Now().After(deadline) {
			st, _ := f.current().State(f.cfg.ID)
			t.Fatalf("our secondary has version %d, expected %d: %+v", serial(f.addr), want, st)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
