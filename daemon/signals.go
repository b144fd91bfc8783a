package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"onoma/dns"
	"onoma/signer/parent"
	"onoma/zone"
)

// signals publishes keys of zones whose parent has no DS yet below the names of their name servers, in zones of this server, so
// that the parent can be sure of them (RFC 9615). One goroutine looks at the zones about which something has changed, and at no
// others: there may be a hundred thousand.
type signals struct {
	child    func(zone.ID) (c parent.Child, ok bool) // what a zone signals; false: what there is stays
	provider func(dns.Name) (parent.Provider, bool)  // the zone of this server that is closest above a name
	submit   func(context.Context, ...zone.Change) ([]zone.Receipt, error)
	log      *slog.Logger
	woke     chan struct{}

	mu   sync.Mutex
	due  map[zone.ID]bool
	gone []parent.Child // zones that are served no more, and are to be silent
	// By the zone that holds them: whose signals are there, or would be, were that zone signed.
	held, lacking map[zone.ID]map[zone.ID]bool

	told map[string]bool // problems that were logged; by the goroutine alone
}

func newSignals(d *Daemon) *signals {
	return (&signals{child: d.signalOf, provider: d.providerOf, submit: d.pipe.Submit, log: d.log}).init()
}

func (s *signals) init() *signals {
	s.woke, s.due = make(chan struct{}, 1), make(map[zone.ID]bool)
	s.held, s.lacking = make(map[zone.ID]map[zone.ID]bool), make(map[zone.ID]map[zone.ID]bool)
	s.told = make(map[string]bool)
	return s
}

// look has zones looked at.
func (s *signals) look(ids ...zone.ID) {
	s.mu.Lock()
	for _, id := range ids {
		s.due[id] = true
	}
	s.mu.Unlock()
	s.wake()
}

func (s *signals) wake() {
	select {
	case s.woke <- struct{}{}:
	default:
	}
}

// published is told of each version: one that came whole may be without the signals that the zone had, a first signed one may
// hold some.
func (s *signals) published(r *zone.Receipt, isSigned bool) {
	s.mu.Lock()
	var again map[zone.ID]bool
	switch {
	case r.By.Door == zone.DoorFile, r.By.Door == zone.DoorTransfer, r.By.Door == zone.DoorRollback:
		again = s.held[r.Zone]
	case isSigned:
		again = s.lacking[r.Zone]
		delete(s.lacking, r.Zone)
	}
	for id := range again {
		s.due[id] = true
	}
	s.mu.Unlock()
	if len(again) > 0 {
		s.wake()
	}
}

// forget has the signals of a zone go that is served no more.
func (s *signals) forget(name dns.Name, ns []dns.Name) {
	s.mu.Lock()
	s.gone = append(s.gone, parent.Child{Name: name, NS: ns})
	s.mu.Unlock()
	s.wake()
}

// calm is how long is waited for more of what has changed.
const calm = 50 * time.Millisecond

// portion is how many children are looked at together.
const portion = 1000

// sweepEvery is how often is looked for signals of name servers that zones have left.
const sweepEvery = 24 * time.Hour

func (s *signals) run(ctx context.Context) error {
	timer, sweep := time.NewTimer(0), time.NewTicker(sweepEvery)
	defer timer.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.woke:
			timer.Reset(calm)
		case <-sweep.C:
			s.sweepAll(ctx)
		case <-timer.C:
			s.work(ctx)
		}
	}
}

// work has the signals of those that are due be as they should be.
func (s *signals) work(ctx context.Context) {
	s.mu.Lock()
	due, gone := s.due, s.gone
	s.due, s.gone = make(map[zone.ID]bool), nil
	s.mu.Unlock()
	children := gone
	for id := range due {
		if c, ok := s.child(id); ok {
			children = append(children, c)
		}
	}
	for part := range slices.Chunk(children, portion) {
		s.publish(ctx, part)
	}
}

func (s *signals) publish(ctx context.Context, children []parent.Child) {
	s.note(children)
	changes, problems := parent.SignalChanges(children, s.provider)
	for _, p := range problems {
		if key := p.Error(); !s.told[key] && len(s.told) < portion && !errors.Is(p.Err, parent.ErrNotOurs) {
			s.told[key] = true
			s.log.Info("a zone's keys are not signalled to its parent", "zone", p.Child.String(), "reason", p.Error())
		}
	}
	s.change(ctx, changes...)
}

func (s *signals) change(ctx context.Context, changes ...zone.Change) {
	for _, c := range changes {
		if _, err := s.submit(ctx, c); err != nil && ctx.Err() == nil {
			s.log.Warn("signals of keys are not published", "zone", c.Zone, "error", err)
		}
	}
}

// note keeps which zones hold, or lack, the signals of children.
func (s *signals) note(children []parent.Child) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range children {
		c := &children[i]
		id := zone.IDOf("", c.Name)
		for _, host := range c.NS {
			name, err := parent.SignalName(c.Name, host)
			p, ok := s.provider(name)
			if err != nil || !ok || host.IsSubdomainOf(c.Name) {
				continue
			}
			put(s.held, p.ID, id, len(c.CDS) > 0)
			put(s.lacking, p.ID, id, len(c.CDS) > 0 && !p.IsSigned)
		}
	}
}

func put(m map[zone.ID]map[zone.ID]bool, id, child zone.ID, is bool) {
	switch {
	case is && m[id] == nil:
		m[id] = map[zone.ID]bool{child: true}
	case is:
		m[id][child] = true
	default:
		delete(m[id], child)
	}
}

// mostSwept bounds one change of a sweep.
const mostSwept = 500

// sweepAll takes away signals below names of servers that their zones do not have any more.
func (s *signals) sweepAll(ctx context.Context) {
	s.mu.Lock()
	holders := make([]zone.ID, 0, len(s.held))
	for id := range s.held {
		holders = append(holders, id)
	}
	s.mu.Unlock()
	for _, id := range holders {
		if p, ok := s.provider(id.Name); ok && p.ID == id {
			if c, ok := parent.Sweep(p, s.keeps, mostSwept); ok {
				s.change(ctx, c)
			}
		}
	}
}

// keeps reports whether a signal stays: that of a zone that is none of this server's is somebody else's.
func (s *signals) keeps(child, host dns.Name) bool {
	c, ok := s.child(zone.IDOf("", child))
	return !ok || len(c.CDS) > 0 && slices.ContainsFunc(c.NS, host.Equal)
}

const signalTTL = 60

// signalOf returns what a zone signals, which is nothing once the parent has a DS. As long as it is not known what the parent
// has, what there is stays.
func (d *Daemon) signalOf(id zone.ID) (c parent.Child, ok bool) {
	e, z := d.zones.get(id), d.pipe.Zone(id)
	if e == nil || z == nil || id.View != "" || d.signer.Zone(id) == nil || !e.plan.settings.Parent.Signal {
		return c, false
	}
	v := z.Current()
	seen, isKnown := d.parents.watcher.State(id)
	if v == nil || !isKnown || seen.Condition == parent.Unknown {
		return c, false
	}
	c = parent.Child{Name: id.Name, TTL: signalTTL, NS: serversOf(v)}
	if parent.UntilSecure.NeedsSignals(&seen) {
		c.CDS, c.CDNSKEY = rdataOf(v, dns.TypeCDS), rdataOf(v, dns.TypeCDNSKEY)
	}
	return c, true
}

func serversOf(v *zone.Version) (hosts []dns.Name) {
	set, _ := v.Apex().RRset(dns.TypeNS)
	for data := range set.RData() {
		if host, err := dns.NameFromWire(data); err == nil {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

func rdataOf(v *zone.Version, t dns.Type) (out []dns.RData) {
	set, _ := v.Apex().RRset(t)
	for data := range set.RData() {
		out = append(out, slices.Clone(data))
	}
	return out
}

// providerOf finds the zone of this server that is closest above a name.
func (d *Daemon) providerOf(name dns.Name) (parent.Provider, bool) {
	for above := name; !above.IsZero(); above = above.Parent() {
		id := zone.IDOf("", above)
		e, z := d.zones.get(id), d.pipe.Zone(id)
		if e != nil && z != nil && z.Current() != nil && e.kind() != fromPrimary {
			v := z.Current()
			return parent.Provider{ID: id, Version: v, IsSigned: v.Denial() != zone.DenialNone}, true
		}
		if above.IsRoot() {
			break
		}
	}
	return parent.Provider{}, false
}
