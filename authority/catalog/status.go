package catalog

import (
	"iter"
	"maps"
	"slices"

	"onoma/zone"
)

// Status is how a catalog that is consumed stands.
type Status struct {
	Catalog  zone.ID
	Serial   uint32 // of the last version that was not broken; 0 where there was none since the start
	Broken   error  // of the latest version: nil or a *Broken
	Listed   int    // members
	Owned    int    // members that are served by it
	Clashes  []Clash
	Findings []zone.Finding // odd about the members
}

// Status returns how a catalog stands; ok is false where it is not consumed. It
// reads the whole catalog.
func (m *Manager) Status(id zone.ID) (s Status, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.c.Status(id)
}

// Pending returns how many zones wait to be added, changed or removed, and how
// many of those have failed before.
func (m *Manager) Pending() (waiting, failed int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue) + len(m.later), len(m.later)
}

// Owner returns the catalog that owns a zone; ok is false where none does.
func (m *Manager) Owner(id zone.ID) (catalog zone.ID, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.c.owned[id]
	if e == nil {
		return zone.ID{}, false
	}
	return e.source.Catalog, true
}

// Status is [Manager.Status].
func (c *Consumer) Status(id zone.ID) (Status, bool) {
	if !c.Has(id) {
		return Status{}, false
	}
	s := c.catalogs[id]
	st := Status{Catalog: id, Broken: s.broken, Clashes: c.Clashes(id)}
	st.Listed, st.Owned = c.Members(id)
	if s.good != nil {
		st.Serial = s.good.Serial()
		_, st.Findings, _ = Read(s.good) // good, so that there is no error
	}
	return st, true
}

// Has reports whether a catalog is consumed.
func (c *Consumer) Has(id zone.ID) bool {
	s := c.catalogs[id]
	return s != nil && !s.retired
}

// Catalogs returns the catalogs that are consumed, in canonical order.
func (c *Consumer) Catalogs() []zone.ID {
	return slices.DeleteFunc(c.all(), func(id zone.ID) bool { return !c.Has(id) })
}

// all returns the catalogs that there is state of, in canonical order.
func (c *Consumer) all() []zone.ID { return slices.SortedFunc(maps.Keys(c.catalogs), compareIDs) }

// Templates returns those of a catalog.
func (c *Consumer) Templates(id zone.ID) Templates {
	if s := c.catalogs[id]; s != nil {
		return s.Templates
	}
	return Templates{}
}

// OwnedBy yields the zones that one catalog owns, in no order.
func (c *Consumer) OwnedBy(catalog zone.ID) iter.Seq[zone.ID] {
	return func(yield func(zone.ID) bool) {
		for id, e := range c.owned {
			if e.source.Catalog == catalog && !yield(id) {
				return
			}
		}
	}
}
