package daemon

import (
	"cmp"
	"slices"
	"sync"

	"onoma/config"
	"onoma/zone"
)

// kind says where the content of a zone comes from.
type kind uint8

const (
	fromDoors   kind = iota // from UPDATE and the control socket, after a first content from a file
	fromFile                // from a zone file
	fromPrimary             // from other servers
	fromMembers             // it is a catalog that this server makes
)

var kindNames = [...]string{fromDoors: "primary", fromFile: "primary", fromPrimary: "secondary", fromMembers: "catalog"}

func (k kind) String() string { return kindNames[k] }

// entry is a zone that is served, and how. It is immutable: another configuration
// makes another one.
type entry struct {
	id      zone.ID
	plan    *plan
	file    string  // "": none
	group   string  // in the catalog of this server that it is a member of
	catalog zone.ID // that has brought the zone; the zero ID: the configuration has it

	template string // of a zone that a catalog has brought
}

// kindOf says where a zone with these settings comes from.
func kindOf(s *config.Settings, file string) kind {
	switch {
	case len(s.Primaries) > 0:
		return fromPrimary
	case s.Catalog.Produce:
		return fromMembers
	case file != "" && s.FileMode != config.FileInitial:
		return fromFile
	}
	return fromDoors
}

func (e *entry) kind() kind { return kindOf(e.plan.settings, e.file) }

// isMember reports whether a catalog has brought the zone.
func (e *entry) isMember() bool { return e.catalog != zone.ID{} }

// isAlone reports whether nobody is told of the zone, and nobody asked for it.
func (e *entry) isAlone() bool { return len(e.plan.notify) == 0 && !e.plan.settings.NotifyNS }

// table is the zones that are served.
type table struct {
	mu      sync.RWMutex
	entries map[zone.ID]*entry
}

func newTable() *table { return &table{entries: make(map[zone.ID]*entry)} }

// get returns the entry of a zone, nil where it is not served.
func (t *table) get(id zone.ID) *entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.entries[id]
}

func (t *table) put(entries ...*entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range entries {
		t.entries[e.id] = e
	}
}

func (t *table) remove(ids ...zone.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		delete(t.entries, id)
	}
}

// all returns the entries, in no order.
func (t *table) all() []*entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]*entry, 0, len(t.entries))
	for _, e := range t.entries {
		out = append(out, e)
	}
	return out
}

// sorted returns the entries that are wanted, nil meaning all, in the order of their views and names.
func (t *table) sorted(wanted func(*entry) bool) []*entry {
	out := t.all()
	if wanted != nil {
		out = slices.DeleteFunc(out, func(e *entry) bool { return !wanted(e) })
	}
	slices.SortFunc(out, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.id.View, b.id.View), a.id.Name.Compare(b.id.Name))
	})
	return out
}
