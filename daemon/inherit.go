package daemon

import (
	"context"

	"onoma/dns"
	"onoma/store"
	"onoma/zone"
)

// A zone that is new in a view, or outside of views, and that this server has signed before in another place, is the same zone
// for its parent: it goes on with those keys. So a view may get another name, and a zone move from one to another.

// left is the zones that the database knows and that are served no more, by their names.
type left map[dns.Name][]leftZone

type leftZone struct {
	id  zone.ID
	row int64
}

// leftZones finds them. What cannot be read is as if it were not there.
func (d *Daemon) leftZones(ctx context.Context) left {
	out := make(left)
	rows, err := d.store.Zones(ctx)
	if err != nil {
		return out
	}
	for _, r := range rows {
		name, err := dns.ParseName(r.Name)
		if err != nil {
			continue
		}
		if id := zone.IDOf(r.View, name); d.zones.get(id) == nil {
			out[id.Name] = append(out[id.Name], leftZone{id, r.ID})
		}
	}
	return out
}

// inherit has a zone go on with keys that were left, and returns what is known of them; nil where there are none. They are
// looked for once.
func (d *Daemon) inherit(ctx context.Context, e *entry, left *left) []byte {
	if _, wanted := e.signing(false); !wanted {
		return nil
	}
	if *left == nil {
		*left = d.leftZones(ctx)
	}
	row, known := d.pipe.Row(e.id)
	was, data := d.ringOf(ctx, (*left)[e.id.Name])
	if !known || data == nil || was.row == row {
		return nil
	}
	set := []store.ZoneState{{Zone: row, What: keyState, Data: data}}
	if !d.store.IsShared() { // where another server may still serve it so
		set = append(set, store.ZoneState{Zone: was.row, What: keyState})
	}
	if err := d.store.SetState(ctx, set); err != nil {
		d.log.Error("a zone does not go on with the keys that it had in another view", "zone", e.id, "was", was.id, "error", err)
		return nil
	}
	delete(*left, e.id.Name)
	d.log.Info("a zone goes on with the keys that it had in another view", "zone", e.id, "was", was.id)
	return data
}

// ringOf returns the first key ring that there is.
func (d *Daemon) ringOf(ctx context.Context, zones []leftZone) (leftZone, []byte) {
	for _, z := range zones {
		if data, err := d.store.State(ctx, z.row, keyState); err == nil && data != nil {
			return z, data
		}
	}
	return leftZone{}, nil
}
