package catalog

import (
	"slices"

	"onoma/dns"
	"onoma/zone"
)

// delta is what is different about the members of a catalog.
type delta struct {
	gone    []*entry
	come    []Member
	changed []Member // with another label, other groups, or another new owner
}

// sort puts all into canonical order, so that the same change is the same actions.
func (d *delta) sort() {
	slices.SortFunc(d.gone, func(a, b *entry) int { return a.Zone.Compare(b.Zone) })
	byZone := func(a, b Member) int { return a.Zone.Compare(b.Zone) }
	slices.SortFunc(d.come, byZone)
	slices.SortFunc(d.changed, byZone)
}

// put enters a member that is listed now.
func (d *delta) put(have *roster, m Member) {
	switch e := have.get(m.Zone); {
	case e == nil:
		d.come = append(d.come, m)
	case !e.equal(m):
		d.changed = append(d.changed, m)
	}
}

// compareAll is for the first version after a start: what was there before is
// known by its members alone.
func compareAll(have *roster, v *zone.Version) (d delta, err error) {
	members, _, err := Read(v)
	if err != nil {
		return d, err
	}
	listed := make(map[dns.Name]bool, len(members))
	for _, m := range members {
		listed[m.Zone] = true
		d.put(have, m)
	}
	for e := range have.all() {
		if !listed[e.Zone] {
			d.gone = append(d.gone, e)
		}
	}
	return d, nil
}

// compareVersions looks at those nodes alone that have changed from one version
// to the other. have is the members of the earlier one, which was not broken.
func compareVersions(have *roster, from, to *zone.Version) (d delta, err error) {
	old, now := newReader(from), newReader(to)
	now.version()
	listed := make(map[dns.Name]string) // by labels that have changed
	labels := changedLabels(from, to)
	for label := range labels {
		m, ok := now.member(label)
		if !ok {
			continue
		}
		if other, twice := listed[m.Zone]; twice {
			now.duplicate(m, other)
		}
		if e := have.get(m.Zone); e != nil && e.Label != label && !labels[e.Label] {
			now.duplicate(m, e.Label)
		}
		listed[m.Zone] = label
		d.put(have, m)
	}
	if err := now.err(); err != nil {
		return delta{}, err
	}
	for label := range labels {
		m, ok := old.member(label)
		if _, stays := listed[m.Zone]; stays || !ok {
			continue
		}
		if e := have.get(m.Zone); e != nil {
			d.gone = append(d.gone, e)
		}
	}
	return d, nil
}

// changedLabels returns the unique labels at or below whose nodes records differ.
func changedLabels(from, to *zone.Version) map[string]bool {
	labels := make(map[string]bool)
	zones := newReader(to).zones
	depth := zones.NumLabels() + 1
	diff := zone.Diff(from, to)
	for _, list := range [][]dns.Record{diff.Removed, diff.Added} {
		for _, r := range list {
			if n := r.Name.NumLabels(); n >= depth && r.Name.IsSubdomainOf(zones) {
				labels[r.Name.Ancestor(n-depth).Fold().FirstLabel()] = true
			}
		}
	}
	return labels
}
