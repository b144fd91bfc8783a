package delegation

import (
	"context"
	"fmt"
	"slices"

	"onoma/dns"
	"onoma/zone"
)

// Delegation is what a parent has of a child.
type Delegation struct {
	Child dns.Name
	NS    []dns.Record
	DS    []dns.Record
	Glue  []dns.Record // A and AAAA of the name servers at or below the child
}

// read returns a version's delegation of child; ok is false where it has none.
func read(v *zone.Version, child dns.Name) (d Delegation, ok bool) {
	node := v.Find([]byte(child.Wire()))
	if !node.IsCut() {
		return d, false
	}
	d.Child = node.Name()
	d.NS, d.DS = recordsOf(node, dns.TypeNS), recordsOf(node, dns.TypeDS)
	for _, ns := range d.NS {
		host := nameOf(ns.Data)
		if !host.IsSubdomainOf(child) {
			continue
		}
		for _, t := range glueTypes {
			d.Glue = append(d.Glue, recordsOf(v.Find([]byte(host.Wire())), t)...)
		}
	}
	return d, true
}

func recordsOf(n zone.Node, t dns.Type) []dns.Record {
	set, ok := n.RRset(t)
	if n.IsZero() || !ok {
		return nil
	}
	var out []dns.Record
	for data := range set.RData() {
		out = append(out, dns.Record{Name: n.Name(), Type: t, Class: dns.ClassIN, TTL: set.TTL(), Data: slices.Clone(dns.RData(data))})
	}
	return out
}

// Order is what is to change of one delegation: the records that go, and those that come.
type Order struct {
	Parent zone.ID
	Was    Delegation // as it was looked at; where it is another one by now, the order is void
	Remove []dns.Record
	Add    []dns.Record
	Why    string // in one sentence, for the history
}

// Keeper makes the change of an order. It returns an error that is zone.ErrConflict
// where the delegation is not as it was any more.
type Keeper func(context.Context, Order) (zone.Receipt, error)

// replace notes in o that a set of records is to be another one.
func (o *Order) replace(was, is []dns.Record) {
	has := func(list []dns.Record, r dns.Record) bool {
		return slices.ContainsFunc(list, func(x dns.Record) bool { return sameRecords([]dns.Record{x}, []dns.Record{r}) })
	}
	for _, r := range was {
		if !has(is, r) {
			o.Remove = append(o.Remove, r)
		}
	}
	for _, r := range is {
		if !has(was, r) {
			o.Add = append(o.Add, r)
		}
	}
}

// Change returns the order as a change of the parent's zone.
func (o Order) Change() zone.Change {
	return zone.Change{
		Zone: o.Parent,
		By:   zone.Author{Door: zone.DoorDelegation, Name: "child:" + o.Was.Child.String(), Comment: o.Why},
		Edit: o.edit,
	}
}

// edit makes the change where the delegation is still what was looked at.
func (o Order) edit(e *zone.Editor) error {
	now, ok := read(e.View(), o.Was.Child)
	if !ok || !sameRecords(now.NS, o.Was.NS) || !sameRecords(now.DS, o.Was.DS) || !sameRecords(now.Glue, o.Was.Glue) {
		return fmt.Errorf("the delegation of %s: %w", o.Was.Child, zone.ErrConflict)
	}
	for _, r := range o.Remove {
		e.Remove(r)
	}
	for _, r := range o.Add {
		if _, err := e.Add(r); err != nil {
			return fmt.Errorf("adding %s: %w", r, err)
		}
	}
	return nil
}

// dsRecords makes records of a DS set that is to be: with the TTL of the one that is, or else of the NS set (RFC 4035 §2.4).
func dsRecords(was Delegation, list []dns.DS, ttl uint32) []dns.Record {
	switch {
	case len(was.DS) > 0:
		ttl = was.DS[0].TTL
	case ttl == 0 && len(was.NS) > 0:
		ttl = was.NS[0].TTL
	}
	var out []dns.Record
	for _, ds := range list {
		out = append(out, dns.Record{Name: was.Child, Type: dns.TypeDS, Class: dns.ClassIN, TTL: ttl, Data: ds.RData()})
	}
	return out
}

// nsRecords makes records of an NS set that is to be. The parent's TTL stays: it is the
// parent's to say for how long resolvers come back to it.
func nsRecords(was Delegation, set []dns.RData) []dns.Record {
	var out []dns.Record
	for _, data := range set {
		out = append(out, dns.Record{Name: was.Child, Type: dns.TypeNS, Class: dns.ClassIN, TTL: was.NS[0].TTL, Data: data})
	}
	return out
}

// glueRecords gives glue that is to be the TTL of the delegation.
func glueRecords(was Delegation, glue []dns.Record) []dns.Record {
	out := slices.Clone(glue)
	for i := range out {
		out[i].TTL = was.NS[0].TTL
	}
	return out
}

// spare takes out of the records that go the glue of hosts that other delegations lead
// to as well: their sibling glue (RFC 9471 §2.2).
func (o *Order) spare(v *zone.Version) {
	leaving := make(map[dns.Name]bool)
	for _, r := range o.Remove {
		if r.Type == dns.TypeA || r.Type == dns.TypeAAAA {
			leaving[r.Name.Fold()] = true
		}
	}
	for _, r := range o.Add {
		delete(leaving, r.Name.Fold()) // it gets other addresses, and so may they
	}
	if len(leaving) == 0 {
		return
	}
	used := usedBeside(v, o.Was.Child, leaving)
	o.Remove = slices.DeleteFunc(o.Remove, func(r dns.Record) bool { return used[r.Name.Fold()] })
}

// usedBeside returns which of the hosts other delegations than child's name. Equal NS
// sets are looked at once.
func usedBeside(v *zone.Version, child dns.Name, hosts map[dns.Name]bool) map[dns.Name]bool {
	used := make(map[dns.Name]bool)
	seen := make(map[uint32]bool)
	for n := range v.Nodes() {
		set, ok := n.RRset(dns.TypeNS)
		if !ok || set.ID() != 0 && seen[set.ID()] || n.Name().Equal(child) {
			continue
		}
		seen[set.ID()] = true
		for data := range set.RData() {
			if host := nameOf(data).Fold(); hosts[host] {
				used[host] = true
			}
		}
	}
	return used
}
