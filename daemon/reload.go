package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"onoma/authority/catalog"
	"onoma/config"
	"onoma/zone"
)

// Reloaded is what came of a Reload.
type Reloaded struct {
	Changes []string // in words
	Pending []string // settings that take effect at the next start
}

func (r *Reloaded) say(format string, args ...any) {
	r.Changes = append(r.Changes, fmt.Sprintf(format, args...))
}

// Reload reads the configuration again and does what follows from it. Where there
// is a mistake in it, nothing happens. Zone files are read again by ReloadFiles.
func (d *Daemon) Reload(ctx context.Context) (r Reloaded, err error) {
	conf, err := d.o.Load()
	if err != nil {
		return r, err
	}
	d.reloading.Lock()
	defer d.reloading.Unlock()
	keys, err := readKeys(conf, d.o.Getenv)
	if err != nil {
		return r, err
	}
	diff := config.Diff(d.conf.Load(), conf)
	planner := newPlanner(conf)
	had := d.planner
	d.planner = planner
	entries, err := d.configured(conf)
	if err != nil {
		d.planner = had
		return r, err
	}
	before := d.conf.Swap(conf)
	d.keys.Set(keys) // also where the configuration is the same: their files may have changed
	if diff.Keys {
		r.say("keys")
	}
	if diff.Views {
		r.say("views")
		d.renewViews(ctx, conf)
	}
	if diff.Resolver {
		d.reloadResolver(before, conf)
	}
	r.Pending = diff.Restart
	err = errors.Join(d.dropZones(ctx, diff.Removed, &r), d.changeZones(ctx, entries, diff, &r), d.changeMembers(ctx, diff, &r))
	d.catalogs.Configure(catalogsOf(conf))
	d.produceAll(ctx)
	d.follower.Retarget()
	d.lookAtResponses()
	return r, errors.Join(err, d.setFiles())
}

// renewViews makes views that are new, and ends those that are gone.
func (d *Daemon) renewViews(ctx context.Context, conf *config.Config) {
	before := d.views.Load()
	for _, v := range d.setViews(conf) {
		if d.isServing {
			d.notify(d.ctx, v)
		}
	}
	now := d.views.Load()
	for name, v := range before.named {
		if now.named[name] == nil {
			v.end()
		}
	}
	for _, e := range d.zones.all() {
		if e.id.View != "" {
			continue
		}
		z := d.pipe.Zone(e.id)
		for _, v := range now.list {
			if !v.others && v.name != "" && z != nil && v.server.Zone(e.id.Name) == z {
				v.server.RemoveZone(e.id.Name)
			}
		}
		if z != nil {
			d.serve(e.id, z)
		}
	}
}

// dropZones ends the service of zones that the configuration has no more. Their
// data stays in the database until the zone comes back, or an operator removes it.
func (d *Daemon) dropZones(ctx context.Context, removed []config.Zone, r *Reloaded) error {
	var errs []error
	for i := range removed {
		id := zone.IDOf(removed[i].View, removed[i].Name)
		if err := d.remove(ctx, id, false); err != nil {
			errs = append(errs, err)
			continue
		}
		d.log.Info("zone no longer served", "zone", id)
		r.say("zone %s is no longer served", id)
	}
	return errors.Join(errs...)
}

// changeZones serves zones that are new, and has others kept by their new settings.
func (d *Daemon) changeZones(ctx context.Context, entries []*entry, diff config.Difference, r *Reloaded) error {
	fresh, changed := idsOf(diff.Added), idsOf(diff.Changed)
	var add []*entry
	for _, e := range entries {
		switch {
		case fresh[e.id]:
			r.say("zone %s is new", e.id)
		case changed[e.id]:
			r.say("zone %s has other settings", e.id)
		case d.isUnsignable(e.id):
			r.say("zone %s could not be signed, and is tried again", e.id)
		case d.hasOtherPolicy(e):
			r.say("zone %s is signed by another policy", e.id)
		default:
			// Its settings are the same, but what they speak of (an access list, a server) may be another.
			d.zones.put(e)
			continue
		}
		add = append(add, e)
	}
	return d.add(ctx, add)
}

// changeMembers has the zones that catalogs have brought kept as their templates and policies are now.
func (d *Daemon) changeMembers(ctx context.Context, diff config.Difference, r *Reloaded) error {
	var add []*entry
	var errs []error
	follow := make(map[string]int)
	for _, had := range d.zones.sorted((*entry).isMember) {
		e, err := d.member(catalog.Placement{Zone: had.id, Template: had.template, Catalog: had.catalog})
		if err != nil {
			errs = append(errs, fmt.Errorf("zone %s: %w", had.id, err))
			continue
		}
		isOther := slices.ContainsFunc(diff.Catalog, func(t config.Template) bool { return t.Name == e.template })
		if !isOther && !d.isUnsignable(e.id) && !d.hasOtherPolicy(e) {
			d.zones.put(e)
			continue
		}
		follow[e.template]++
		add = append(add, e)
	}
	for _, template := range slices.Sorted(maps.Keys(follow)) {
		r.say("template %s changes members of catalogs: %d", template, follow[template])
	}
	return errors.Join(append(errs, d.add(ctx, add))...)
}

// isUnsignable reports whether a zone waits for what it is signed by.
func (d *Daemon) isUnsignable(id zone.ID) bool {
	_, is := d.unsignable.Load(id)
	return is
}

// hasOtherPolicy reports whether the policy is another one that a zone names, as it did before.
func (d *Daemon) hasOtherPolicy(e *entry) bool {
	had := d.zones.get(e.id)
	return had != nil && (had.plan.offline != e.plan.offline || !reflect.DeepEqual(had.plan.signing, e.plan.signing))
}

func idsOf(zones []config.Zone) map[zone.ID]bool {
	ids := make(map[zone.ID]bool, len(zones))
	for i := range zones {
		ids[zone.IDOf(zones[i].View, zones[i].Name)] = true
	}
	return ids
}
