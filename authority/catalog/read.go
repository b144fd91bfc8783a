package catalog

import (
	"fmt"
	"slices"
	"strings"

	"onoma/dns"
	"onoma/zone"
)

// schema is the version of the format that there is (§4.2.1). Version 1 was a
// draft's, with other properties.
const schema = "2"

// What one member's groups may be. More than that is left out, so that a hostile
// catalog does not fill the memory with what is no group.
const (
	maxGroups   = 16
	maxGroupLen = 255
)

// maxFindings bounds what a bad catalog can make us say about it.
const maxFindings = 100

// Broken says why a zone is no catalog that could be followed (§5.1).
type Broken struct {
	Catalog  dns.Name
	Findings []zone.Finding
}

// Error names the first reasons.
func (b *Broken) Error() string {
	s := fmt.Sprintf("catalog %s is broken; its members stay as they were", b.Catalog)
	for i, f := range b.Findings {
		if i == 3 {
			return fmt.Sprintf("%s; and %d more findings", s, len(b.Findings)-i)
		}
		s += "; " + f.String()
	}
	return s
}

// Read returns the members of a catalog in canonical order of their labels, and
// what is odd about it. The error is a *Broken.
func Read(v *zone.Version) ([]Member, []zone.Finding, error) {
	r := newReader(v)
	r.version()
	var members []Member
	first := make(map[dns.Name]string)
	for n := range v.Subtree([]byte(r.zones.Wire())) {
		label, ok := r.memberLabel(n)
		if !ok {
			continue
		}
		m, ok := r.member(label)
		if !ok {
			continue
		}
		if other, twice := first[m.Zone]; twice {
			r.duplicate(m, other)
			continue
		}
		first[m.Zone] = m.Label
		members = append(members, m)
	}
	if err := r.err(); err != nil {
		return nil, nil, err
	}
	return members, r.odd, nil
}

// reader reads one version of a catalog.
type reader struct {
	v      *zone.Version
	zones  dns.Name // zones.$CATZ
	broken []zone.Finding
	odd    []zone.Finding
}

func newReader(v *zone.Version) *reader {
	zones, err := v.Origin().Fold().Child("zones")
	r := &reader{v: v, zones: zones}
	if err != nil {
		r.fault(v.Origin(), dns.TypeNone, "long-name", "the catalog's name leaves no room for members", "give the catalog a shorter name")
	}
	return r
}

func (r *reader) err() error {
	if len(r.broken) == 0 {
		return nil
	}
	return &Broken{r.v.Origin(), r.broken}
}

// fault notes why the catalog must not be processed.
func (r *reader) fault(name dns.Name, t dns.Type, code, text, cure string) {
	if len(r.broken) < maxFindings {
		r.broken = append(r.broken, zone.Finding{Severity: zone.Error, Code: code, Name: name, Type: t, Text: text, Cure: cure})
	}
}

// oddity notes what is left out.
func (r *reader) oddity(name dns.Name, t dns.Type, code, text, cure string) {
	if len(r.odd) < maxFindings {
		r.odd = append(r.odd, zone.Finding{Severity: zone.Warning, Code: code, Name: name, Type: t, Text: text, Cure: cure})
	}
}

// version checks the schema version, without which a zone is no catalog (§4.2.1).
func (r *reader) version() {
	name, err := r.v.Origin().Child("version")
	if err != nil {
		return // newReader has said so
	}
	set, ok := r.v.Find([]byte(name.Wire())).RRset(dns.TypeTXT)
	switch {
	case !ok:
		r.fault(name, dns.TypeTXT, "no-version", `there is no schema version, expected TXT "2"`, "check that this is a catalog zone")
	case set.Count() != 1:
		r.fault(name, dns.TypeTXT, "several-versions", "there are several schema versions, expected one", `keep TXT "2" alone`)
	case text(set.First()) != schema:
		r.fault(name, dns.TypeTXT, "unknown-version", fmt.Sprintf("the schema version is %q, expected %q", text(set.First()), schema),
			"have the producer make the format of RFC 9432")
	}
}

// text returns the character-strings of a TXT record put together (§4.3.2).
func text(rdata dns.RData) string {
	var b strings.Builder
	for s := range rdata.Strings() {
		b.WriteString(s)
	}
	return b.String()
}

// memberLabel returns the unique label of a node <label>.zones.$CATZ.
func (r *reader) memberLabel(n zone.Node) (string, bool) {
	var buf [dns.MaxNameLen]byte
	rel := n.AppendRelative(buf[:0])
	if len(rel) < 2 || len(rel) != 1+int(rel[0])+len("\x05zones") {
		return "", false
	}
	return string(dns.AppendFolded(nil, rel[1:1+int(rel[0])])), true
}

// under returns the name label.<parent>; ok is false where that is too long to exist.
func under(parent dns.Name, label string) (dns.Name, bool) {
	name, err := parent.Child(label)
	return name, err == nil
}

// member reads the node of a unique label; ok is false where it lists no zone.
func (r *reader) member(label string) (m Member, ok bool) {
	node, ok := under(r.zones, label)
	if !ok {
		return Member{}, false
	}
	zoneName, ok := r.target(node, "several-targets", "a member node")
	if !ok {
		return Member{}, false
	}
	m = Member{Zone: zoneName, Label: label}
	if name, ok := under(node, "coo"); ok {
		m.NewOwner, _ = r.target(name, "several-owners", "a change of ownership")
	}
	if name, ok := under(node, "group"); ok {
		m.Groups = r.groups(name)
	}
	return m, true
}

// target returns where the one PTR record of name leads. More than one makes the
// catalog broken: §4.1 for members, §4.3.1 for coo.
func (r *reader) target(name dns.Name, code, what string) (dns.Name, bool) {
	set, ok := r.v.Find([]byte(name.Wire())).RRset(dns.TypePTR)
	if !ok {
		return dns.Name{}, false
	}
	if set.Count() != 1 {
		r.fault(name, dns.TypePTR, code, fmt.Sprintf("%s has %d PTR records, expected one", what, set.Count()), "keep one of them")
		return dns.Name{}, false
	}
	return dns.RData(set.First()).Target(dns.TypePTR).Fold(), true
}

// groups returns the values of the group property; several are allowed (§4.3.2).
func (r *reader) groups(name dns.Name) (groups []string) {
	set, ok := r.v.Find([]byte(name.Wire())).RRset(dns.TypeTXT)
	if !ok {
		return nil
	}
	for rdata := range set.RData() {
		switch g := text(rdata); {
		case len(g) > maxGroupLen:
			r.oddity(name, dns.TypeTXT, "long-group", fmt.Sprintf("a group of more than %d octets is left out", maxGroupLen), "give it a short name")
		case len(groups) == maxGroups:
			r.oddity(name, dns.TypeTXT, "many-groups", fmt.Sprintf("only %d groups of a member count", maxGroups), "remove some")
			return groups
		case !slices.Contains(groups, g):
			groups = append(groups, g)
		}
	}
	return groups
}

// duplicate notes that two labels list one zone, which makes a catalog broken (§4.1).
func (r *reader) duplicate(m Member, other string) {
	node, _ := under(r.zones, m.Label)
	r.fault(node, dns.TypePTR, "duplicate-member", fmt.Sprintf("the zone %s is listed under the label %q, too", m.Zone, other), "keep one of them")
}
