package config

import (
	"cmp"
	"reflect"
	"slices"

	"onoma/dns"
)

// ZoneID says which zone of a configuration: its view, and its folded name.
type ZoneID struct {
	View string
	Name dns.Name
}

// Difference is what a reload has to do.
type Difference struct {
	Added    []Zone     // as they are to be, in the order of their views and names
	Changed  []Zone     // as they are to be
	Removed  []Zone     // as they were
	Keys     bool       // TSIG keys
	Policies bool       // of signing
	Views    bool       // which views there are, in which order, and for whom
	Resolver bool       // what of the resolver can change while it runs
	Restart  []string   // those that take effect at the next start
	Catalog  []Template // templates that have changed or are new, as they are to be: members of catalogs follow them
}

// IsEmpty reports whether nothing has to be done.
func (d Difference) IsEmpty() bool { return reflect.DeepEqual(d, Difference{}) }

// Diff returns how to get from one configuration to another.
func Diff(from, to *Config) Difference {
	var d Difference
	if from == nil || to == nil {
		return d
	}
	d.zones(zonesOf(from), zonesOf(to))
	d.views(from.Views, to.Views)
	d.templates(from.Templates, to.Templates)
	d.Policies = !same(reflect.ValueOf(from.Policies), reflect.ValueOf(to.Policies))
	d.Resolver = !same(reflect.ValueOf(from.Resolver), reflect.ValueOf(to.Resolver))
	d.Keys = !same(reflect.ValueOf(from.Keys), reflect.ValueOf(to.Keys))
	d.settings(make(layouts), "", reflect.ValueOf(from).Elem(), reflect.ValueOf(to).Elem())
	return d
}

// zonesOf finds all zones by their IDs.
func zonesOf(c *Config) map[ZoneID]*Zone {
	all := make(map[ZoneID]*Zone, len(c.Zones))
	add := func(zones []Zone) {
		for i := range zones {
			all[zones[i].ID()] = &zones[i]
		}
	}
	add(c.Zones)
	for _, v := range c.Views {
		add(v.Zones)
	}
	return all
}

// ID returns which zone z is.
func (z *Zone) ID() ZoneID { return ZoneID{z.View, z.Name.Fold()} }

// compareZones orders zones by their views and names.
func compareZones(a, b Zone) int {
	return cmp.Or(cmp.Compare(a.View, b.View), a.Name.Compare(b.Name))
}

func (d *Difference) zones(from, to map[ZoneID]*Zone) {
	for id, z := range to {
		switch old := from[id]; {
		case old == nil:
			d.Added = append(d.Added, *z)
		case !same(reflect.ValueOf(*old), reflect.ValueOf(*z)):
			d.Changed = append(d.Changed, *z)
		}
	}
	for id, z := range from {
		if to[id] == nil {
			d.Removed = append(d.Removed, *z)
		}
	}
	for _, zones := range [][]Zone{d.Added, d.Changed, d.Removed} {
		slices.SortFunc(zones, compareZones)
	}
}

func (d *Difference) views(from, to []View) {
	d.Views = !slices.EqualFunc(from, to, func(a, b View) bool {
		a.Zones, b.Zones = nil, nil
		return same(reflect.ValueOf(a), reflect.ValueOf(b))
	})
}

func (d *Difference) templates(from, to []Template) {
	for _, t := range to {
		if !slices.ContainsFunc(from, func(old Template) bool { return same(reflect.ValueOf(old), reflect.ValueOf(t)) }) {
			d.Catalog = append(d.Catalog, t)
		}
	}
}

// settings compares what is not in a list with names.
func (d *Difference) settings(ls layouts, prefix string, from, to reflect.Value) {
	for _, f := range ls.of(from.Type()).fields {
		a, b := from.FieldByIndex(f.index), to.FieldByIndex(f.index)
		switch {
		case apart[prefix+f.name]:
		case a.Kind() == reflect.Struct && !isScalar(a.Type()):
			d.settings(ls, prefix+f.name+".", a, b)
		case same(a, b):
		default:
			d.Restart = append(d.Restart, prefix+f.name)
		}
	}
}

// apart are the settings that a Difference tells of in other ways. Servers and
// access lists are in the zones that name them, and so is the directory of files.
var apart = map[string]bool{
	"zone-dir": true, "keys": true, "servers": true, "access": true, "templates": true, "policies": true, "zones": true, "views": true, "include": true,
	"resolver.insecure": true, "resolver.routes": true, "resolver.local-root": true, "resolver.policy": true,
}

// same compares settings, wherever they stand in their files.
func same(a, b reflect.Value) bool {
	switch {
	case a.Type() == typeRule:
		return a.Interface().(Rule).Equal(b.Interface().(Rule))
	case isScalar(a.Type()):
		return a.Interface() == b.Interface()
	}
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return a.Pointer() == b.Pointer() || same(a.Elem(), b.Elem())
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	}
	for i := range a.NumField() {
		if a.Type().Field(i).Tag.Get("yaml") != "-" && !same(a.Field(i), b.Field(i)) {
			return false
		}
	}
	return true
}
