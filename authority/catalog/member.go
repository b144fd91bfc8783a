package catalog

import (
	"slices"
	"strings"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// Member is a zone that a catalog lists, with the properties that RFC 9432 gives
// a meaning to.
type Member struct {
	Zone     dns.Name // folded
	Label    string   // the unique label of its node, folded (§4.1)
	Groups   []string // values of the group property, none twice (§4.3.2)
	NewOwner dns.Name // the catalog that may take it over (coo, §4.3.1), folded; the zero Name: none
}

// equal reports whether nothing about a member has changed.
func (m Member) equal(o Member) bool {
	return m.Zone == o.Zone && m.Label == o.Label && m.NewOwner == o.NewOwner && slices.Equal(m.Groups, o.Groups)
}

// Settings say how one catalog is consumed. Its members are in its own view.
type Settings struct {
	Catalog   zone.ID
	Templates Templates
	Keep      time.Duration // for which the data of a removed member stays on the disk; 0: it goes at once (§5.3)
	Most      int           // members; a version with more is not followed; 0: any number
}

// Templates says by which template of the configuration a member is served.
type Templates struct {
	Groups  map[string]string // group -> template
	Default string            // of members without a group
	Unknown string            // of members whose groups are all not in Groups; empty: Default
	Strict  bool              // members whose groups are all not in Groups are not served at all
}

// For returns the template of a member. Of several groups the first that is known
// counts, in the order of the records; ok is false for a member that is not to be
// served (§4.3.2 leaves to the consumer what groups mean).
func (t Templates) For(groups []string) (template string, ok bool) {
	for _, g := range groups {
		if name, known := t.Groups[g]; known {
			return name, true
		}
	}
	switch {
	case len(groups) == 0:
		return t.Default, true
	case t.Strict:
		return "", false
	case t.Unknown != "":
		return t.Unknown, true
	default:
		return t.Default, true
	}
}

// Kind is what is to be done with a zone.
type Kind uint8

// The kinds of an Action.
const (
	Add     Kind = iota + 1 // serve the zone; it is new
	Remove                  // end its service; it is the catalog's no more (§5.3)
	Reset                   // forget its data and state, and get it anew (§5.4, §5.6)
	Regroup                 // its groups have changed; its data stays
	Migrate                 // another catalog owns it now (§4.3.1); its data stays, if Action.Fresh is not set
)

var kindNames = [...]string{"none", "add", "remove", "reset", "regroup", "migrate"}

// String returns the kind in one word.
func (k Kind) String() string { return kindNames[k] }

// Action is one step from what a server serves to what the catalogs list.
type Action struct {
	Kind    Kind
	Zone    zone.ID
	Catalog zone.ID // that owns the zone from now on; with Remove: that owned it
	From    zone.ID // with Migrate: the catalog that owned it before
	Label   string
	Groups  []string
	Fresh   bool // data that is there from earlier must not be used
}

// String returns the action in one line.
func (a Action) String() string {
	s := a.Kind.String() + " " + a.Zone.String()
	if len(a.Groups) > 0 {
		s += " groups " + strings.Join(a.Groups, ",")
	}
	if a.Kind == Migrate {
		s += " from " + a.From.String()
	}
	s += " by " + a.Catalog.String()
	if a.Fresh {
		s += " fresh"
	}
	return s
}
