package daemon

import (
	"context"

	"onoma/dns"
	"onoma/store"
	"onoma/zone"
)

// A zone that is new in a view, or outside of views, and that this server has signed before in another place, is the same zone
// for its parent: it goes on with those keys. So a view may get another name, and a zone move from one to another.

// left is the key rings of zones that are served no more, by the zones' names.
type left map[dns.Name]struct {
	id   zone.ID
	row  int64
	data []byte
}

// leftKeys finds them. What cannot be read is as if it were not there.
func (d *Daemon) leftKeys(ctx context.Context) left {
	out := make(left)
	states, err := d.store.States(ctx, keyState)
	if err != nil || len(states) == 0 {
		return out
	}
	rows, err := d.store.Zones(ctx)
	if err != nil {
		return out
	}
	for _, r := range rows {
		name, err := dns.ParseName(r.Name)
		if err != nil || states[r.ID] == nil {
			continue
		}
		id := zone.IDOf(r.View, name)
		if d.zones.get(id) != nil {
			continue
		}
		entry := out[id.Name]
		entry.id, entry.row, entry.data = id, r.ID, states[r.ID]
		out[id.Name] = entry
	}
	return out
}

// inherit has a zone go on with keys that were left, and returns what is known of them; nil where there are none.
func (d *Daemon) inherit(ctx context.Context, e *entry, left left) []byte {
	was, ok := left[e.id.Name]
	row, known := d.pipe.Row(e.id)
	if _, wanted := e.signing(false); !ok || !known || !wanted || was.row == row {
		return nil
	}
	set := []store.ZoneState{{Zone: row, What: keyState, Data: was.data}}
	if !d.store.IsShared() { // where another server may still serve it so
		set = append(set, store.ZoneState{Zone: was.row, What: keyState})
	}
	if err := d.store.SetState(ctx, set); err != nil {
		d.log.Error("a zone does not go on with the keys that it had in another view", "zone", e.id, "was", was.id, "error", err)
		return nil
	}
	delete(left, e.id.Name)
	d.log.Info("a zone goes on with the keys that it had in another view", "zone", e.id, "was", was.id)
	return was.data
}
