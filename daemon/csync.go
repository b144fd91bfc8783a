package daemon

import (
	"context"
	"maps"
	"sync"

	"onoma/dns"
	"onoma/propagation"
	"onoma/signer/parent"
	"onoma/zone"
)

// syncer has zones ask their parents by CSYNC to take over their name servers and these' addresses when they have changed
// (RFC 7477), and tells the parents of it once all servers of the zone have the record. One goroutine does it, since the
// pipeline tells of versions and must not wait for changes. What has changed while the server was down it does not know.
type syncer struct {
	d    *Daemon
	woke chan struct{}

	mu    sync.Mutex
	zones map[zone.ID]*synced
	due   map[zone.ID]bool
}

// synced is what a zone says of its delegation.
type synced struct {
	seen   parent.Delegation
	want   dns.RData // of the CSYNC record; nil: nothing has changed yet
	serial uint32    // of the version with it; 0: it is not there, or its parent knows
}

func newSyncer(d *Daemon) *syncer {
	return &syncer{d: d, woke: make(chan struct{}, 1), zones: make(map[zone.ID]*synced), due: make(map[zone.ID]bool)}
}

// served is told of what is served of a zone: of each version, and of the first after a start.
func (s *syncer) served(e *entry, v *zone.Version) {
	if !e.plan.settings.Parent.CSYNC || v == nil || v.Denial() == zone.DenialNone {
		return // RFC 7477 §3: what is not signed is not believed
	}
	now := parent.DelegationIn(v)
	s.mu.Lock()
	defer s.mu.Unlock()
	z := s.zones[e.id]
	switch {
	case z == nil:
		s.zones[e.id] = &synced{seen: now}
		return
	case !isSameDelegation(z.seen, now):
		types := []dns.Type{dns.TypeNS}
		if len(z.seen.A)+len(z.seen.AAAA)+len(now.A)+len(now.AAAA) > 0 {
			types = append(types, dns.TypeA, dns.TypeAAAA)
		}
		z.seen, z.want, z.serial = now, parent.CSYNC(v.Serial(), types...), 0
	}
	if z.want != nil && !hasCSYNC(v, z.want) {
		s.due[e.id] = true
		select {
		case s.woke <- struct{}{}:
		default:
		}
	}
}

func isSameDelegation(a, b parent.Delegation) bool {
	return maps.Equal(a.NS, b.NS) && maps.Equal(a.A, b.A) && maps.Equal(a.AAAA, b.AAAA)
}

func hasCSYNC(v *zone.Version, want dns.RData) bool {
	set, _ := v.Apex().RRset(dns.TypeCSYNC)
	return set.Count() == 1 && string(set.First()) == string(want)
}

// forget ends what is about a zone.
func (s *syncer) forget(id zone.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.zones, id)
	delete(s.due, id)
}

func (s *syncer) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.woke:
		}
		s.mu.Lock()
		due := make(map[zone.ID]dns.RData, len(s.due))
		for id := range s.due {
			if z := s.zones[id]; z != nil {
				due[id] = z.want
			}
		}
		clear(s.due)
		s.mu.Unlock()
		for id, want := range due {
			s.put(ctx, id, want)
		}
	}
}

// csyncTTL is short: who has looked needs it no more.
const csyncTTL = 3600

func (s *syncer) put(ctx context.Context, id zone.ID, want dns.RData) {
	receipts, err := s.d.pipe.Submit(ctx, zone.Change{
		Zone: id, By: zone.Author{Door: zone.DoorSigner, Name: "csync", Comment: "the parent is asked to take over name servers and addresses (RFC 7477)"},
		Edit: func(e *zone.Editor) error {
			e.RemoveRRset(id.Name, dns.TypeCSYNC)
			_, err := e.Add(dns.Record{Name: id.Name, Type: dns.TypeCSYNC, Class: dns.ClassIN, TTL: csyncTTL, Data: want})
			return err
		},
	})
	if err != nil || len(receipts) == 0 {
		if ctx.Err() == nil {
			s.d.log.Warn("a parent is not asked to take over name servers", "zone", id, "error", err)
		}
		return
	}
	s.mu.Lock()
	if z := s.zones[id]; z != nil {
		z.serial = receipts[0].Serial
	}
	s.mu.Unlock()
	if s.d.isAlone(id) {
		s.inSync(propagation.Event{Zone: id, Serial: receipts[0].Serial})
	}
}

// inSync tells the parent when all servers of a zone have the record (RFC 9859 §4.2).
func (s *syncer) inSync(e propagation.Event) {
	s.mu.Lock()
	z := s.zones[e.Zone]
	isThere := z != nil && z.serial != 0 && !zone.IsNewer(z.serial, e.Serial)
	if isThere {
		z.serial = 0
	}
	s.mu.Unlock()
	if isThere {
		s.d.parents.watcher.Tell(e.Zone, dns.TypeCSYNC)
	}
}
