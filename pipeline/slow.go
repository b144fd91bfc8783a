package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"

	"onoma/pipeline/gate"
	"onoma/zone"
)

const (
	// preparers is how many slow batches are prepared at a time: each may have a
	// whole zone in memory.
	preparers = 4
	// mostAttempts is how often a batch is prepared anew because another node has
	// changed the zone meanwhile.
	mostAttempts = 5
)

// admit returns those of bs that may be made now: the others have a zone that is
// held and wait for who holds it. The caller holds turn.
func (p *Pipeline) admit(bs []*batch) []*batch {
	free := bs[:0]
	for _, b := range bs {
		if b.holds != nil || !p.wait(b) {
			free = append(free, b)
		}
	}
	return free
}

// wait puts b behind the first of its zones that is held, and reports whether one is.
func (p *Pipeline) wait(b *batch) bool {
	for i := range b.changes {
		if st := p.zones[b.changes[i].Zone]; st != nil && st.held {
			st.waiting = append(st.waiting, b)
			return true
		}
	}
	return false
}

// slow has a batch prepared by a goroutine of its own. It holds its zones from now
// on, all at once, so that none waits for another. The caller holds turn.
func (p *Pipeline) slow(ctx context.Context, b *batch) {
	if b.holds == nil {
		if p.wait(b) {
			return // another one of the same group was first
		}
		for i := range b.changes {
			if st := p.zones[b.changes[i].Zone]; st != nil && !slices.Contains(b.holds, st) {
				st.held = true
				b.holds = append(b.holds, st)
			}
		}
	}
	if b.attempts++; b.attempts > mostAttempts {
		p.finish(&outcome{b: b, err: fmt.Errorf("changing %s: %w, each time that the change was ready", b.changes[0].Zone, zone.ErrConflict)})
		return
	}
	start := p.starts(b)
	p.going.Go(func() {
		p.prepare <- struct{}{}
		defer func() { <-p.prepare }()
		b.made, b.rejected = p.prepareAll(ctx, b, start)
		p.queue.again(b)
	})
}

// release lets others have the zones that b holds. The caller holds turn.
func (p *Pipeline) release(b *batch) {
	for _, st := range b.holds {
		st.held = false
		p.queue.again(st.waiting...)
		st.waiting = nil
	}
	b.holds = nil
}

// start is the state of a zone that a preparation begins with.
type start struct {
	st     *state
	spec   *ZoneSpec
	head   *zone.Version
	number uint64
}

// starts returns the states of the zones of b. The caller holds turn.
func (p *Pipeline) starts(b *batch) map[zone.ID]start {
	out := make(map[zone.ID]start, len(b.holds))
	for _, st := range b.holds {
		out[st.spec.ID] = start{st, st.spec, st.head(), st.number}
	}
	return out
}

// prepareAll makes the versions of b one after the other.
func (p *Pipeline) prepareAll(ctx context.Context, b *batch, from map[zone.ID]start) ([]made, error) {
	out := make([]made, 0, len(b.changes))
	at := p.o.Clock().UTC().Truncate(time.Microsecond)
	for i := range b.changes {
		c := &b.changes[i]
		s, ok := from[c.Zone]
		if !ok {
			return nil, fmt.Errorf("changing %s: %w", c.Zone, zone.ErrUnknown)
		}
		m := maker{p: p, st: s.st, spec: s.spec.of(c), c: c, at: at, ctx: ctx}
		made, err := m.make(s.head, s.number)
		if err == nil && made.next != nil {
			err = m.checkSlow(s.head, made.next)
			s.head, s.number = made.next, s.number+1
			from[c.Zone] = s
		}
		if err != nil {
			return nil, err
		}
		out = append(out, made)
	}
	return out, nil
}

// checkSlow asks the rules that may take long.
func (m maker) checkSlow(head, next *zone.Version) error {
	rules := m.rules()
	if !rules.IsSlow(m.c.By.Door) {
		return nil
	}
	j := gate.Judged{ID: m.spec.ID, Old: head, New: next, Brought: next, Door: m.c.By.Door, At: m.at}
	if m.spec.Signer != nil {
		j.Brought = m.c.Replace // next has other signatures, and no digest but our own
	}
	if r := rules.Slow(m.ctx, j); r != nil {
		return m.refuse(r, nil)
	}
	return nil
}
