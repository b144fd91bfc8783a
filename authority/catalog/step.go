package catalog

import (
	"iter"
	"slices"
	"time"

	"onoma/zone"
)

// Step is what a zone wants of the server at this moment.
type Step struct {
	Zone    zone.ID
	Remove  bool      // end its service
	Forget  bool      // with Remove: its data goes, too
	Until   time.Time // with Remove and not Forget: when its data goes
	Catalog zone.ID   // that owns it, or owned it
	Groups  []string
	Fresh   bool // what is there is forgotten first

	reset   uint32
	stopped bool // with Remove and not Forget: that has been done
}

// Next returns what a zone wants; ok is false where no catalog has it.
func (c *Consumer) Next(id zone.ID) (s Step, ok bool) {
	if c.taken(id) {
		delete(c.leaving, id)
		return Step{}, false
	}
	if e := c.owned[id]; e != nil {
		return Step{Zone: id, Catalog: e.source.Catalog, Groups: e.Groups, Fresh: e.fresh != 0, reset: e.fresh}, true
	}
	if l := c.leaving[id]; l != nil {
		return Step{Zone: id, Remove: true, Forget: !c.now().Before(l.until), Until: l.until, Catalog: l.source.Catalog, stopped: l.stopped}, true
	}
	return Step{}, false
}

// Done notes that the server has done a step that Next had returned.
func (c *Consumer) Done(s Step) {
	e, l := c.owned[s.Zone], c.leaving[s.Zone]
	switch {
	case !s.Remove && e != nil && e.fresh == s.reset && s.Fresh:
		e.fresh = 0
		e.source.touch(s.Zone.Name)
	case s.Remove && l != nil && s.Forget:
		delete(c.leaving, s.Zone)
		l.source.touch(s.Zone.Name)
	case s.Remove && l != nil && !l.stopped:
		l.stopped = true
		l.source.touch(s.Zone.Name)
	}
}

// Owned yields the zones that catalogs own, in canonical order.
func (c *Consumer) Owned() iter.Seq[zone.ID] {
	ids := make([]zone.ID, 0, len(c.owned))
	for id := range c.owned {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, compareIDs)
	return slices.Values(ids)
}

// Leaving yields the zones whose data is kept for a while, and until when.
func (c *Consumer) Leaving() iter.Seq2[zone.ID, time.Time] {
	return func(yield func(zone.ID, time.Time) bool) {
		for id, l := range c.leaving {
			if !yield(id, l.until) {
				return
			}
		}
	}
}
