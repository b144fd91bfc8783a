package links

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"onoma/dns"
)

// Plan says whom to ask for which names.
type Plan struct {
	Default []Server // for all that no domain is for; none: nothing says
	Domains []Domain // in the order of their names
	Search  []dns.Name
}

// Domain is a domain whose names the servers of some links know.
type Domain struct {
	Name    dns.Name
	Servers []Server
}

// PlanOf makes a Plan of links. The root among the domains of a link (as ~.) makes
// its servers those for everything, in the place of all others'.
func PlanOf(list []Link) Plan {
	var p Plan
	for _, l := range list {
		for _, name := range l.Search {
			if !name.IsRoot() && !slices.ContainsFunc(p.Search, name.Equal) {
				p.Search = append(p.Search, name)
			}
		}
		if len(l.Servers) == 0 {
			continue
		}
		for _, name := range slices.Concat(l.Search, l.Only) {
			p.add(name, l.Servers)
		}
	}
	if i := slices.IndexFunc(p.Domains, func(d Domain) bool { return d.Name.IsRoot() }); i >= 0 {
		p.Default = p.Domains[i].Servers
		p.Domains = slices.Delete(p.Domains, i, i+1)
	} else {
		for _, l := range list {
			if l.Default {
				p.Default = together(p.Default, l.Servers)
			}
		}
	}
	slices.SortFunc(p.Domains, func(a, b Domain) int { return a.Name.Compare(b.Name) })
	return p
}

func (p *Plan) add(name dns.Name, servers []Server) {
	for i := range p.Domains {
		if d := &p.Domains[i]; d.Name.Equal(name) {
			d.Servers = together(d.Servers, servers)
			return
		}
	}
	p.Domains = append(p.Domains, Domain{name, slices.Clone(servers)})
}

// together appends the servers that are not in the list yet.
func together(list, more []Server) []Server {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// Equal reports whether two plans are the same.
func (p Plan) Equal(o Plan) bool {
	return slices.Equal(p.Default, o.Default) && slices.EqualFunc(p.Search, o.Search, dns.Name.Equal) &&
		slices.EqualFunc(p.Domains, o.Domains, func(a, b Domain) bool { return a.Name.Equal(b.Name) && slices.Equal(a.Servers, b.Servers) })
}

// String tells the plan in one line.
func (p Plan) String() string {
	text := "all names: " + serverTexts(p.Default)
	for _, d := range p.Domains {
		text += fmt.Sprintf("; %s %s", d.Name, serverTexts(d.Servers))
	}
	return text
}

func serverTexts(list []Server) string {
	if len(list) == 0 {
		return "nobody"
	}
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = s.Addr.String()
		if s.Name != "" {
			texts[i] += "#" + s.Name
		}
	}
	return strings.Join(texts, ", ")
}

// maxSearch is what the C library reads of a list of domains to search.
const maxSearch = 32

// ResolvConf is a file like resolv.conf(5) for programs that are to ask at addr,
// with the domains to search. Answers from there may be believed to be validated
// (trust-ad): nobody else sees them.
func (p Plan) ResolvConf(addr netip.Addr, validates bool) []byte {
	var b strings.Builder
	b.WriteString("# Written by onoma resolver --local; what is changed here is lost.\n")
	fmt.Fprintf(&b, "nameserver %s\noptions edns0", addr)
	if validates {
		b.WriteString(" trust-ad")
	}
	b.WriteByte('\n')
	if len(p.Search) > 0 {
		b.WriteString("search")
		for _, name := range p.Search[:min(len(p.Search), maxSearch)] {
			b.WriteString(" " + strings.TrimSuffix(name.String(), "."))
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}
