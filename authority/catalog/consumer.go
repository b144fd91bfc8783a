package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// Consumer holds what catalogs list, and which of them owns which zone. It does
// not act: its methods return what is to be done.
type Consumer struct {
	taken    func(zone.ID) bool // a zone of the configuration, which no catalog touches
	catalogs map[zone.ID]*source
	owned    map[zone.ID]*entry
	clashes  map[zone.ID][]*entry // listed, but somebody else's (§5.2)
	leaving  map[zone.ID]*leave
	groups   map[string][]string // equal lists are kept once
	resets   uint32
	now      func() time.Time
}

// source is a catalog that is consumed.
type source struct {
	Settings
	good    *zone.Version // the last one that was not broken; nil: none since the start
	members roster
	dirty   [Parts]bool // parts of the state that have changed
	broken  error
	retired bool // consumed no more, but data of its members is still kept
}

// entry is a zone in a catalog.
type entry struct {
	Member
	source *source
	fresh  uint32 // what is there of the zone must be forgotten: not done yet, and which time this is; else 0
}

func (e *entry) id() zone.ID { return zone.ID{View: e.source.Catalog.View, Name: e.Zone} }

// leave is a zone that was a catalog's. Its data is kept until a time.
type leave struct {
	source  *source
	label   string
	until   time.Time
	stopped bool // its service has ended
}

// NewConsumer returns a Consumer without catalogs. taken tells the zones that the
// configuration has by itself.
func NewConsumer(taken func(zone.ID) bool, now func() time.Time) *Consumer {
	return &Consumer{
		taken: taken, now: now,
		catalogs: make(map[zone.ID]*source), owned: make(map[zone.ID]*entry),
		clashes: make(map[zone.ID][]*entry), leaving: make(map[zone.ID]*leave), groups: make(map[string][]string),
	}
}

// AddCatalog begins to consume a catalog, or changes how that is done. Its state
// of earlier is restored before its first Update, by Restore.
func (c *Consumer) AddCatalog(s Settings) {
	if have := c.catalogs[s.Catalog]; have != nil {
		if have.Settings = s; have.retired {
			have.retired, have.good = false, nil
		}
		return
	}
	c.catalogs[s.Catalog] = &source{Settings: s}
}

// RemoveCatalog ends the consuming of a catalog. Its members go with it.
func (c *Consumer) RemoveCatalog(id zone.ID) []Action {
	s := c.catalogs[id]
	if s == nil || s.retired {
		return nil
	}
	var d delta
	for e := range s.members.all() {
		d.gone = append(d.gone, e)
	}
	s.retired, s.good, s.broken = true, nil, nil
	return c.apply(s, &d)
}

// Update takes a new version of a catalog. The error is a *Broken: nothing
// happens to the members then (§5.1). The cost is that of what has changed since
// the version before.
func (c *Consumer) Update(id zone.ID, v *zone.Version) ([]Action, error) {
	s := c.catalogs[id]
	if s == nil || s.retired {
		return nil, zone.ErrUnknown
	}
	var d delta
	var err error
	if s.good == nil {
		d, err = compareAll(&s.members, v)
	} else {
		d, err = compareVersions(&s.members, s.good, v)
	}
	if err == nil {
		err = s.checkCount(v, s.members.len()+len(d.come)-len(d.gone))
	}
	if s.broken = err; err != nil {
		return nil, err
	}
	s.good = v
	return c.apply(s, &d), nil
}

// checkCount refuses a version with too many members.
func (s *source) checkCount(v *zone.Version, n int) error {
	if s.Most == 0 || n <= s.Most {
		return nil
	}
	r := newReader(v)
	r.fault(v.Origin(), dns.TypeNone, "too-many-members", fmt.Sprintf("it has %d members, expected at most %d", n, s.Most), "raise the limit, or divide the catalog")
	return r.err()
}

// apply makes d true, and returns the actions: first of what goes, so that a zone
// that goes from one catalog to another without more ado is new there.
func (c *Consumer) apply(s *source, d *delta) (actions []Action) {
	d.sort()
	for _, e := range d.gone {
		actions = c.remove(s, e, actions)
	}
	for _, m := range d.come {
		e := &entry{Member: c.interned(m), source: s}
		s.members.put(e)
		s.touch(m.Zone)
		actions = c.claim(e, actions)
	}
	for _, m := range d.changed {
		actions = c.change(s.members.get(m.Zone), c.interned(m), actions)
	}
	return actions
}

// interned returns m with a list of groups that others have, too.
func (c *Consumer) interned(m Member) Member {
	if len(m.Groups) == 0 {
		return m
	}
	key := string(appendGroups(nil, m.Groups))
	if have, ok := c.groups[key]; ok {
		m.Groups = have
		return m
	}
	if len(c.groups) > 1<<16 { // as many as members would be a hostile catalog
		clear(c.groups)
	}
	c.groups[key] = m.Groups
	return m
}

// remove ends what a catalog says about a zone.
func (c *Consumer) remove(s *source, e *entry, actions []Action) []Action {
	s.members.remove(e.Zone)
	s.touch(e.Zone)
	id := e.id()
	if c.owned[id] != e {
		// §5.3: only the catalog that a zone was configured from removes it.
		c.forgetClash(e)
		return actions
	}
	delete(c.owned, id)
	if c.taken(id) {
		return actions
	}
	c.leaving[id] = &leave{source: s, label: e.Label, until: c.now().Add(s.Keep)}
	actions = append(actions, Action{Kind: Remove, Zone: id, Catalog: s.Catalog, Label: e.Label})
	for _, heir := range c.clashes[id] {
		c.forgetClash(heir)
		return c.claim(heir, actions)
	}
	return actions
}

func (c *Consumer) forgetClash(e *entry) {
	id := e.id()
	rest := slices.DeleteFunc(slices.Clone(c.clashes[id]), func(o *entry) bool { return o == e })
	if c.clashes[id] = rest; len(rest) == 0 {
		delete(c.clashes, id)
	}
}

// claim makes the zone its catalog's, unless it is another's (§5.2).
func (c *Consumer) claim(e *entry, actions []Action) []Action {
	id := e.id()
	owner := c.owned[id]
	switch {
	case c.taken(id), owner != nil && owner.NewOwner != e.source.Catalog.Name.Fold():
		c.clashes[id] = append(c.clashes[id], e)
		return actions
	case owner != nil:
		return c.migrate(owner, e, actions)
	}
	c.owned[id] = e
	a := Action{Kind: Add, Zone: id, Catalog: e.source.Catalog, Label: e.Label, Groups: e.Groups}
	if gone := c.leaving[id]; gone != nil {
		// A zone that comes back under its label is the same one, and has its data
		// still. Under another label, or by another catalog, it is new (§5.4, §5.5).
		if gone.source.Catalog != e.source.Catalog || gone.label != e.Label {
			c.refresh(e)
		}
		delete(c.leaving, id)
		gone.source.touch(id.Name)
	}
	a.Fresh = e.fresh != 0
	return append(actions, a)
}

// refresh notes that what there is of a zone must be forgotten.
func (c *Consumer) refresh(e *entry) {
	c.resets++
	e.fresh = max(c.resets, 1)
}

// migrate makes e the owner in the place of old, whose coo property says so
// (§4.3.1): state stays with the label.
func (c *Consumer) migrate(old, e *entry, actions []Action) []Action {
	id := e.id()
	if old.fresh != 0 || old.Label != e.Label {
		c.refresh(e)
	}
	old.fresh = 0
	c.owned[id] = e
	c.clashes[id] = append(c.clashes[id], old) // it is listed there until its producer removes it
	old.source.touch(id.Name)
	e.source.touch(id.Name)
	return append(actions, Action{
		Kind: Migrate, Zone: id, Catalog: e.source.Catalog, From: old.source.Catalog,
		Label: e.Label, Groups: e.Groups, Fresh: e.fresh != 0,
	})
}

// change takes new properties of a zone that stays in its catalog.
func (c *Consumer) change(e *entry, m Member, actions []Action) []Action {
	was := e.Member
	e.Member = m
	e.source.touch(m.Zone)
	id := e.id()
	if c.owned[id] != e {
		return actions
	}
	if was.Label != m.Label { // §5.4: removed with all of its state, and new
		c.refresh(e)
		actions = append(actions, Action{Kind: Reset, Zone: id, Catalog: e.source.Catalog, Label: m.Label, Groups: m.Groups, Fresh: true})
	} else if !slices.Equal(was.Groups, m.Groups) {
		actions = append(actions, Action{Kind: Regroup, Zone: id, Catalog: e.source.Catalog, Label: m.Label, Groups: m.Groups, Fresh: e.fresh != 0})
	}
	if was.NewOwner != m.NewOwner {
		for _, heir := range c.clashes[id] {
			if heir.source.Catalog.Name.Fold() == m.NewOwner && !c.taken(id) {
				c.forgetClash(heir)
				return c.migrate(e, heir, actions)
			}
		}
	}
	return actions
}

// Recheck is to be called when the zones of the configuration have changed: those
// that it has now are no catalog's any more, others that catalogs list may be.
func (c *Consumer) Recheck() (actions []Action) {
	for id, e := range c.owned {
		if c.taken(id) { // it goes on, by the configuration
			delete(c.owned, id)
			e.fresh = 0
			e.source.touch(id.Name)
			c.clashes[id] = append(c.clashes[id], e)
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(c.clashes), compareIDs) {
		if c.owned[id] == nil && !c.taken(id) {
			heir := c.clashes[id][0]
			c.forgetClash(heir)
			actions = c.claim(heir, actions)
			heir.source.touch(id.Name)
		}
	}
	return actions
}

func compareIDs(a, b zone.ID) int {
	return cmp.Or(a.Name.Compare(b.Name), cmp.Compare(a.View, b.View))
}

// Clash is a zone that a catalog lists and does not get (§5.2).
type Clash struct {
	Zone    zone.ID
	Catalog zone.ID
	Owner   zone.ID // the catalog that has it; the zero ID: the configuration
}

// Clashes returns those of one catalog, in canonical order.
func (c *Consumer) Clashes(catalog zone.ID) (list []Clash) {
	for id, entries := range c.clashes {
		for _, e := range entries {
			if e.source.Catalog != catalog {
				continue
			}
			clash := Clash{Zone: id, Catalog: catalog}
			owner := c.owned[id]
			if owner != nil {
				clash.Owner = owner.source.Catalog
			}
			// Where the owner is the one that this catalog has named, all is as it should be.
			if owner == nil || owner.source.Catalog.Name.Fold() != e.NewOwner {
				list = append(list, clash)
			}
		}
	}
	slices.SortFunc(list, func(a, b Clash) int { return compareIDs(a.Zone, b.Zone) })
	return list
}

// Members returns how many zones a catalog lists, and how many of those it owns.
func (c *Consumer) Members(catalog zone.ID) (listed, owned int) {
	s := c.catalogs[catalog]
	if s == nil {
		return 0, 0
	}
	others := 0
	for _, entries := range c.clashes {
		for _, e := range entries {
			if e.source == s {
				others++
			}
		}
	}
	return s.members.len(), s.members.len() - others
}
