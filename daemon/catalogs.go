package daemon

import (
	"context"
	"errors"
	"fmt"

	"onoma/authority/catalog"
	"onoma/config"
	"onoma/dns"
	"onoma/store"
	"onoma/zone"
)

// catalogsOf returns the catalogs that a configuration consumes.
func catalogsOf(conf *config.Config) (list []catalog.Settings) {
	add := func(zones []config.Zone) {
		for i := range zones {
			c := zones[i].Catalog.Consume
			if c == nil {
				continue
			}
			t := catalog.Templates{Default: c.Template, Groups: make(map[string]string, len(c.Groups))}
			for _, g := range c.Groups {
				t.Groups[g.Name] = g.Template
			}
			list = append(list, catalog.Settings{Catalog: zone.IDOf(zones[i].View, zones[i].Name), Templates: t, Keep: c.Keep, Most: c.MembersMax})
		}
	}
	add(conf.Zones)
	for _, v := range conf.Views {
		add(v.Zones)
	}
	return list
}

// host lets a catalog.Manager have members served. The Manager's calls and those
// of Reload take turns.
type host struct{ *Daemon }

// AddMany is that of [catalog.Host].
func (d host) AddMany(ctx context.Context, add []catalog.Placement) error {
	err := d.addMany(ctx, add)
	d.files.ReadNew(ctx) // what is wrong with one is logged, and in the state of its zone
	return err
}

func (d host) addMany(ctx context.Context, add []catalog.Placement) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	for _, p := range add {
		if p.Fresh {
			if err := d.remove(ctx, p.Zone, true); err != nil {
				return err
			}
		}
	}
	entries, err := d.members(add)
	return errors.Join(err, d.add(ctx, entries))
}

// RemoveMany is that of [catalog.Host].
func (d host) RemoveMany(ctx context.Context, zones []zone.ID, forget bool) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	for _, id := range zones {
		if d.isConfigured(id) {
			continue
		}
		if err := d.remove(ctx, id, forget); err != nil {
			return err
		}
	}
	return nil
}

// keeper keeps the state of catalogs in the database, as that of the catalog zone.
type keeper struct{ *Daemon }

const catalogState = "catalog/"

// LoadCatalogs is that of [catalog.Keeper].
func (d keeper) LoadCatalogs(ctx context.Context) (map[zone.ID]map[uint8][]byte, error) {
	rows, err := d.store.Zones(ctx)
	if err != nil {
		return nil, err
	}
	ids := make(map[int64]zone.ID, len(rows))
	for _, r := range rows {
		name, err := dns.ParseName(r.Name)
		if err != nil {
			continue // the pipeline tells of it
		}
		ids[r.ID] = zone.IDOf(r.View, name)
	}
	out := make(map[zone.ID]map[uint8][]byte)
	for part := range catalog.Parts {
		states, err := d.store.States(ctx, stateOf(uint8(part)))
		if err != nil {
			d.log.Error("state of catalogs cannot be read; their members are compared anew", "error", err)
		}
		for row, data := range states {
			id, ok := ids[row]
			if !ok {
				continue
			}
			if out[id] == nil {
				out[id] = make(map[uint8][]byte)
			}
			out[id][uint8(part)] = data
		}
	}
	return out, nil
}

// SaveCatalog is that of [catalog.Keeper].
func (d keeper) SaveCatalog(ctx context.Context, id zone.ID, parts map[uint8][]byte) error {
	row, ok := d.pipe.Row(id)
	if !ok {
		return fmt.Errorf("keeping the state of catalog %s: %w", id, zone.ErrUnknown)
	}
	states := make([]store.ZoneState, 0, len(parts))
	for part, data := range parts {
		if len(data) == 0 {
			data = nil
		}
		states = append(states, store.ZoneState{Zone: row, What: stateOf(part), Data: data})
	}
	return d.store.SetState(ctx, states)
}

func stateOf(part uint8) string { return fmt.Sprintf("%s%02x", catalogState, part) }

// produceAll brings the catalogs that this server makes up to date with the
// configuration.
func (d *Daemon) produceAll(ctx context.Context) {
	wishes := make(map[zone.ID][]catalog.Wish)
	entries := d.zones.sorted(func(e *entry) bool { return e.kind() == fromMembers || !e.plan.settings.MemberOf.IsZero() })
	for _, e := range entries {
		if m := e.plan.settings.MemberOf; !m.IsZero() {
			id := zone.IDOf(e.id.View, m)
			w := catalog.Wish{Zone: e.id.Name, NewOwner: e.plan.settings.NewOwner}
			if e.group != "" {
				w.Groups = []string{e.group}
			}
			wishes[id] = append(wishes[id], w)
		}
	}
	for _, e := range entries {
		if e.kind() != fromMembers {
			continue
		}
		if err := d.produce(ctx, e.id, wishes[e.id]); err != nil {
			d.log.Error("catalog not brought up to date", "zone", e.id, "error", err)
		}
	}
}

func (d *Daemon) produce(ctx context.Context, id zone.ID, wishes []catalog.Wish) error {
	p := catalog.Producer{Catalog: id}
	by := zone.Author{Door: zone.DoorCatalog, Name: "configuration"}
	if z := d.pipe.Zone(id); z == nil || z.Current() == nil {
		c, err := p.Create(by)
		if err != nil {
			return err
		}
		// Another node may have made it meanwhile.
		if _, err := d.pipe.Submit(ctx, c); err != nil && !errors.Is(err, zone.ErrConflict) {
			return err
		}
	}
	c, err := p.Sync(by, wishes)
	if err != nil {
		return err
	}
	_, err = d.pipe.Submit(ctx, c)
	return err
}
