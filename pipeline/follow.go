package pipeline

import (
	"context"
	"fmt"

	"onoma/store"
	"onoma/zone"
)

// sinceMost is how many versions of other nodes are read at a time.
const sinceMost = 1000

// follow takes over what other nodes have committed.
func (p *Pipeline) follow(ctx context.Context) {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.catchUp(ctx)
}

// catchUp reads what has been committed since p.last. The caller holds turn.
func (p *Pipeline) catchUp(ctx context.Context) {
	for {
		missed, err := p.store.Since(ctx, p.last, sinceMost)
		if err != nil {
			p.o.Log.Warn("the changes of other nodes could not be read, and will be later", "err", err)
			return
		}
		if p.put(ctx, missed); len(missed) < sinceMost {
			return
		}
	}
}

// put puts versions of other nodes on top of the zones, in the order of their
// commits, and has them served. The caller holds turn.
func (p *Pipeline) put(ctx context.Context, missed []store.Version) {
	for i := range missed {
		v := &missed[i]
		p.mu.RLock()
		st := p.rows[v.Zone]
		p.mu.RUnlock()
		switch {
		case st == nil:
			if p.o.Unknown != nil {
				p.o.Unknown(v.Zone)
			}
		case v.Number > st.number:
			p.putOne(ctx, st, v)
		}
		p.last = max(p.last, v.Commit)
	}
}

// putOne puts one version on top of its zone. Where that does not work the zone is
// read anew, which tells whether it is the database that is wrong.
func (p *Pipeline) putOne(ctx context.Context, st *state, v *store.Version) {
	var next *zone.Version
	head := st.head()
	err := st.broken
	if err == nil && v.Number != st.number+1 {
		err = fmt.Errorf("version %d does not follow version %d", v.Number, st.number)
	}
	if err == nil {
		next, err = p.apply(ctx, st, head, v)
	}
	if err != nil {
		p.o.Log.Warn("a version of another node does not fit, and the zone is read anew", "zone", st.spec.ID.String(), "version", v.Number, "err", err)
		p.reload(ctx, st)
		return
	}
	p.mu.Lock()
	step{from: head, to: next}.publish(st.z)
	st.number, st.made = v.Number, v.At.UnixMicro()
	st.grown(v.Octets)
	p.mu.Unlock()
	p.untold = append(p.untold, outcome{receipts: []zone.Receipt{receiptOf(st.spec.ID, v)}})
	p.queue.signal() // where this is not the goroutine of Run
	p.keeper.look(st)
}

// receiptOf returns what the author of v was told.
func receiptOf(id zone.ID, v *store.Version) zone.Receipt {
	return zone.Receipt{
		Zone: id, Version: v.Number, Serial: v.Serial, Changed: true, Removed: v.Removed, Added: v.Added, At: v.At,
		By: zone.Author{Door: zone.Door(v.Door), Name: v.Author, Comment: v.Comment},
	}
}

// apply returns the version that v makes of head, nil where v is the first one.
func (p *Pipeline) apply(ctx context.Context, st *state, head *zone.Version, v *store.Version) (*zone.Version, error) {
	r, err := p.store.OpenDelta(ctx, *v)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var next *zone.Version
	if head == nil {
		next, _, err = zone.ReadContent(r, st.z.Origin())
	} else {
		e := head.Edit()
		defer e.Discard()
		if err = e.Apply(zone.NewDeltaReader(r, st.z.Origin())); err == nil {
			next, err = e.Commit()
		}
	}
	if err == nil {
		err = fits(next, v.Number, v.Serial)
	}
	return next, err
}

// fits checks that a version that was made anew has the serial number that it had.
func fits(v *zone.Version, number uint64, serial uint32) error {
	if v.Serial() != serial {
		return fmt.Errorf("%w: version %d has the serial number %d, expected %d", store.ErrCorrupt, number, v.Serial(), serial)
	}
	return nil
}

// reload reads a zone anew. The caller holds turn.
func (p *Pipeline) reload(ctx context.Context, st *state) {
	l := loading{p: p, ctx: ctx}
	row, err := p.store.AddZone(ctx, st.spec.ID.View, st.spec.ID.Name.String())
	if err == nil && row.ID != st.row {
		err = fmt.Errorf("the zone was removed by another node, and added again")
	}
	var v *zone.Version
	if err == nil {
		v, err = l.large(st, row)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.fail(st, err)
		return
	}
	st.set(row)
	st.broken = nil
	st.z.Publish(v)
}

// fail has a zone not be served. The caller holds mu.
func (p *Pipeline) fail(st *state, err error) {
	st.broken = fmt.Errorf("zone %s cannot be read from the database, and is not served: %w", st.spec.ID, err)
	st.z.Publish(nil)
	p.o.Log.Error("zone is not served: its content cannot be read from the database", "zone", st.spec.ID.String(), "err", err,
		"hint", "restore a backup, or remove the zone with its history and add it anew")
}

// set takes over what the database says of the zone.
func (st *state) set(row store.Zone) {
	st.number, st.checkpoint, st.oldest, st.pending = row.Head, row.Checkpoint, row.Oldest, row.Pending
}
