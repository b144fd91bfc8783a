package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"

	"onoma/store"
	"onoma/zone"
)

// few zones are looked up one by one, more in one scan of the database.
const few = 50

// Load adds zones with what the database has of them, by several goroutines. Those
// that are there already get the spec. A zone that cannot be read is there, but
// not served: that is logged, and no error.
func (p *Pipeline) Load(ctx context.Context, specs []ZoneSpec) error {
	l := &loading{p: p, ctx: ctx, wanted: make(map[int64]*state, len(specs))}
	if err := l.add(specs); err != nil {
		return fmt.Errorf("loading zones: %w", err)
	}
	if err := l.read(); err != nil {
		return fmt.Errorf("loading zones: %w", err)
	}
	return p.enter(ctx, l)
}

// loading is zones on their way from the database into a Pipeline.
type loading struct {
	p      *Pipeline
	ctx    context.Context
	last   uint64           // all commits up to this one are in what is read
	wanted map[int64]*state // by row
	rows   []store.Zone
}

// add sees to it that the zones are in the database.
func (l *loading) add(specs []ZoneSpec) error {
	var wanted []store.Zone
	var fresh []*ZoneSpec
	for i := range specs {
		spec := specs[i]
		spec.ID = zone.IDOf(spec.ID.View, spec.ID.Name)
		if l.p.Configure(spec) == nil {
			continue
		}
		fresh = append(fresh, &spec)
		wanted = append(wanted, store.Zone{View: spec.ID.View, Name: spec.ID.Name.String()})
	}
	if len(wanted) == 0 {
		return nil
	}
	var err error
	if l.last, err = l.p.store.LastCommit(l.ctx); err != nil {
		return err
	}
	if l.rows, err = l.p.store.AddZones(l.ctx, wanted); err != nil {
		return err
	}
	for i, row := range l.rows {
		st := &state{spec: fresh[i], row: row.ID, z: zone.New(fresh[i].ID.Name)}
		st.z.Keep(zone.NewHistory(l.p.o.History))
		l.wanted[row.ID] = st
	}
	return nil
}

// read reads what the database has of the zones.
func (l *loading) read() error {
	work := make(chan store.Loaded, runtime.GOMAXPROCS(0))
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for z := range work {
				l.one(z)
			}
		})
	}
	err := l.feed(work)
	close(work)
	workers.Wait()
	return err
}

func (l *loading) feed(work chan<- store.Loaded) error {
	written := slices.DeleteFunc(slices.Clone(l.rows), func(row store.Zone) bool { return row.Head == 0 })
	if len(written) < few { // so that new zones by the thousand are added without a scan
		for _, row := range written {
			work <- store.Loaded{Zone: row, Large: true}
		}
		return nil
	}
	for z, err := range l.p.store.Small(l.ctx) {
		st := l.wanted[z.Zone.ID]
		switch {
		case err != nil && z.Zone.ID == 0:
			return err
		case st == nil:
		case err != nil: // there are other ways to its content, which may be damaged no less
			work <- store.Loaded{Zone: z.Zone, Large: true}
		case z.Zone.Head > 0:
			work <- z
		}
	}
	return nil
}

// one reads one zone. Nobody else knows of its state yet.
func (l *loading) one(z store.Loaded) {
	st := l.wanted[z.Zone.ID]
	st.set(z.Zone)
	var v *zone.Version
	var err error
	if z.Large || isStaged(&z) {
		v, err = l.large(st, z.Zone)
	} else {
		v, err = l.small(st, &z)
	}
	if err != nil && z.Zone.Checkpoint > 0 && z.Zone.Oldest <= 1 {
		l.p.o.Log.Warn("the checkpoint of a zone cannot be used, and the zone is made from its whole history", "zone", st.spec.ID.String(), "err", err)
		v, err = l.whole(st, z.Zone)
	}
	if err != nil {
		l.p.fail(st, err)
		return
	}
	st.z.Publish(v)
}

// isStaged reports whether all content of a zone is in a delta that is too large
// for the row of its version.
func isStaged(z *store.Loaded) bool {
	return z.Zone.Checkpoint == 0 && len(z.Deltas) > 0 && z.Deltas[0].Staged != 0
}

// small builds a zone from its content and the deltas after it.
func (l *loading) small(st *state, z *store.Loaded) (*zone.Version, error) {
	content, deltas := z.Content, z.Deltas
	if z.Zone.Checkpoint == 0 {
		if len(deltas) == 0 || deltas[0].Number != 1 {
			return nil, fmt.Errorf("%w: there is neither a checkpoint nor the first version", store.ErrCorrupt)
		}
		content, deltas = deltas[0].Delta, deltas[1:]
	}
	v, _, err := zone.ReadContent(bytes.NewReader(content), st.z.Origin())
	if err != nil {
		return nil, err
	}
	if n := len(z.Deltas); n > 0 {
		st.made = z.Deltas[n-1].At.UnixMicro()
	}
	return l.forward(st, v, z.Zone, func(yield func(store.Version, error) bool) {
		for _, d := range deltas {
			if !yield(d, nil) {
				return
			}
		}
	})
}

// forward applies deltas to v, which then is the newest version.
func (l *loading) forward(st *state, v *zone.Version, row store.Zone, deltas func(func(store.Version, error) bool)) (*zone.Version, error) {
	var e *zone.Editor
	for d, err := range deltas {
		if err != nil {
			return nil, err
		}
		if e == nil {
			e = v.Edit()
			defer e.Discard()
		}
		if err := l.step(st, e, d); err != nil {
			return nil, fmt.Errorf("version %d: %w", d.Number, err)
		}
		st.made = d.At.UnixMicro()
	}
	if e != nil {
		var err error
		if v, err = e.Commit(); err != nil {
			return nil, err
		}
	}
	return v, fits(v, row.Head, row.Serial)
}

func (l *loading) step(st *state, e *zone.Editor, d store.Version) error {
	r, err := l.p.store.OpenDelta(l.ctx, d)
	if err != nil {
		return err
	}
	defer r.Close()
	return e.Apply(zone.NewDeltaReader(r, st.z.Origin()))
}

// large reads a zone from its newest snapshot, or else its checkpoint or its first
// version, and the deltas after that.
func (l *loading) large(st *state, row store.Zone) (*zone.Version, error) {
	if row.Head == 0 {
		return nil, nil
	}
	v, number := l.p.readSnapshot(l.ctx, st, row)
	if v == nil {
		var err error
		if v, number, err = l.content(st); err != nil {
			return nil, err
		}
	}
	if number >= row.Head {
		return v, fits(v, row.Head, row.Serial)
	}
	return l.forward(st, v, row, l.p.store.Versions(l.ctx, st.row, number+1, row.Head))
}

// content reads the checkpoint of a zone, or its first version.
func (l *loading) content(st *state) (*zone.Version, uint64, error) {
	for {
		number, r, err := l.p.store.Checkpoint(l.ctx, st.row)
		if err == nil && number == 0 {
			_ = r.Close()
			number = 1
			r, err = l.first(st)
		}
		if err != nil {
			return nil, 0, err
		}
		v, _, err := zone.ReadContent(r, st.z.Origin())
		_ = r.Close()
		if errors.Is(err, store.ErrGone) && l.ctx.Err() == nil {
			continue // replaced by a newer one meanwhile
		}
		return v, number, err
	}
}

// whole makes a zone from nothing and all its deltas.
func (l *loading) whole(st *state, row store.Zone) (*zone.Version, error) {
	r, err := l.first(st)
	if err != nil {
		return nil, err
	}
	v, _, err := zone.ReadContent(r, st.z.Origin())
	_ = r.Close()
	if err != nil {
		return nil, err
	}
	return l.forward(st, v, row, l.p.store.Versions(l.ctx, st.row, 2, row.Head))
}

// first opens the delta of version 1, which is as good as a checkpoint.
func (l *loading) first(st *state) (io.ReadCloser, error) {
	log, err := l.p.store.Log(l.ctx, st.row, 2, 1)
	switch {
	case err != nil:
		return nil, err
	case len(log) == 0 || log[0].Number != 1:
		return nil, fmt.Errorf("%w: there is neither a checkpoint nor the first version", store.ErrCorrupt)
	}
	st.pending = max(0, st.pending-log[0].Octets)
	st.made = log[0].At.UnixMicro()
	return l.p.store.OpenDelta(l.ctx, log[0])
}

// enter makes the zones part of the Pipeline, and what has been committed since
// they were read.
func (p *Pipeline) enter(ctx context.Context, l *loading) error {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	first := len(p.zones) == 0
	for row, st := range l.wanted {
		if p.zones[st.spec.ID] == nil {
			p.zones[st.spec.ID], p.rows[row] = st, st
		}
	}
	p.mu.Unlock()
	switch {
	case first:
		p.last = max(p.last, l.last)
	case p.last > l.last:
		p.again(ctx, l)
	}
	if p.store.IsShared() {
		p.catchUp(ctx)
	}
	return nil
}

// again puts on top of new zones what others had before: commits between when the
// zones were read and now.
func (p *Pipeline) again(ctx context.Context, l *loading) {
	if !p.store.IsShared() {
		return // only this node makes versions, and only of zones that it has
	}
	now := p.last
	p.last = l.last
	p.catchUp(ctx)
	p.last = max(p.last, now)
}
