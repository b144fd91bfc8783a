package resolver

import (
	"fmt"
	"net/netip"
	"slices"

	"onoma/dns"
	"onoma/resolver/policy"
)

// PolicyPlan is a policy as an operator states it: lists for all or for those with a tag, and views of clients. [PolicyPlan.Compile] makes
// the Policy of it.
//
// A list without tags is for all views, one with tags for those that have one of them.
type PolicyPlan struct {
	Access []policy.Entry[policy.Access] // none: as Config.Allow has it
	Zones  []ZonePlan                    // local zones
	Data   []dns.Record                  // local data
	RPZ    []RPZPlan                     // in the order in which they are heard
	Blocks func(hears func(tags []string) bool) (*policy.Blocks, error)
	Views  []ViewPlan // one without Clients is for all that no other one has

	Rebinding *policy.Rebinding
	DNS64     *policy.DNS64
	DNS64All  bool
	Log       bool
}

// ZonePlan is a local zone, with tags, and with another kind for some clients.
type ZonePlan struct {
	policy.LocalZone
	Tags []string
	For  []policy.Entry[policy.LocalKind]
}

// RPZPlan is a policy zone with tags.
type RPZPlan struct {
	*policy.Zone
	Tags []string
}

// ViewPlan are clients and what is special about them.
type ViewPlan struct {
	Name     string
	Clients  []netip.Prefix
	Tags     []string                    // in the order in which they count
	TagKinds map[string]policy.LocalKind // instead of the kind of a local zone with that tag
	TagData  map[string][]dns.Record     // instead of the data of a local zone with that tag, whoever owns them
	Zones    []policy.LocalZone          // its own
	Data     []dns.Record                // its own
	First    bool                        // where Zones and Data say nothing, those of all are heard
	NoDNS64  bool
}

// Compile makes the Policy.
func (p *PolicyPlan) Compile() (*Policy, error) {
	out := &Policy{}
	if len(p.Access) > 0 {
		var err error
		if out.Access, err = policy.NewTable(p.Access); err != nil {
			return nil, fmt.Errorf("access list: %w", err)
		}
	}
	c := planCompiler{plan: p, blocks: map[string]*policy.Blocks{}}
	prefixes, err := c.prefixes()
	if err != nil {
		return nil, err
	}
	var entries []policy.Entry[*Rules]
	for _, prefix := range prefixes {
		rules, err := c.rules(prefix)
		if err != nil {
			return nil, err
		}
		entries = append(entries, policy.Entry[*Rules]{Prefix: prefix, Value: rules})
	}
	if out.Clients, err = policy.NewTable(entries); err != nil {
		return nil, err
	}
	out.Others, err = c.rules(netip.Prefix{})
	return out, err
}

type planCompiler struct {
	plan   *PolicyPlan
	blocks map[string]*policy.Blocks // by the lists that are heard
}

// prefixes returns those that something is said about.
func (c *planCompiler) prefixes() (list []netip.Prefix, err error) {
	seen := map[netip.Prefix]string{}
	for _, v := range c.plan.Views {
		for _, p := range v.Clients {
			if other, ok := seen[p.Masked()]; ok {
				return nil, fmt.Errorf("clients %v are in the views %s and %s, expected one", p, other, v.Name)
			}
			seen[p.Masked()] = v.Name
			list = append(list, p.Masked())
		}
	}
	for _, z := range c.plan.Zones {
		for _, e := range z.For {
			if p := e.Prefix.Masked(); !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	return list, nil
}

// covers says whether all of a prefix lies in p; nothing does in the zero Prefix but itself.
func covers(p, prefix netip.Prefix) bool {
	return p.IsValid() && prefix.IsValid() && p.Bits() <= prefix.Bits() && p.Contains(prefix.Addr())
}

// view returns the view of the clients of a prefix.
func (c *planCompiler) view(prefix netip.Prefix) *ViewPlan {
	best, bits := &ViewPlan{Name: "default"}, -1
	for i := range c.plan.Views {
		v := &c.plan.Views[i]
		if len(v.Clients) == 0 && bits < 0 {
			best = v
		}
		for _, p := range v.Clients {
			if covers(p, prefix) && p.Bits() > bits {
				best, bits = v, p.Bits()
			}
		}
	}
	return best
}

// rules makes those of the clients of a prefix; nil where there are none.
func (c *planCompiler) rules(prefix netip.Prefix) (*Rules, error) {
	v := c.view(prefix)
	view := &policy.View{Name: v.Name}
	for _, z := range c.plan.RPZ {
		if v.hears(z.Tags) {
			view.RPZ = append(view.RPZ, z.Zone)
		}
	}
	var err error
	if view.Local, err = c.local(v, prefix); err != nil {
		return nil, fmt.Errorf("view %s: %w", v.Name, err)
	}
	if view.Blocks, err = c.blocksOf(v); err != nil {
		return nil, err
	}
	rules := &Rules{View: view, Rebinding: c.plan.Rebinding, DNS64: c.plan.DNS64, DNS64All: c.plan.DNS64All, Log: c.plan.Log}
	if v.NoDNS64 {
		rules.DNS64 = nil
	}
	if !view.HeedsAnswers() && rules.Rebinding == nil && rules.DNS64 == nil {
		return nil, nil
	}
	return rules, nil
}

// hears says whether a list with these tags is for the view.
func (v *ViewPlan) hears(tags []string) bool {
	return len(tags) == 0 || slices.ContainsFunc(tags, func(t string) bool { return slices.Contains(v.Tags, t) })
}

// blocksOf compiles the block lists that a view hears, once for all views that hear the same.
func (c *planCompiler) blocksOf(v *ViewPlan) (*policy.Blocks, error) {
	if c.plan.Blocks == nil {
		return nil, nil
	}
	key := ""
	for _, t := range slices.Sorted(slices.Values(v.Tags)) {
		key += t + "\x00"
	}
	if b, ok := c.blocks[key]; ok {
		return b, nil
	}
	b, err := c.plan.Blocks(v.hears)
	if err != nil {
		return nil, err
	}
	c.blocks[key] = b
	return b, nil
}

// local compiles the local zones and data that the clients of a prefix in a view hear.
func (c *planCompiler) local(v *ViewPlan, prefix netip.Prefix) (*policy.Local, error) {
	zones, data := slices.Clone(v.Zones), slices.Clone(v.Data)
	if v.First || len(v.Zones)+len(v.Data) == 0 {
		theirs, records := c.common(v, prefix)
		own := func(name dns.Name) bool {
			return slices.ContainsFunc(v.Zones, func(z policy.LocalZone) bool { return name.IsSubdomainOf(z.Name) }) ||
				slices.ContainsFunc(v.Data, func(r dns.Record) bool { return name.Equal(r.Name) })
		}
		zones = append(zones, slices.DeleteFunc(theirs, func(z policy.LocalZone) bool { return own(z.Name) })...)
		data = append(data, slices.DeleteFunc(records, func(r dns.Record) bool { return own(r.Name) })...)
	}
	if len(zones)+len(data) == 0 {
		return nil, nil
	}
	return policy.NewLocal(zones, data)
}

// common returns what the local zones of all are for the clients of a prefix in a view. The data of a zone that is not for them is
// not, either.
func (c *planCompiler) common(v *ViewPlan, prefix netip.Prefix) (zones []policy.LocalZone, data []dns.Record) {
	replaced := map[dns.Name]bool{}
	for i := range c.plan.Zones {
		z := &c.plan.Zones[i]
		if !v.hears(z.Tags) {
			replaced[z.Name.Fold()] = true
			continue
		}
		kind, records := z.asFor(v, prefix)
		if records != nil {
			replaced[z.Name.Fold()] = true
			data = append(data, records...)
		}
		zones = append(zones, policy.LocalZone{Name: z.Name, Kind: kind})
	}
	for _, r := range c.plan.Data {
		if !replaced[c.zoneOf(r.Name)] {
			data = append(data, r)
		}
	}
	return zones, data
}

// zoneOf returns the local zone that data belong to; the zero Name where they have none.
func (c *planCompiler) zoneOf(name dns.Name) (zone dns.Name) {
	for i := range c.plan.Zones {
		z := c.plan.Zones[i].Name
		if name.IsSubdomainOf(z) && (zone.IsZero() || z.NumLabels() > zone.NumLabels()) {
			zone = z.Fold()
		}
	}
	return zone
}

// asFor returns the kind of a zone, and the data if they are others than its own, for the clients of a prefix in a view.
func (z *ZonePlan) asFor(v *ViewPlan, prefix netip.Prefix) (kind policy.LocalKind, data []dns.Record) {
	kind = z.Kind
	isSet := false
	for _, tag := range v.Tags {
		if !slices.Contains(z.Tags, tag) {
			continue
		}
		if k, ok := v.TagKinds[tag]; ok && !isSet {
			kind, isSet = k, true
		}
		for _, r := range v.TagData[tag] {
			r.Name = z.Name
			data = append(data, r)
		}
		if data != nil {
			break
		}
	}
	bits := -1
	for _, e := range z.For {
		if covers(e.Prefix, prefix) && e.Prefix.Bits() > bits {
			kind, bits = e.Value, e.Prefix.Bits()
		}
	}
	return kind, data
}
