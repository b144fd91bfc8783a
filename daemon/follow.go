package daemon

import (
	"context"
	"slices"

	"onoma/authority"
	"onoma/propagation"
	"onoma/zone"
)

// notifies returns who is told of a zone.
func (d *Daemon) notifies(id zone.ID) []authority.Secondary {
	if e := d.zones.get(id); e != nil {
		return e.plan.notify
	}
	return nil
}

// transferTo returns who gets a zone.
func (d *Daemon) transferTo(id zone.ID) authority.ACL {
	if e := d.zones.get(id); e != nil {
		return e.plan.transferTo
	}
	return nil
}

// targets returns the secondaries of a zone: those that are told of it, and its
// name servers where these are told, too.
func (d *Daemon) targets(ctx context.Context, id zone.ID) ([]propagation.Target, error) {
	e, z := d.zones.get(id), d.pipe.Zone(id)
	if e == nil || z == nil {
		return nil, nil
	}
	var out []propagation.Target
	for _, s := range e.plan.notify {
		out = append(out, propagation.Target{Addr: s.Addr, Key: s.Key})
	}
	v := z.Current()
	if !e.plan.settings.NotifyNS || v == nil {
		return out, nil
	}
	for _, addr := range d.views.Load().named[id.View].servers(ctx, v) {
		if !slices.ContainsFunc(out, func(t propagation.Target) bool { return t.Addr == addr }) {
			out = append(out, propagation.Target{Addr: addr})
		}
	}
	return out, nil
}

// sent is told of each transfer to others that has ended.
func (d *Daemon) sent(id zone.ID, r authority.TransferReport) {
	d.out.Count(r.Kind.String(), r.Records, int64(r.Octets), r.Err)
	if r.Err == nil {
		d.follower.Transferred(id, r.Client.Addr())
	}
	r.Log(d.log, id)
}
