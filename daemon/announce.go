package daemon

import (
	"context"
	"slices"
	"sync"

	"onoma/dns"
	"onoma/zone"
)

// announcer has zones say where their children send NOTIFY (RFC 9859 §2.2), and say it again when an author's version came
// without. One goroutine does it, since the pipeline tells of versions and must not wait for changes.
type announcer struct {
	d    *Daemon
	woke chan struct{}

	mu  sync.Mutex
	due map[zone.ID]bool
}

func newAnnouncer(d *Daemon) *announcer {
	return &announcer{d: d, woke: make(chan struct{}, 1), due: make(map[zone.ID]bool)}
}

// look has a zone looked at that is to say so.
func (a *announcer) look(id zone.ID) {
	e := a.d.zones.get(id)
	if e == nil || e.plan.settings.Children.Publish.IsZero() {
		return
	}
	a.mu.Lock()
	a.due[id] = true
	a.mu.Unlock()
	select {
	case a.woke <- struct{}{}:
	default:
	}
}

func (a *announcer) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.woke:
		}
		for _, id := range a.taken() {
			if e := a.d.zones.get(id); e != nil {
				a.announce(ctx, e)
			}
		}
	}
}

func (a *announcer) taken() (ids []zone.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.due {
		ids = append(ids, id)
	}
	clear(a.due)
	return ids
}

// announce has the records of a zone be as its settings say: in a wildcard that covers all children.
func (a *announcer) announce(ctx context.Context, e *entry) {
	s := &e.plan.settings.Children
	z := a.d.pipe.Zone(e.id)
	if s.Publish.IsZero() || z == nil || z.Latest() == nil {
		return
	}
	owner, err := dns.ParseNameIn("*._dsync", e.id.Name)
	if err != nil {
		a.d.log.Error("a zone does not say where its children send NOTIFY: its name is too long", "zone", e.id)
		return
	}
	var want []dns.Record
	for _, t := range []struct {
		typ dns.Type
		is  bool
	}{{dns.TypeCDS, s.DS}, {dns.TypeCSYNC, s.CSYNC}} {
		if t.is {
			want = append(want, dns.Record{Name: owner, Type: dns.TypeDSYNC, Class: dns.ClassIN, TTL: dsyncTTL, Data: dsyncOf(t.typ, s.PublishPort, s.Publish)})
		}
	}
	if hasJust(z.Latest().Find([]byte(owner.Wire())), want) {
		return
	}
	_, err = a.d.pipe.Submit(ctx, zone.Change{
		Zone: e.id, By: zone.Author{Door: zone.DoorSigner, Name: "children", Comment: "where children send NOTIFY"},
		Edit: func(ed *zone.Editor) error {
			ed.RemoveRRset(owner, dns.TypeDSYNC)
			for _, r := range want {
				if _, err := ed.Add(r); err != nil {
					return err
				}
			}
			return nil
		},
	})
	if err != nil && ctx.Err() == nil {
		a.d.log.Error("a zone does not say where its children send NOTIFY", "zone", e.id, "error", err)
	}
}

const dsyncTTL = 3600

// dsyncOf is a DSYNC record of scheme NOTIFY (RFC 9859 §2.1).
func dsyncOf(t dns.Type, port int, target dns.Name) dns.RData {
	const notify = 1
	b := dns.RData{byte(t >> 8), byte(t), notify, byte(port >> 8), byte(port)}
	return target.Append(b)
}

// hasJust reports whether a name has these DSYNC records and no others.
func hasJust(n zone.Node, want []dns.Record) bool {
	set, _ := n.RRset(dns.TypeDSYNC)
	if set.Count() != len(want) {
		return false
	}
	for data := range set.RData() {
		if !slices.ContainsFunc(want, func(r dns.Record) bool { return dns.EqualRData(dns.TypeDSYNC, r.Data, data) }) {
			return false
		}
	}
	return true
}
