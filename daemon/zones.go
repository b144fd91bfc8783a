package daemon

import (
	"context"
	"errors"
	"fmt"

	"onoma/authority/catalog"
	"onoma/config"
	"onoma/pipeline"
	"onoma/zone"
)

// load serves what the database has of the zones of the configuration and of
// those that catalogs have listed when the server last ran.
func (d *Daemon) load(ctx context.Context) error {
	entries, err := d.configured(d.conf.Load())
	if err != nil {
		return err
	}
	d.zones.put(entries...)
	placements, err := d.catalogs.Load(ctx, catalogsOf(d.conf.Load()))
	if err != nil {
		return err
	}
	members, err := d.members(placements)
	if err != nil {
		d.log.Error("members of a catalog are not served", "error", err)
	}
	d.zones.put(members...)
	entries = append(entries, members...)
	specs := make([]pipeline.ZoneSpec, len(entries))
	for i, e := range entries {
		specs[i] = d.specOf(e)
	}
	if err := d.pipe.Load(ctx, specs); err != nil {
		return err
	}
	timers, err := d.states(ctx, timerState)
	if err != nil {
		d.log.Warn("timers of secondary zones are lost, their primaries are asked soon", "error", err)
	}
	keys, err := d.states(ctx, keyState)
	if err != nil {
		return fmt.Errorf("reading the key rings of zones: %w", err)
	}
	var left left
	for _, e := range entries {
		ring := keys[e.id]
		if ring == nil {
			ring = d.inherit(ctx, e, &left)
		}
		d.begin(ctx, e, timers[e.id], ring)
	}
	return d.setFiles()
}

// configured makes the entries of a configuration.
func (d *Daemon) configured(conf *config.Config) (entries []*entry, err error) {
	var errs []error
	add := func(zones []config.Zone) {
		for i := range zones {
			z := &zones[i]
			p, err := d.planner.plan(&z.Settings)
			if err != nil {
				errs = append(errs, fmt.Errorf("zone %s: %w", z.Name, err))
				continue
			}
			entries = append(entries, &entry{id: zone.IDOf(z.View, z.Name), plan: p, file: z.File, group: z.Group})
		}
	}
	add(conf.Zones)
	for _, v := range conf.Views {
		add(v.Zones)
	}
	return entries, errors.Join(errs...)
}

// members makes the entries of zones that catalogs have brought.
func (d *Daemon) members(placements []catalog.Placement) (entries []*entry, err error) {
	var errs []error
	for _, p := range placements {
		e, err := d.member(p)
		if err != nil {
			errs = append(errs, fmt.Errorf("zone %s: %w", p.Zone, err))
			continue
		}
		entries = append(entries, e)
	}
	return entries, errors.Join(errs...)
}

func (d *Daemon) member(p catalog.Placement) (*entry, error) {
	conf := d.conf.Load()
	for i := range conf.Templates {
		if t := &conf.Templates[i]; t.Name == p.Template {
			plan, err := d.planner.plan(&t.Settings)
			if err != nil {
				return nil, err
			}
			return &entry{id: p.Zone, plan: plan, file: config.ExpandFile(t.File, p.Zone.Name, p.Zone.View), catalog: p.Catalog, template: p.Template}, nil
		}
	}
	return nil, fmt.Errorf("there is no template %q", p.Template)
}

// isConfigured reports whether a zone is the configuration's own.
func (d *Daemon) isConfigured(id zone.ID) bool {
	e := d.zones.get(id)
	return e != nil && !e.isMember()
}

// begin serves a zone that the pipeline has, and opens its doors. timers and keys are
// what is known of these.
func (d *Daemon) begin(ctx context.Context, e *entry, timers, keys []byte) {
	z := d.pipe.Zone(e.id)
	if z == nil {
		return
	}
	d.sign(ctx, e, keys) // before anybody sees it: its signatures may have expired meanwhile
	d.serve(e.id, z)
	if v := z.Current(); v != nil {
		d.follower.Load(e.id, v.Serial(), d.pipe.Made(e.id))
		d.syncer.served(e, v)
		if e.plan.settings.Catalog.Consume != nil {
			d.catalogs.Update(e.id, v)
		}
	}
	d.keepChildren(ctx, e)
	d.signers.look(e.id)
	d.openDoors(e, timers)
}

// add serves zones, or has those that are served kept by other settings.
func (d *Daemon) add(ctx context.Context, entries []*entry) error {
	specs := make([]pipeline.ZoneSpec, len(entries))
	files := false
	for i, e := range entries {
		specs[i] = d.specOf(e)
		files = files || e.file != ""
	}
	if err := d.pipe.Load(ctx, specs); err != nil {
		return err
	}
	d.zones.put(entries...)
	var left left
	for _, e := range entries {
		keys, err := d.kept(keyState).load(ctx, e.id)
		if err != nil {
			return err
		}
		if keys == nil {
			keys = d.inherit(ctx, e, &left)
		}
		d.begin(ctx, e, nil, keys)
	}
	if !files {
		return nil
	}
	return d.setFiles()
}

// remove serves a zone no more, and with forget drops its data and history, too.
func (d *Daemon) remove(ctx context.Context, id zone.ID, forget bool) error {
	d.closeDoors(id)
	d.follower.Forget(id)
	if z := d.pipe.Zone(id); z != nil && z.Current() != nil && d.signer.Zone(id) != nil && id.View == "" {
		d.signals.forget(id.Name, serversOf(z.Current()))
	}
	d.signer.Remove(id)
	d.desk.Remove(id)
	d.syncer.forget(id)
	d.unsignable.Delete(id)
	d.awayKSKs.Delete(id)
	if err := d.pipe.Remove(ctx, id, forget); err != nil && !errors.Is(err, zone.ErrUnknown) {
		return err
	}
	e := d.zones.get(id)
	d.zones.remove(id)
	d.endService(id)
	if e != nil && e.file != "" {
		return d.setFiles()
	}
	return nil
}
