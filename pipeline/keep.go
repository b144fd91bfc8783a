package pipeline

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"onoma/store"
	"onoma/zone"
)

// keeper has the zones whose history is to be put in order, beside the changes: by
// one goroutine, one zone at a time.
type keeper struct {
	mu    sync.Mutex
	list  []*state
	ready chan struct{}
}

func (k *keeper) init() { k.ready = make(chan struct{}, 1) }

// When a zone gets a checkpoint or a snapshot: so seldom that writing it costs a
// small part of what the changes did, and so often that to read what came after it
// takes a start no longer than to read the zone does, about.
const (
	mostVersions   = 1000    // since the checkpoint, or as many as the zone has records
	mostPending    = 4 << 20 // octets of deltas since the checkpoint, or twice the zone
	mostUnsaved    = 1 << 20 // octets of deltas since the snapshot, or half of the zone
	pendingPerZone = 2
)

// look puts st on the list if there is something to do. The caller holds turn.
func (k *keeper) look(st *state) {
	if !st.needsCheckpoint() && !st.needsSnapshot() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !st.due {
		st.due = true
		k.list = append(k.list, st)
	}
	select {
	case k.ready <- struct{}{}:
	default:
	}
}

func (k *keeper) next() *state {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.list) == 0 {
		return nil
	}
	st := k.list[0]
	k.list = k.list[1:]
	st.due = false
	return st
}

// needsCheckpoint reports whether so much has come after the last checkpoint, or
// the first version, that a start would take long. The caller holds turn or mu.
func (st *state) needsCheckpoint() bool {
	versions := int(st.number - max(st.checkpoint, 1))
	if versions <= mostVersions && st.pending <= mostPending {
		return false
	}
	size := st.size()
	return versions > max(mostVersions, size.Records) || st.pending > max(mostPending, int64(pendingPerZone*size.Bytes))
}

// needsSnapshot is needsCheckpoint for the snapshot file.
func (st *state) needsSnapshot() bool {
	return st.unsaved > mostUnsaved && st.unsaved > int64(st.size().Bytes/2)
}

func (st *state) size() zone.Stats {
	if v := st.head(); v != nil {
		return v.Stats()
	}
	return zone.Stats{}
}

// keep puts histories in order until ctx ends, and then writes what makes the next
// start quick.
func (p *Pipeline) keep(ctx context.Context) {
	tick := time.NewTicker(p.o.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			p.saveAll()
			return
		case <-tick.C:
			p.Tidy(ctx)
		case <-p.keeper.ready:
			for st := p.keeper.next(); st != nil && ctx.Err() == nil; st = p.keeper.next() {
				p.tend(ctx, st)
			}
		}
	}
}

// tend writes the checkpoint and the snapshot of a zone that are due.
func (p *Pipeline) tend(ctx context.Context, st *state) {
	p.mu.RLock()
	checkpoint, snapshot, shown := st.needsCheckpoint(), st.needsSnapshot(), p.rows[st.row] == st && st.broken == nil
	p.mu.RUnlock()
	if !shown {
		return
	}
	if checkpoint {
		p.warn(st, "a checkpoint could not be written, and will be later", p.writeCheckpoint(ctx, st))
	}
	if snapshot {
		p.warn(st, "a snapshot could not be written, the next start will take longer", p.writeSnapshot(st))
	}
}

func (p *Pipeline) warn(st *state, what string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		p.o.Log.Warn(what, "zone", st.spec.ID.String(), "err", err)
	}
}

// writeCheckpoint keeps the content of the newest version in the database.
func (p *Pipeline) writeCheckpoint(ctx context.Context, st *state) error {
	p.mu.RLock()
	number, pending, v := st.number, st.pending, st.head()
	p.mu.RUnlock()
	if v == nil {
		return nil
	}
	err := p.store.WriteCheckpoint(ctx, st.row, number, func(w io.Writer) error {
		_, err := v.WriteContent(w)
		return err
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	st.checkpoint = max(st.checkpoint, number)
	st.pending = max(0, st.pending-pending)
	return nil
}

// saveAll writes the snapshots of large zones at the end.
func (p *Pipeline) saveAll() {
	for _, st := range p.all() {
		p.warn(st, "a snapshot could not be written, the next start will take longer", p.writeSnapshot(st))
	}
}

func (p *Pipeline) all() []*state {
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := make([]*state, 0, len(p.rows))
	for _, st := range p.rows {
		out = append(out, st)
	}
	return out
}

// Tidy forgets the history that no zone is to keep any more. Run does so now and then.
func (p *Pipeline) Tidy(ctx context.Context) {
	for _, st := range p.all() {
		if ctx.Err() != nil {
			return
		}
		p.mu.RLock()
		spec, number, oldest, broken := st.spec, st.number, st.oldest, st.broken
		p.mu.RUnlock()
		if broken != nil || number <= max(oldest, 1) || spec.History == (Retention{}) {
			continue
		}
		p.warn(st, "old versions could not be forgotten, and will be later", p.forget(ctx, st, spec.History))
	}
}

// forget forgets versions of a zone as r says.
func (p *Pipeline) forget(ctx context.Context, st *state, r Retention) error {
	below, err := p.tooOld(ctx, st, r.Age)
	if err == nil && r.Octets > 0 {
		var b uint64
		b, err = p.tooMuch(ctx, st, r.Octets)
		below = max(below, b)
	}
	p.mu.RLock()
	oldest, checkpoint := st.oldest, st.checkpoint
	p.mu.RUnlock()
	if err != nil || below <= oldest {
		return err
	}
	if below > checkpoint+1 {
		if err := p.writeCheckpoint(ctx, st); err != nil {
			return err
		}
	}
	if _, err = p.store.Prune(ctx, st.row, below); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	st.oldest = max(st.oldest, min(below, st.checkpoint+1, st.number))
	return nil
}

// tooOld returns the first version that is not older than age.
func (p *Pipeline) tooOld(ctx context.Context, st *state, age time.Duration) (uint64, error) {
	if age <= 0 {
		return 0, nil
	}
	p.mu.RLock()
	low, high := max(st.oldest, 1), st.number
	p.mu.RUnlock()
	cut := p.o.Clock().Add(-age)
	for low < high { // versions below low are too old, high and above are not or are the newest
		middle := low + (high-low)/2
		log, err := p.store.Log(ctx, st.row, middle+1, 1)
		if err != nil {
			return 0, err
		}
		if len(log) == 0 || log[0].At.Before(cut) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// tooMuch returns the first version from which on the deltas take no more than most octets.
func (p *Pipeline) tooMuch(ctx context.Context, st *state, most int64) (uint64, error) {
	_, octets, _, err := p.store.HistorySize(ctx, st.row)
	if err != nil || octets <= most {
		return 0, err
	}
	const page = 1000
	for below := uint64(0); ; {
		log, err := p.store.Log(ctx, st.row, below, page)
		if err != nil {
			return 0, err
		}
		for _, v := range log {
			if most -= v.Octets; most < 0 {
				return v.Number + 1, nil
			}
			below = v.Number
		}
		if len(log) < page {
			return 0, nil
		}
	}
}

// Recall fills a zone's differences in memory, of which a secondary may want some
// by IXFR, with what was before the start. It reads the database the first time.
func (p *Pipeline) Recall(ctx context.Context, id zone.ID) {
	st, err := p.lookup(id)
	if err != nil || st.recalled.Load() {
		return
	}
	p.recalling.Lock()
	defer p.recalling.Unlock()
	if st.recalled.Load() {
		return
	}
	p.mu.RLock()
	number, oldest, broken := st.number, st.oldest, st.broken
	p.mu.RUnlock()
	if broken != nil {
		return
	}
	limits := p.o.History.WithDefaults()
	from := max(oldest, 1)
	if n := uint64(limits.Steps); number > from && number-from > n {
		from = number - n
	}
	if number > from {
		p.warn(st, "differences of earlier versions could not be read: secondaries may have to fetch all of the zone", p.recallZone(ctx, st, number, from, limits.Octets))
	}
	st.recalled.Store(ctx.Err() == nil)
}

// recallZone reads the differences from the version number back to from.
func (p *Pipeline) recallZone(ctx context.Context, st *state, number, from uint64, most int) error {
	var newest []zone.Difference // the serial number with which each begins is that of the next one
	for v, err := range p.store.Versions(ctx, st.row, number, from) {
		if err != nil {
			return err
		}
		if n := len(newest); n > 0 {
			newest[n-1].From = v.Serial
		}
		if v.Number == from || v.Octets > int64(most) {
			break
		}
		d, err := p.difference(ctx, st, v, most)
		if err != nil {
			return err
		}
		if most -= d.Octets(); most < 0 {
			break
		}
		newest = append(newest, d)
	}
	for i, j := 0, len(newest)-1; i < j; i, j = i+1, j-1 {
		newest[i], newest[j] = newest[j], newest[i]
	}
	st.z.Recall(newest)
	return nil
}

func (p *Pipeline) difference(ctx context.Context, st *state, v store.Version, most int) (zone.Difference, error) {
	r, err := p.store.OpenDelta(ctx, v)
	if err != nil {
		return zone.Difference{}, err
	}
	defer r.Close()
	return zone.ReadDifference(0, v.Serial, zone.NewDeltaReader(r, st.z.Origin()), most)
}
