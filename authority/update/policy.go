package update

import (
	"net/netip"
	"slices"

	"onoma/dns"
	"onoma/transport"
)

// Policy says who may change what in a zone. The first rule that speaks of the
// client, the name, the type and the operation decides; where none does, the
// change is refused. The empty Policy refuses everything.
type Policy []Rule

// Rule grants or denies something.
type Rule struct {
	Deny bool
	Who  []Who // any of them; empty: nobody
	Match
	Name  dns.Name // that Match speaks of
	Types []Type   // empty: all but the [Protected] ones
	Ops   Ops      // 0: all

	MostRecords    int    // at one name, 0: any number
	MinTTL, MaxTTL uint32 // of what is added; MaxTTL 0: no bound
}

// Type is a type that a rule is for, and how many such records a name may have.
type Type struct {
	Type dns.Type // ANY: all types, the protected ones too
	Most int      // 0: any number
}

// Match is how a rule's name is compared with that of a change.
type Match uint8

// The ways to compare.
const (
	Zone      Match = iota // any name in the zone
	Exact                  // the name itself
	Subdomain              // the name and what is below it
	Wildcard               // what a wildcard record of the rule's name would match (RFC 4592)
	Self                   // the name of the key that the request is signed with
	SelfSub                // that name and what is below it
	SelfWild               // what is below that name
	Reverse                // the name in in-addr.arpa or ip6.arpa of the client's address, which has come over a connection
)

// Ops are the operations that a rule is for.
type Ops uint8

// The operations.
const (
	Add    Ops = 1 << iota // a record comes, or takes the place of one
	Delete                 // records go
)

// Who is a client: by its address, by its key, or by both.
type Who struct {
	Prefix netip.Prefix // the zero Prefix: any address
	Key    dns.Name     // the zero Name: any; one that begins with *. is for all names below
	Kind   Kind         // of signature
}

// Kind is how a request must be signed.
type Kind uint8

// The kinds.
const (
	AnyKind Kind = iota // or not at all, where there is no key's name
	TSIG                // RFC 8945
	SIG0                // RFC 2931
	Signed              // one or the other
)

// Client is who asks.
type Client struct {
	Addr  netip.Addr
	Proto transport.Proto
	Key   dns.Name // of TSIG or SIG(0), the zero Name: not signed
	Kind  Kind     // TSIG or SIG0, where there is a key
}

// Protected reports whether a rule has to name the type for it to be granted: the
// zone's apex and its chain of trust depend on these.
func Protected(t dns.Type) bool {
	switch t {
	case dns.TypeSOA, dns.TypeNS, dns.TypeDS, dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY, dns.TypeRRSIG,
		dns.TypeNSEC, dns.TypeNSEC3, dns.TypeNSEC3PARAM, dns.TypeZONEMD:
		return true
	}
	return false
}

// Allows reports whether w describes the client.
func (w *Who) Allows(c *Client) bool {
	if w.Prefix.IsValid() && !w.Prefix.Contains(c.Addr) {
		return false
	}
	signed := !c.Key.IsZero()
	switch w.Kind {
	case TSIG, SIG0:
		if !signed || w.Kind != c.Kind {
			return false
		}
	case Signed:
		if !signed {
			return false
		}
	}
	switch {
	case w.Key.IsZero():
		return true
	case !signed:
		return false
	case w.Key.IsWildcard():
		return isBelow(c.Key, w.Key.Parent())
	}
	return w.Key.Equal(c.Key)
}

// isBelow reports whether n lies below parent.
func isBelow(n, parent dns.Name) bool { return n.Len() > parent.Len() && n.IsSubdomainOf(parent) }

// Find returns the first rule that speaks of the client, the name, the type and
// the operation, nil where there is none.
func (p Policy) Find(c *Client, name dns.Name, t dns.Type, op Ops) *Rule {
	for i := range p {
		r := &p[i]
		if (r.Ops == 0 || r.Ops&op != 0) && r.hasType(t) && r.speaksOf(c) && r.matches(c, name) {
			return r
		}
	}
	return nil
}

// grants reports whether r, which Find has returned, allows it.
func (r *Rule) grants() bool { return r != nil && !r.Deny }

// mayDelete reports whether any rule lets the client delete anything of the name.
func (p Policy) mayDelete(c *Client, name dns.Name) bool {
	return slices.ContainsFunc(p, func(r Rule) bool {
		return !r.Deny && (r.Ops == 0 || r.Ops&Delete != 0) && r.speaksOf(c) && r.matches(c, name)
	})
}

// knows reports whether any rule grants anything to the client. To who is not
// known nothing is told.
func (p Policy) knows(c *Client) bool {
	return slices.ContainsFunc(p, func(r Rule) bool { return !r.Deny && r.speaksOf(c) })
}

// usesSIG0 reports whether any rule is for clients that sign with public keys.
func (p Policy) usesSIG0() bool {
	return slices.ContainsFunc(p, func(r Rule) bool {
		return slices.ContainsFunc(r.Who, func(w Who) bool { return w.Kind == SIG0 || w.Kind == Signed })
	})
}

func (r *Rule) speaksOf(c *Client) bool {
	for i := range r.Who {
		if r.Who[i].Allows(c) {
			return true
		}
	}
	return false
}

func (r *Rule) hasType(t dns.Type) bool {
	if len(r.Types) == 0 {
		return !Protected(t)
	}
	for _, x := range r.Types {
		if x.Type == t || x.Type == dns.TypeANY {
			return true
		}
	}
	return false
}

// most returns how many records of the type a name may have, 0 for any number.
func (r *Rule) most(t dns.Type) int {
	for _, x := range r.Types {
		if x.Type == t || x.Type == dns.TypeANY {
			return x.Most
		}
	}
	return 0
}

func (r *Rule) matches(c *Client, name dns.Name) bool {
	switch r.Match {
	case Zone:
		return true
	case Exact:
		return name.Equal(r.Name)
	case Subdomain:
		return name.IsSubdomainOf(r.Name)
	case Wildcard:
		return r.Name.IsWildcard() && isBelow(name, r.Name.Parent())
	case Self:
		return !c.Key.IsZero() && name.Equal(c.Key)
	case SelfSub:
		return !c.Key.IsZero() && name.IsSubdomainOf(c.Key)
	case SelfWild:
		return !c.Key.IsZero() && isBelow(name, c.Key)
	case Reverse:
		return c.Proto != transport.UDP && name.Equal(reverseOf(c.Addr))
	}
	return false
}

// reverseOf returns the name of the PTR records of an address (RFC 1035 §3.5,
// RFC 3596 §2.5).
func reverseOf(a netip.Addr) dns.Name {
	const digits = "0123456789abcdef"
	a = a.Unmap()
	var wire []byte
	if a.Is4() {
		b := a.As4()
		for i := len(b) - 1; i >= 0; i-- {
			at := len(wire)
			wire = appendDecimal(append(wire, 0), b[i])
			wire[at] = byte(len(wire) - at - 1)
		}
		wire = append(wire, "\x07in-addr\x04arpa\x00"...)
	} else {
		b := a.As16()
		for i := len(b) - 1; i >= 0; i-- {
			wire = append(wire, 1, digits[b[i]&0xF], 1, digits[b[i]>>4])
		}
		wire = append(wire, "\x03ip6\x04arpa\x00"...)
	}
	name, _ := dns.NameFromWire(wire)
	return name
}

func appendDecimal(dst []byte, v byte) []byte {
	if v >= 100 {
		dst = append(dst, '0'+v/100)
	}
	if v >= 10 {
		dst = append(dst, '0'+v/10%10)
	}
	return append(dst, '0'+v%10)
}
