package catalog

import (
	"fmt"
	"slices"
	"strings"

	"onoma/dns"
	"onoma/zone"
)

// editing is a catalog that a Producer changes.
type editing struct {
	*zone.Editor
	zones dns.Name // zones.$CATZ
	fill  func([]byte)
}

// find returns the node that lists a zone: the last one whose label begins as the
// zone's labels do.
func (e *editing) find(name dns.Name) (node dns.Name, ok bool) {
	begin := prefix(name)
	behind, ok := under(e.zones, begin+"~") // sorts behind all of them
	if !ok {
		return dns.Name{}, false
	}
	v := e.View()
	n := v.Floor([]byte(behind.Wire())).Name()
	if n.IsZero() || !n.IsSubdomainOf(e.zones) || n.NumLabels() <= e.zones.NumLabels() {
		return dns.Name{}, false
	}
	node = n.Ancestor(n.NumLabels() - e.zones.NumLabels() - 1)
	if !strings.HasPrefix(node.Fold().FirstLabel(), begin) {
		return dns.Name{}, false
	}
	m, ok := e.listed(v.Find([]byte(node.Wire())))
	return node, ok && m.Zone == name.Fold()
}

// listed returns the member of a node, if it is that of one.
func (e *editing) listed(n zone.Node) (Member, bool) {
	r := &reader{v: e.View(), zones: e.zones}
	label, ok := r.memberLabel(n)
	if !ok {
		return Member{}, false
	}
	return r.member(label)
}

func (e *editing) setAll(wishes []Wish) error {
	for i := range wishes {
		if err := e.set(&wishes[i]); err != nil {
			return fmt.Errorf("listing %s: %w", wishes[i].Zone, err)
		}
	}
	return nil
}

// set lists a zone as w says.
func (e *editing) set(w *Wish) error {
	node, ok := e.find(w.Zone)
	if !ok {
		var err error
		if node, err = e.zones.Child(e.newLabel(w.Zone)); err != nil {
			return err
		}
	}
	if err := e.put(node, "", dns.TypePTR, []dns.RData{dns.NewTarget(w.Zone.Fold())}); err != nil {
		return err
	}
	var coo []dns.RData
	if !w.NewOwner.IsZero() {
		coo = []dns.RData{dns.NewTarget(w.NewOwner)}
	}
	if err := e.put(node, "coo", dns.TypePTR, coo); err != nil {
		return err
	}
	var groups []dns.RData
	for _, g := range w.Groups {
		groups = append(groups, dns.NewTXT(g))
	}
	if err := e.put(node, "group", dns.TypeTXT, groups); err != nil {
		return err
	}
	return e.setCustom(node, w.Custom)
}

// put makes want the records of one type of a property, or of the node itself
// where there is no property.
func (e *editing) put(node dns.Name, property string, t dns.Type, want []dns.RData) error {
	name := node
	if property != "" {
		var err error
		if name, err = node.Child(property); err != nil && len(want) > 0 {
			return err
		}
	}
	set, there := e.Find(name).RRset(t)
	if !there && len(want) == 0 || there && sameRData(set, want) {
		return nil
	}
	e.RemoveRRset(name, t)
	for _, data := range want {
		if _, err := e.Add(record(name, t, data)); err != nil {
			return err
		}
	}
	return nil
}

// record returns a record of a catalog. The TTL has no meaning (§4.1).
func record(name dns.Name, t dns.Type, data dns.RData) dns.Record {
	return dns.Record{Name: name, Type: t, Class: dns.ClassIN, Data: data}
}

func sameRData(set zone.RRset, want []dns.RData) bool {
	if set.Count() != len(want) {
		return false
	}
	for data := range set.RData() {
		if !slices.ContainsFunc(want, func(w dns.RData) bool { return string(w) == string(data) }) {
			return false
		}
	}
	return true
}

// setCustom makes want all custom properties of a node.
func (e *editing) setCustom(node dns.Name, want []Property) error {
	ext, err := node.Child("ext")
	if err != nil {
		return err
	}
	if e.hasBelow(ext) {
		e.removeBelow(ext)
	}
	for _, p := range want {
		name, err := p.Name.Rebase(dns.Root, ext)
		if err != nil {
			return fmt.Errorf("custom property %s: %w", p.Name, err)
		}
		if _, err := e.Add(record(name, p.Type, p.Data)); err != nil {
			return err
		}
	}
	return nil
}

func (e *editing) hasBelow(name dns.Name) bool { return !e.Find(name).IsZero() }

// removeBelow removes a name and all below it.
func (e *editing) removeBelow(name dns.Name) {
	var names []dns.Name
	for n := range e.View().Subtree([]byte(name.Wire())) {
		names = append(names, n.Name())
	}
	for _, n := range names {
		e.RemoveName(n)
	}
}

// rename moves all that is at and below a node to another label of the zone.
func (e *editing) rename(node, name dns.Name) error {
	to, err := e.zones.Child(e.newLabel(name))
	if err != nil {
		return err
	}
	if to == node {
		return fmt.Errorf("resetting %s: its new label is the one that it has", name)
	}
	var records []dns.Record
	for n := range e.View().Subtree([]byte(node.Wire())) {
		for r := range n.Records() {
			r.Data = slices.Clone(r.Data)
			records = append(records, r)
		}
	}
	e.removeBelow(node)
	for _, r := range records {
		if r.Name, err = r.Name.Rebase(node, to); err != nil {
			return err
		}
		if _, err := e.Add(r); err != nil {
			return err
		}
	}
	return nil
}
