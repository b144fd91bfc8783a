package dnssec

import "onoma/dns"

// Proof is what a Denial says of a claim.
type Proof uint8

// What comes of a claim. Of these, a validator takes Proved for secure, OptOut and
// TooMany for insecure, and all others for bogus.
const (
	Unproved  Proof = iota // the records do not show it, or show the contrary
	Proved                 // it is so
	NoName                 // and more than was claimed: the name does not exist at all (RFC 9824 §3.1)
	OptOut                 // but for delegations that are not signed (RFC 5155 §6)
	TooMany                // the hashes are iterated too often to be computed (RFC 9276 §3.2)
	Exhausted              // the work that the caller allows is done
)

// String says it for people.
func (p Proof) String() string {
	return [...]string{
		"not proved", "proved", "proved: there is no such name", "in a span that opts out",
		"NSEC3 with too many iterations", "too much work",
	}[p]
}

// MaxIterations is how often a hash may be iterated: as of 2021 no validator has
// been lenient with more than 150, and RFC 9276 §3.1 wants zones to have 0.
const MaxIterations = 150

// Denial is what the NSEC or NSEC3 records of one message say about a zone. The
// records are verified by its keys before they come here.
//
// A Denial remembers the hashes that it made; it belongs to one goroutine.
type Denial struct {
	zone    dns.Name
	nsec    []nsecOf
	nsec3   []nsec3Of
	param   dns.NSEC3PARAM
	tooMany bool
	budget  *int
	hashes  map[dns.Name]string
}

// nsecOf is an NSEC with its owner.
type nsecOf struct {
	owner dns.Name
	dns.NSEC
}

// NewDenial takes the sets that are NSEC or NSEC3 and leaves out what says nothing
// about the zone. budget is how many rounds of SHA-1 may be made, over all that
// share it; each hash takes them off.
func NewDenial(zone dns.Name, sets []RRset, budget *int) *Denial {
	d := &Denial{zone: zone, budget: budget, hashes: map[dns.Name]string{}}
	for _, s := range sets {
		for _, rd := range s.RData {
			switch s.Type {
			case dns.TypeNSEC:
				d.addNSEC(s.Owner, rd)
			case dns.TypeNSEC3:
				d.addNSEC3(s.Owner, rd)
			}
		}
	}
	return d
}

// IsEmpty reports whether no record says anything.
func (d *Denial) IsEmpty() bool { return len(d.nsec) == 0 && len(d.nsec3) == 0 && !d.tooMany }

// Name is the proof that name does not exist and no wildcard stands for it: an
// answer of NXDOMAIN.
func (d *Denial) Name(name dns.Name) Proof {
	if len(d.nsec) > 0 {
		return d.noName(name)
	}
	return d.noHashedName(name)
}

// Type is the proof that name, or the wildcard that stands for it, has no records
// of type t and no CNAME: an answer without data.
func (d *Denial) Type(name dns.Name, t dns.Type) Proof {
	if len(d.nsec) > 0 {
		return d.noType(name, t)
	}
	return d.noHashedType(name, t)
}

// Expansion is the proof that an answer for name may come from the wildcard whose
// parent has that many labels: no closer name exists (RFC 4035 §5.3.4, RFC 5155
// §8.8).
func (d *Denial) Expansion(name dns.Name, labels int) Proof {
	if len(d.nsec) > 0 {
		return d.expandable(name, labels)
	}
	return d.hashedExpandable(name, labels)
}

// Delegation is what is known of name as a delegation.
type Delegation uint8

// A name in a zone that is signed is one of these.
const (
	UnknownDelegation  Delegation = iota // the records do not say
	NoDelegation                         // the name belongs to the zone, or does not exist
	UnsignedDelegation                   // a delegation without DS, or one in a span that opts out
)

// Delegation says whether name is delegated without DS records, by the answer
// that has no DS for it (RFC 4035 §5.2, RFC 5155 §8.9).
func (d *Denial) Delegation(name dns.Name) (Delegation, Proof) {
	types, ok := d.match(name)
	if ok && types.Has(dns.TypeNS) {
		if p := denies(types, dns.TypeDS, name); p != Proved {
			return UnknownDelegation, Unproved
		}
		return UnsignedDelegation, Proved
	}
	p := d.Type(name, dns.TypeDS)
	if p == Unproved {
		p = d.Name(name)
	}
	switch p {
	case Proved, NoName:
		return NoDelegation, p
	case OptOut, TooMany:
		return UnsignedDelegation, p
	}
	return UnknownDelegation, p
}

// match returns the types of the record that is name's own.
func (d *Denial) match(name dns.Name) (dns.TypeBitmap, bool) {
	if len(d.nsec) > 0 {
		n, ok := d.matchNSEC(name)
		return n.Types, ok
	}
	n, ok := d.matchNSEC3(name)
	return n.Types, ok
}

// isCut reports whether types are those of a delegation's parent side: such a
// record says nothing of what lies at and below the cut but DS (RFC 6840 §4.1).
func isCut(types dns.TypeBitmap) bool { return types.Has(dns.TypeNS) && !types.Has(dns.TypeSOA) }

// denies reports whether a name's own record shows that t is not there.
func denies(types dns.TypeBitmap, t dns.Type, name dns.Name) Proof {
	switch {
	case types.Has(dns.TypeNXNAME): // RFC 9824 §3.1
		return NoName
	case types.Has(t) || types.Has(dns.TypeCNAME): // RFC 6840 §4.3
		return Unproved
	// The child's record says nothing of DS, but for the root (RFC 6840 §4.1), and
	// the parent's of nothing else.
	case t == dns.TypeDS && types.Has(dns.TypeSOA) && !name.IsRoot():
		return Unproved
	case t != dns.TypeDS && isCut(types):
		return Unproved
	}
	return Proved
}
