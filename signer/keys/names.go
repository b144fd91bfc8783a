package keys

import (
	"fmt"
	"slices"
)

var (
	stateNames  = []string{"hidden", "rumoured", "omnipresent", "unretentive"}
	recordNames = []string{"DNSKEY", "ZRRSIG", "KRRSIG", "DS"}
	roleNames   = []string{"none", "KSK", "ZSK", "CSK"}
	denialNames = []string{"none", "nsec", "nsec3", "compact"}
)

func (s State) String() string      { return name(stateNames, int(s)) }
func (r Record) String() string     { return name(recordNames, int(r)) }
func (r Role) String() string       { return name(roleNames, int(r)) }
func (d DenialKind) String() string { return name(denialNames, int(d)) }

// MarshalText and UnmarshalText make them words in JSON.
func (s State) MarshalText() ([]byte, error)       { return []byte(s.String()), nil }
func (s *State) UnmarshalText(b []byte) error      { return parse(stateNames, b, s) }
func (r Record) MarshalText() ([]byte, error)      { return []byte(r.String()), nil }
func (r *Record) UnmarshalText(b []byte) error     { return parse(recordNames, b, r) }
func (r Role) MarshalText() ([]byte, error)        { return []byte(r.String()), nil }
func (r *Role) UnmarshalText(b []byte) error       { return parse(roleNames, b, r) }
func (d DenialKind) MarshalText() ([]byte, error)  { return []byte(d.String()), nil }
func (d *DenialKind) UnmarshalText(b []byte) error { return parse(denialNames, b, d) }

func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown-%d", i)
}

func parse[T ~uint8](names []string, text []byte, to *T) error {
	i := slices.Index(names, string(text))
	if i < 0 {
		return fmt.Errorf("%q is none of %q", text, names)
	}
	*to = T(i)
	return nil
}

// The names of RFC 7583 §3.1 for how far a key is.
const (
	Generated = "generated" // made, nothing of it is published
	Published = "published" // on its way into all caches
	Ready     = "ready"     // in all caches, not in use
	Active    = "active"    // signs
	Retired   = "retired"   // replaced; needed for what is cached
	Dead      = "dead"      // not needed any more, on its way out of all caches
	Gone      = "removed"   // nowhere to be seen
)

// Phase returns the key's name of RFC 7583.
func (k *Key) Phase() string {
	d, z := k.Records[DNSKEY].State, k.Records[ZRRSIG].State
	signs := k.signs()
	switch {
	case !k.Removed.IsZero():
		return Gone
	case k.stays() && signs:
		return Active
	case k.stays() && k.ready() && k.Records[DS].State != Rumoured:
		return Ready
	case k.stays() && d == Hidden && z == Hidden && k.Records[DS].State == Hidden:
		return Generated
	case k.stays():
		return Published
	case d == Unretentive || d == Hidden:
		return Dead
	case k.Role == KSK && (k.Records[DS].State == Rumoured || k.Records[DS].State == Omnipresent), k.Role != KSK && signs:
		return Active // until its successor takes over
	}
	return Retired
}

// signs says whether the key signs what it is for: the zone, or for a KSK the DNSKEY set. One that stands by is there for later.
func (k *Key) signs() bool {
	if k.Standby {
		return false
	}
	of := KRRSIG
	if k.Role&ZSK != 0 {
		of = ZRRSIG
	}
	s := k.Records[of].State
	return s == Rumoured || s == Omnipresent
}

// ready: all caches that have a DNSKEY set have one with this key.
func (k *Key) ready() bool { return k.Records[DNSKEY].State == Omnipresent }

// label names a key for people.
func (k *Key) label() string {
	if k.planned > 0 {
		return fmt.Sprintf("new %v #%d (algorithm %d)", k.Role, k.planned, k.Algorithm)
	}
	return fmt.Sprintf("%v %d (algorithm %d)", k.Role, k.Tag, k.Algorithm)
}
