package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"onoma/zone"
)

// Run does what the catalogs want until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if ctx.Err() != nil {
			m.lastSave(ctx)
			return nil
		}
		wait := m.turn(ctx)
		if wait == 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-m.wake:
		case <-timer.C:
		}
	}
}

// lastSave writes what has been done, so that it is not done once more.
func (m *Manager) lastSave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := m.save(ctx); err != nil {
		m.o.Log.Warn("some of what was done will be done once more", "error", err)
	}
}

// turn does one batch, and returns how long there is nothing more to do.
func (m *Manager) turn(ctx context.Context) time.Duration {
	m.takeVersions()
	m.takeDue(time.Now())
	if m.mustSave() {
		// What is wanted is written before it is done: an end in between leaves nothing
		// behind that nobody knows of.
		if err := m.save(ctx); err != nil {
			m.o.Log.Error("catalogs wait", "error", err)
			return m.backOff(time.Now())
		}
	}
	b := m.nextBatch()
	if b.len() == 0 {
		if err := m.save(ctx); err != nil {
			m.o.Log.Error("catalogs wait", "error", err)
			return m.backOff(time.Now())
		}
		return m.idle(time.Now())
	}
	if err := b.do(ctx, m.o.Host); err != nil {
		m.failed(b, err)
		return m.o.Pause
	}
	m.done(b)
	return m.o.Pause
}

func (m *Manager) mustSave() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unsaved || time.Since(m.savedAt) > saveAtLeast
}

// takeVersions looks at the versions that have come.
func (m *Manager) takeVersions() {
	m.inbox.Lock()
	versions := m.inbox.latest
	m.inbox.latest = make(map[zone.ID]*zone.Version)
	m.inbox.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, v := range versions {
		if !m.c.Has(id) {
			continue
		}
		actions, err := m.c.Update(id, v)
		m.tell(id, v, actions, err)
		m.enqueue(actions)
		m.unsaved = true
	}
}

// tell logs what a version of a catalog has brought.
func (m *Manager) tell(id zone.ID, v *zone.Version, actions []Action, err error) {
	if err != nil {
		m.o.Log.Error("catalog is not followed", "catalog", id.String(), "serial", v.Serial(), "error", err)
		return
	}
	var n [Migrate + 1]int
	for _, a := range actions {
		n[a.Kind]++
	}
	if len(actions) > 0 {
		m.o.Log.Info("catalog has changed", "catalog", id.String(), "serial", v.Serial(), "added", n[Add], "removed", n[Remove],
			"reset", n[Reset], "regrouped", n[Regroup], "taken over", n[Migrate])
	}
	if clashes := m.c.Clashes(id); len(clashes) > 0 {
		text := fmt.Sprintf("%d, such as %s", len(clashes), clashes[0].Zone)
		if m.logged[id] != text {
			m.o.Log.Warn("catalog lists zones that are another's; they are ignored", "catalog", id.String(), "zones", text)
		}
		m.logged[id] = text
	}
}

// takeDue puts zones into the queue whose time has come.
func (m *Manager) takeDue(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.later) > 0 && !now.Before(m.retryAt) {
		for id := range m.later {
			m.push(id)
		}
		clear(m.later)
	}
	for id, until := range m.c.Leaving() {
		if !now.Before(until) && !m.later[id] {
			m.push(id)
		}
	}
}

// idle returns how long there is nothing to do.
func (m *Manager) idle(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	wait := time.Hour
	if len(m.later) > 0 {
		wait = min(wait, m.retryAt.Sub(now))
	}
	for id, until := range m.c.Leaving() {
		if !m.later[id] {
			wait = min(wait, until.Sub(now))
		}
	}
	return max(wait, time.Millisecond)
}

// backOff returns how long to wait after an error, longer each time.
func (m *Manager) backOff(now time.Time) time.Duration {
	wait := m.retry
	m.retry = min(2*m.retry, lastRetry)
	m.retryAt = now.Add(wait)
	return wait
}

// save writes the parts of the state that have changed.
func (m *Manager) save(ctx context.Context) error {
	m.mu.Lock()
	ids := m.c.all()
	m.unsaved = false
	m.mu.Unlock()
	for _, id := range ids {
		m.mu.Lock()
		parts := m.c.Dirty(id)
		m.mu.Unlock()
		if len(parts) == 0 {
			continue
		}
		err := m.o.Keeper.SaveCatalog(ctx, id, parts)
		if errors.Is(err, zone.ErrUnknown) {
			continue // the catalog is no zone of this server any more, so that nothing of it can be kept
		}
		if err != nil {
			m.mu.Lock()
			m.c.Spoil(id)
			m.unsaved = true
			m.mu.Unlock()
			return fmt.Errorf("saving the state of catalog %s: %w", id, err)
		}
	}
	m.savedAt = time.Now()
	return nil
}

// batch is what the Host is told at a time.
type batch struct {
	ids    []zone.ID
	steps  []Step
	place  []Placement
	stop   []zone.ID // their data stays
	forget []zone.ID
}

func (b *batch) len() int { return len(b.ids) }

// nextBatch takes zones from the queue and looks what each wants by now, which
// may be something else than when it got there.
func (m *Manager) nextBatch() *batch {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := new(batch)
	for len(m.queue) > 0 && b.len() < m.limit {
		id := m.queue[0]
		m.queue = m.queue[1:]
		delete(m.queued, id)
		if s, ok := m.c.Next(id); ok {
			b.add(s, m.c.Templates(s.Catalog))
		}
	}
	if len(m.queue) == 0 {
		m.queue = nil
	}
	return b
}

func (b *batch) add(s Step, t Templates) {
	template, serve := t.For(s.Groups)
	switch {
	case s.Remove && s.Forget:
		b.forget = append(b.forget, s.Zone)
	case s.Remove && s.stopped:
		return
	case s.Remove, !serve:
		b.stop = append(b.stop, s.Zone)
	default:
		b.place = append(b.place, Placement{Zone: s.Zone, Template: template, Catalog: s.Catalog, Fresh: s.Fresh})
	}
	b.ids, b.steps = append(b.ids, s.Zone), append(b.steps, s)
}

// do has the host do it all.
func (b *batch) do(ctx context.Context, h Host) error {
	if len(b.forget) > 0 {
		if err := h.RemoveMany(ctx, b.forget, true); err != nil {
			return fmt.Errorf("removing zones: %w", err)
		}
	}
	if len(b.stop) > 0 {
		if err := h.RemoveMany(ctx, b.stop, false); err != nil {
			return fmt.Errorf("ending the service of zones: %w", err)
		}
	}
	if len(b.place) > 0 {
		if err := h.AddMany(ctx, b.place); err != nil {
			return fmt.Errorf("adding zones: %w", err)
		}
	}
	return nil
}

// failed puts a batch off. The next ones are smaller, so that one bad zone does
// not keep others from being served.
func (m *Manager) failed(b *batch, err error) {
	now := time.Now()
	if m.limit = max(m.limit/4, 1); len(m.later) == 0 {
		m.backOff(now)
	}
	m.o.Log.Error("members of catalogs are tried again later", "zones", b.len(), "first", b.ids[0].String(), "error", err)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range b.ids {
		m.later[id] = true
	}
}

func (m *Manager) done(b *batch) {
	m.limit = min(2*m.limit, m.o.Batch)
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.later) == 0 {
		m.retry = firstRetry
	}
	for _, s := range b.steps {
		m.c.Done(s)
	}
}
