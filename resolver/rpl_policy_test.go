package resolver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/resolver/policy"
)

// rplPolicy are the options of "server:" about policy.
var rplPolicy = map[string]func(h *policyHead, args []string){
	"access-control": (*policyHead).access,
	"define-tag":     func(h *policyHead, args []string) { h.tags = append(h.tags, args...) },
	"access-control-tag": func(h *policyHead, args []string) {
		v := h.view(args[0])
		v.Tags = h.ordered(strings.Fields(strings.Join(args[1:], " ")))
	},
	"access-control-tag-action": (*policyHead).tagAction,
	"access-control-tag-data":   (*policyHead).tagData,
	"access-control-view":       func(h *policyHead, args []string) { h.inView[args[0]] = args[1] },
	"local-zone":                (*policyHead).localZone,
	"local-data": func(h *policyHead, args []string) {
		h.plan.Data = append(h.plan.Data, h.record(strings.Join(args, " ")))
	},
	"local-zone-tag": func(h *policyHead, args []string) {
		h.zoneTags[dns.MustName(args[0])] = strings.Fields(strings.Join(args[1:], " "))
	},
	"local-zone-override": (*policyHead).override,
	"response-ip":         (*policyHead).responseIP,
	"response-ip-data":    (*policyHead).responseIPData,
	"private-address":     func(h *policyHead, args []string) { h.private = append(h.private, h.prefix(args[0])) },
	"private-domain":      func(h *policyHead, args []string) { h.allowed = append(h.allowed, dns.MustName(args[0])) },
	"dns64-prefix":        func(h *policyHead, args []string) { h.dns64.Prefixes = append(h.dns64.Prefixes, h.prefix(args[0])) },
	"dns64-synthall":      func(h *policyHead, args []string) { h.plan.DNS64All = !isNo(args) },
	"do-nat64":            func(h *policyHead, args []string) { h.cfg.NAT64 = policy.WellKnownPrefix },
}

// policyHead makes a PolicyPlan of a script's head.
type policyHead struct {
	t   *testing.T
	cfg *Config

	plan     PolicyPlan
	tags     []string
	inView   map[string]string // the name of the view, by client
	zoneTags map[dns.Name][]string
	private  []netip.Prefix
	allowed  []dns.Name
	dns64    policy.DNS64Options
	rules    []policy.AddressRule
}

// policyOf makes the policy of a head.
func (s *scenario) policyOf(t *testing.T, cfg *Config) {
	h := &policyHead{t: t, cfg: cfg, inView: map[string]string{}, zoneTags: map[dns.Name][]string{}}
	h.plan.Views = []ViewPlan{{Name: "default"}}
	for _, o := range s.head.options {
		if set := rplPolicy[o.name]; set != nil {
			set(h, o.args)
		}
	}
	for _, c := range s.clauses {
		switch c.kind {
		case "rpz":
			h.rpz(c, s.files)
		case "view":
			h.viewClause(c)
		}
	}
	h.finish()
	p, err := h.plan.Compile()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Policy = p
}

func (h *policyHead) finish() {
	var err error
	for i := range h.plan.Zones {
		h.plan.Zones[i].Tags = h.zoneTags[h.plan.Zones[i].Name]
	}
	if len(h.private) > 0 {
		if h.plan.Rebinding, err = policy.NewRebinding(policy.RebindingOptions{Private: h.private, Allowed: h.allowed}); err != nil {
			h.t.Fatal(err)
		}
	}
	if len(h.dns64.Prefixes) > 0 {
		if h.plan.DNS64, err = policy.NewDNS64(h.dns64); err != nil {
			h.t.Fatal(err)
		}
	}
	if len(h.rules) > 0 {
		z, err := policy.NewAddressZone(dns.MustName("response-ip."), h.rules)
		if err != nil {
			h.t.Fatal(err)
		}
		h.plan.RPZ = append(h.plan.RPZ, RPZPlan{Zone: z})
	}
	if len(h.plan.Access) > 0 { // what is not said is as Unbound has it: loopback may ask
		for _, text := range []string{"127.0.0.0/8", "::1/128"} {
			p := netip.MustParsePrefix(text)
			if !slices.ContainsFunc(h.plan.Access, func(e policy.Entry[policy.Access]) bool { return e.Prefix == p }) {
				h.plan.Access = append(h.plan.Access, policy.Entry[policy.Access]{Prefix: p, Value: policy.Allowed})
			}
		}
	}
}

var rplAccess = map[string]policy.Access{
	"allow": policy.Allowed, "allow_snoop": policy.Allowed, "allow_cookie": policy.Allowed, "allow_setrd": policy.AllowedSetRD, "refuse": policy.Refused,
	"deny": policy.Denied, "refuse_non_local": policy.LocalOnly, "deny_non_local": policy.LocalOnly,
}

func (h *policyHead) access(args []string) {
	p := h.prefix(args[0])
	h.plan.Access = slices.DeleteFunc(h.plan.Access, func(e policy.Entry[policy.Access]) bool { return e.Prefix == p })
	h.plan.Access = append(h.plan.Access, policy.Entry[policy.Access]{Prefix: p, Value: rplAccess[args[1]]})
}

func (h *policyHead) prefix(text string) netip.Prefix {
	p, err := prefixIn(text)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// view returns the view of clients, which is made where there is none.
func (h *policyHead) view(clients string) *ViewPlan {
	p := h.prefix(clients)
	for i := range h.plan.Views {
		if slices.Contains(h.plan.Views[i].Clients, p) {
			return &h.plan.Views[i]
		}
	}
	h.plan.Views = append(h.plan.Views, ViewPlan{
		Name: clients, Clients: []netip.Prefix{p}, TagKinds: map[string]policy.LocalKind{}, TagData: map[string][]dns.Record{},
	})
	return &h.plan.Views[len(h.plan.Views)-1]
}

// ordered returns tags in the order of their definition, which is the one in which they count.
func (h *policyHead) ordered(tags []string) (list []string) {
	for _, t := range strings.Fields(strings.Join(h.tags, " ")) {
		if slices.Contains(tags, t) {
			list = append(list, t)
		}
	}
	return list
}

func (h *policyHead) kind(text string) policy.LocalKind {
	k, ok := policy.ParseLocalKind(text)
	if !ok {
		h.t.Fatalf("kind %q of local zone", text)
	}
	return k
}

func (h *policyHead) tagAction(args []string) { h.view(args[0]).TagKinds[args[1]] = h.kind(args[2]) }

func (h *policyHead) tagData(args []string) {
	v := h.view(args[0])
	v.TagData[args[1]] = append(v.TagData[args[1]], h.record("tag.invalid. "+strings.Join(args[2:], " ")))
}

func (h *policyHead) record(text string) dns.Record {
	r, err := zonefile.NewReader(strings.NewReader(text+"\n"), zonefile.Options{Origin: dns.Root, DefaultTTL: 3600}).Next()
	if err != nil {
		h.t.Fatalf("record %q: %v", text, err)
	}
	return r
}

func (h *policyHead) localZone(args []string) {
	name := dns.MustName(args[0])
	if args[1] == "nodefault" {
		h.cfg.NotSpecial = append(h.cfg.NotSpecial, name)
		return
	}
	h.plan.Zones = append(h.plan.Zones, ZonePlan{LocalZone: policy.LocalZone{Name: name, Kind: h.kind(args[1])}})
}

func (h *policyHead) override(args []string) {
	for i := range h.plan.Zones {
		if z := &h.plan.Zones[i]; z.Name.Equal(dns.MustName(args[0])) {
			z.For = append(z.For, policy.Entry[policy.LocalKind]{Prefix: h.prefix(args[1]), Value: h.kind(args[2])})
		}
	}
}

func (h *policyHead) responseIP(args []string) {
	r := policy.AddressRule{Prefix: h.prefix(args[0])}
	r.Action = map[string]policy.Action{"deny": policy.Drop, "redirect": policy.Data, "refuse": policy.Refuse, "always_nxdomain": policy.NXDomain}[args[1]]
	h.rules = append(h.rules, r)
}

func (h *policyHead) responseIPData(args []string) {
	for i := range h.rules {
		if h.rules[i].Prefix == h.prefix(args[0]) {
			h.rules[i].Data = append(h.rules[i].Data, h.record("data.invalid. "+strings.Join(args[1:], " ")))
		}
	}
}

func (h *policyHead) viewClause(c *rplClause) {
	var of []*ViewPlan
	for client, name := range h.inView {
		if name == c.last("name", "") {
			of = append(of, h.view(client))
		}
	}
	for _, v := range of {
		v = h.view(v.Clients[0].String()) // the list may have moved
		v.First = c.last("view-first", "no") == "yes"
		for _, o := range c.options {
			switch o.name {
			case "local-zone":
				v.Zones = append(v.Zones, policy.LocalZone{Name: dns.MustName(o.args[0]), Kind: h.kind(o.args[1])})
			case "local-data":
				v.Data = append(v.Data, h.record(strings.Join(o.args, " ")))
			}
		}
	}
}

var rplOverrides = map[string]policy.Action{
	"": policy.None, "nxdomain": policy.NXDomain, "nodata": policy.NoData, "passthru": policy.Passthru, "drop": policy.Drop, "cname": policy.Data,
	"disabled": policy.Passthru, "tcp-only": policy.TCPOnly,
}

// rpz adds a policy zone.
func (h *policyHead) rpz(c *rplClause, files map[string][]string) {
	o := policy.ZoneOptions{Origin: dns.MustName(c.last("name", "")), Override: rplOverrides[c.last("rpz-action-override", "")]}
	o.Signal = c.last("rpz-signal-nxdomain-ra", "no") == "yes"
	if o.Override == policy.Data {
		o.Target = dns.MustName(c.last("rpz-cname-override", ""))
	}
	b, err := policy.NewZone(o)
	if err != nil {
		h.t.Fatal(err)
	}
	text := strings.Join(files[c.last("zonefile", "")], "\n") + "\n"
	r := zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: o.Origin, DefaultTTL: 3600})
	for {
		record, err := r.Next()
		if err != nil {
			break
		}
		if err := b.Add(record); err != nil {
			h.t.Fatal(err)
		}
	}
	z, err := b.Compile()
	if err != nil {
		h.t.Fatal(err)
	}
	if c.last("rpz-action-override", "") == "disabled" {
		return
	}
	h.plan.RPZ = append(h.plan.RPZ, RPZPlan{Zone: z, Tags: strings.Fields(c.last("tags", ""))})
}

// lacksPolicy says what of a clause about policy is not here; known is false where it is about something else.
func lacksPolicy(c *rplClause) (why string, known bool) {
	var has []string
	switch c.kind {
	case "rpz":
		has = []string{"name", "zonefile", "rpz-log", "rpz-log-name", "rpz-action-override", "rpz-cname-override", "rpz-signal-nxdomain-ra", "tags"}
	case "view":
		has = []string{"name", "local-zone", "local-data", "view-first"}
	default:
		return "", false
	}
	for _, o := range c.options {
		if !slices.Contains(has, o.name) {
			return fmt.Sprintf("the option %s of the clause %s", o.name, c.kind), true
		}
	}
	return "", true
}
