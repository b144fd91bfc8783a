package pipeline

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"onoma/store"
	"onoma/zone"
)

// Run makes the versions, until ctx ends: then what has been handed in is finished
// and the rest is refused. It returns when nothing of the Pipeline is at work any
// more.
func (p *Pipeline) Run(ctx context.Context) error {
	var others <-chan struct{} // nil: never
	if p.store.IsShared() {
		others = p.store.Watch(ctx)
	}
	inner := contextOf(ctx)
	p.going.Go(func() { p.keep(ctx) })
	for end := ctx.Done(); ; {
		select {
		case <-p.queue.ready:
			p.round(inner)
		case _, ok := <-others:
			if !ok {
				others = nil
				continue
			}
			p.follow(inner)
		case <-end:
			end = nil
			p.queue.close()
		}
		p.flush()
		if end == nil && p.queue.close() {
			break
		}
	}
	p.going.Wait()
	return nil
}

// round commits a group of what waits.
func (p *Pipeline) round(ctx context.Context) {
	p.turn.Lock()
	defer p.turn.Unlock()
	g := &group{p: p, ctx: ctx, batches: p.queue.take(nil, p.o.Group)}
	if g.batches = p.admit(g.batches); len(g.batches) > 0 {
		g.run()
	}
}

// group is what one transaction has.
type group struct {
	p       *Pipeline
	ctx     context.Context
	batches []*batch
	begun   time.Time

	at       time.Time
	zones    map[*state]*progress
	order    []*progress
	rows     []store.Version
	outcomes []outcome
	found    uint64 // the commit of rows, where an earlier try turned out to have made it
}

// outcome is what becomes of a batch.
type outcome struct {
	b        *batch
	receipts []zone.Receipt
	err      error
	slow     bool // it is to be prepared; nobody is told yet
}

// progress is how far a zone has got in a group.
type progress struct {
	st     *state
	head   *zone.Version
	number uint64
	steps  []step
}

// step is how what is served gets on: from one version to another that was edited
// from it, or to one that was made apart.
type step struct {
	from, to *zone.Version
	apart    *zone.Delta // nil: edited
}

// mostTries is how often a commit is tried whose outcome is not known, or that was
// too far behind: for 3 seconds, as clients of UPDATE wait for little longer.
const (
	mostTries  = 6
	mostPaused = time.Second
)

// run commits the group and tells everybody.
func (g *group) run() {
	g.begun = g.p.o.Clock()
	err := g.commit()
	if err == nil {
		g.publish()
	}
	if g.found != 0 {
		g.p.catchUp(g.ctx)
	}
	if err != nil {
		g.p.complain(len(g.rows), g.begun, err)
	}
	g.p.stats.group(len(g.rows), g.p.o.Clock().Sub(g.begun))
	g.finish(err)
}

// complaints are what has gone wrong with commits, of which one a second is logged.
type complaints struct {
	last    time.Time
	changes int // since then
}

// complain says that changes could not be written. The caller holds turn.
func (p *Pipeline) complain(changes int, now time.Time, err error) {
	c := &p.complaints
	if c.changes += changes; !c.last.IsZero() && now.Sub(c.last) < time.Second {
		return
	}
	p.o.Log.Error("changes could not be written to the database, and nothing of them has happened", "changes", c.changes, "err", err)
	c.last, c.changes = now, 0
}

// commit writes the group to the database, on top of what others have written.
func (g *group) commit() error {
	g.build()
	if len(g.rows) == 0 {
		return nil
	}
	var err error
	for try := range mostTries {
		if try > 0 {
			pause(g.ctx, try)
		}
		var last uint64
		last, err = g.p.store.Commit(g.ctx, g.p.last, g.onTop)
		switch {
		case err == nil && g.found != 0:
			g.p.last = g.found // others may have committed after it
			return nil
		case err == nil:
			g.p.last = last
			return nil
		case errors.Is(err, store.ErrBehind):
			g.p.catchUp(g.ctx)
		case !errors.Is(err, store.ErrUnknownOutcome) && (try == 0 || !errors.Is(err, store.ErrUnavailable)):
			return err
		}
	}
	return err
}

// pause waits a little longer at each try.
func pause(ctx context.Context, try int) {
	t := time.NewTimer(min(10*time.Millisecond<<(2*try), mostPaused))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// onTop returns the rows to commit, given what others have committed. Where these
// are our own, of a try whose outcome was not known, there is nothing left to do.
func (g *group) onTop(missed []store.Version) ([]store.Version, error) {
	if len(missed) == 0 {
		return g.rows, nil
	}
	for i := range missed {
		if g.isOurs(&missed[i]) {
			g.found = missed[i].Commit
			return nil, nil
		}
	}
	g.p.put(g.ctx, missed)
	g.build()
	return g.rows, nil
}

// isOurs reports whether v is a row of the group: nobody else makes the same
// change at the same microsecond.
func (g *group) isOurs(v *store.Version) bool {
	r := &g.rows[0]
	return v.Zone == r.Zone && v.Number == r.Number && v.Serial == r.Serial && v.At.Equal(r.At) &&
		v.Door == r.Door && v.Author == r.Author && v.Staged == r.Staged && string(v.Delta) == string(r.Delta)
}

// build makes the versions of all batches, on top of the zones as they are.
func (g *group) build() {
	g.at = g.p.o.Clock().UTC().Truncate(time.Microsecond)
	g.zones = make(map[*state]*progress)
	g.order, g.rows, g.outcomes = nil, g.rows[:0], g.outcomes[:0]
	for _, b := range g.batches {
		g.outcomes = append(g.outcomes, g.batch(b))
	}
}

// batch makes the versions of one batch, or none of them.
func (g *group) batch(b *batch) outcome {
	if b.rejected != nil {
		return outcome{b: b, err: b.rejected}
	}
	rows := len(g.rows)
	var before []progress
	out := outcome{b: b, receipts: make([]zone.Receipt, len(b.changes))}
	for i := range b.changes {
		pr, err := g.progress(b.changes[i].Zone)
		if err == nil {
			before = append(before, *pr)
			out.receipts[i], err = g.change(b, i, pr)
		}
		if err == nil {
			continue
		}
		for _, old := range slices.Backward(before) {
			*g.zones[old.st] = old
		}
		g.rows = g.rows[:rows]
		g.p.took(b, i+1, false)
		return outcome{b: b, err: err, slow: errors.Is(err, errSlow)}
	}
	return out
}

func (g *group) progress(id zone.ID) (*progress, error) {
	st, err := g.p.find(id)
	if err != nil {
		return nil, err
	}
	pr := g.zones[st]
	if pr == nil {
		pr = &progress{st: st, head: st.head(), number: st.number}
		g.zones[st] = pr
		g.order = append(g.order, pr)
	}
	return pr, nil
}

// change makes the version of a change of b, or takes what was prepared.
func (g *group) change(b *batch, i int, pr *progress) (zone.Receipt, error) {
	c := &b.changes[i]
	var m made
	var err error
	if b.made != nil {
		if m = b.made[i]; m.st != pr.st || m.number != pr.number {
			return zone.Receipt{}, errSlow // overtaken by another node: once more
		}
	} else {
		mk := maker{p: g.p, st: pr.st, spec: pr.st.spec.of(c), c: c, at: g.at, quick: true, ctx: g.ctx}
		if m, err = mk.make(pr.head, pr.number); err != nil {
			return zone.Receipt{}, err
		}
	}
	r := zone.Receipt{Zone: pr.st.spec.ID, Version: pr.number, At: g.at, By: c.By, Note: m.note}
	if m.next == nil {
		if pr.head != nil {
			r.Serial = pr.head.Serial()
		}
		return r, nil
	}
	g.rows = append(g.rows, store.Version{
		Zone: pr.st.row, Number: pr.number + 1, Serial: m.serial, At: g.at,
		Door: string(c.By.Door), Author: c.By.Name, Comment: c.By.Comment,
		Removed: m.removed, Added: m.added, Delta: m.coded, Staged: m.staged,
	})
	pr.advance(&m)
	r.Version, r.Serial, r.Changed, r.Removed, r.Added = pr.number, m.serial, true, m.removed, m.added
	return r, nil
}

// advance goes on to what m has made.
func (pr *progress) advance(m *made) {
	// Steps may be shared with a copy, of which this must not change anything.
	steps := append(make([]step, 0, len(pr.steps)+1), pr.steps...)
	switch n := len(steps); {
	case m.apart:
		steps = append(steps, step{from: m.head, to: m.next, apart: &m.delta})
	case n > 0 && steps[n-1].apart == nil:
		steps[n-1].to = m.next
	default:
		steps = append(steps, step{from: m.head, to: m.next})
	}
	pr.steps, pr.head, pr.number = steps, m.next, pr.number+1
}

// publish has the last version of each zone served.
func (g *group) publish() {
	if len(g.rows) == 0 {
		return
	}
	g.p.mu.Lock()
	for _, pr := range g.order {
		for _, s := range pr.steps {
			s.publish(pr.st.z)
		}
		if pr.number != pr.st.number {
			pr.st.number, pr.st.made = pr.number, g.at.UnixMicro()
		}
	}
	for i := range g.rows {
		if st := g.p.rows[g.rows[i].Zone]; st != nil {
			st.grown(g.rows[i].Octets)
		}
	}
	g.p.mu.Unlock()
	for _, pr := range g.order {
		g.p.keeper.look(pr.st)
	}
}

func (s step) publish(z *zone.Zone) {
	switch {
	case s.apart != nil:
		z.Replace(s.to, s.apart)
	case !z.Advance(s.from, s.to):
		z.Publish(s.to)
	}
}

// grown notes that a delta has been added to the zone's history.
func (st *state) grown(octets int64) {
	st.pending += octets
	st.unsaved += octets
	if st.oldest == 0 {
		// The first delta is as good as a checkpoint.
		st.oldest, st.pending = 1, 0
	}
}

// finish tells what has become of each batch.
func (g *group) finish(err error) {
	for i := range g.outcomes {
		o := &g.outcomes[i]
		switch {
		case o.slow:
			g.p.slow(g.ctx, o.b)
			continue
		case o.err == nil && err != nil:
			o.receipts, o.err = nil, err
		}
		g.p.finish(o)
	}
}

// finish ends a batch. The caller holds turn, and who is told does not see it: they
// may add zones, or remove them.
func (p *Pipeline) finish(o *outcome) {
	p.stats.count(o.b.changes, o.receipts, o.err)
	p.took(o.b, len(o.b.changes), o.err == nil)
	p.release(o.b)
	p.queue.release(len(o.b.changes))
	p.untold = append(p.untold, *o)
}

// flush tells everybody what has happened since the last flush. It is called by the
// goroutine of Run, so that all is told in order.
func (p *Pipeline) flush() {
	p.turn.Lock()
	list := p.untold
	p.untold = nil
	p.turn.Unlock()
	for i := range list {
		o := &list[i]
		p.say(o.receipts)
		p.tell(o.receipts)
		switch {
		case o.b == nil: // another node's
		case o.err != nil:
			o.b.done(nil, o.err)
		default:
			o.b.done(o.receipts, nil)
		}
	}
	if len(list) > 0 {
		runtime.Gosched() // who has just been told may have the next change ready
	}
}

// say logs what authors should know.
func (p *Pipeline) say(receipts []zone.Receipt) {
	for i := range receipts {
		// The file's door says it with what else there is to say of the file.
		if r := &receipts[i]; r.Note != "" && r.By.Door != zone.DoorFile {
			p.o.Log.Info("zone changed, but not just as it was asked", "zone", r.Zone.String(), "version", r.Version, "serial", r.Serial, "by", r.By.Name, "note", r.Note)
		}
	}
}
