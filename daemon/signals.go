package daemon

import (
	"context"
	"errors"
	"slices"
	"time"

	"onoma/dns"
	"onoma/signer/keys"
	"onoma/signer/parent"
	"onoma/zone"
)

// signals publishes keys of zones whose parent has no DS yet below the names of their name servers, in zones of this server, so
// that the parent can be sure of them (RFC 9615). One goroutine looks at what has changed.
type signals struct {
	d    *Daemon
	woke chan struct{}
	told map[string]bool // problems that were logged
}

func newSignals(d *Daemon) *signals {
	return &signals{d: d, woke: make(chan struct{}, 1), told: make(map[string]bool)}
}

// wake has the signals looked at.
func (s *signals) wake() {
	select {
	case s.woke <- struct{}{}:
	default:
	}
}

// calm is how long is waited for more of what has changed.
const calm = 50 * time.Millisecond

// portion is how many children are looked at together.
const portion = 1000

func (s *signals) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.woke:
			timer.Reset(calm)
			continue
		case <-timer.C:
		}
		children := s.children()
		for part := range slices.Chunk(children, portion) {
			s.publish(ctx, part)
		}
	}
}

// children returns the signed zones with what they signal, which is nothing once the parent has a DS.
func (s *signals) children() (out []parent.Child) {
	for _, id := range s.d.signer.Zones() {
		e, z := s.d.zones.get(id), s.d.pipe.Zone(id)
		if e == nil || z == nil || id.View != "" || !e.plan.settings.Parent.Signal {
			continue
		}
		v := z.Current()
		if v == nil {
			continue
		}
		set, _ := v.Apex().RRset(dns.TypeNS)
		c := parent.Child{Name: id.Name, TTL: signalTTL}
		for data := range set.RData() {
			if host, err := dns.NameFromWire(data); err == nil {
				c.NS = append(c.NS, host)
			}
		}
		if !s.d.hasDS(id) {
			c.CDS, c.CDNSKEY = rdataOf(v, dns.TypeCDS), rdataOf(v, dns.TypeCDNSKEY)
		}
		out = append(out, c)
	}
	return out
}

const signalTTL = 60

// hasDS reports whether the parent is known to have a DS of a zone.
func (d *Daemon) hasDS(id zone.ID) bool { return len(d.parents.Seen(id).DS) > 0 }

func rdataOf(v *zone.Version, t dns.Type) (out []dns.RData) {
	set, _ := v.Apex().RRset(t)
	for data := range set.RData() {
		out = append(out, slices.Clone(data))
	}
	return out
}

// publish has the signals of some children be as they should be.
func (s *signals) publish(ctx context.Context, children []parent.Child) {
	changes, problems := parent.SignalChanges(children, s.provider)
	for _, p := range problems {
		if key := p.Error(); !s.told[key] && len(s.told) < portion && !errors.Is(p.Err, parent.ErrNotOurs) {
			s.told[key] = true
			s.d.log.Info("a zone's keys are not signalled to its parent", "zone", p.Child.String(), "reason", p.Error())
		}
	}
	for _, c := range changes {
		if _, err := s.d.pipe.Submit(ctx, c); err != nil && ctx.Err() == nil {
			s.d.log.Warn("signals of keys are not published", "zone", c.Zone, "error", err)
		}
	}
}

// provider finds the zone of this server that is closest above a name.
func (s *signals) provider(name dns.Name) (parent.Provider, bool) {
	for above := name; !above.IsZero(); above = above.Parent() {
		id := zone.IDOf("", above)
		e, z := s.d.zones.get(id), s.d.pipe.Zone(id)
		if e != nil && z != nil && z.Current() != nil && e.kind() != fromPrimary {
			_, denial := s.d.signer.SigningKeys(id)
			return parent.Provider{ID: id, Version: z.Current(), IsSigned: denial.Kind != keys.NoDenial}, true
		}
		if above.IsRoot() {
			break
		}
	}
	return parent.Provider{}, false
}
