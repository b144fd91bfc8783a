package sign

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// Errors of signing.
var (
	// ErrSlow says that signing takes longer than it may: many signatures, or keys
	// that are slow.
	ErrSlow = errors.New("signing takes longer than it may here")
	// ErrPlan says that a plan contradicts itself.
	ErrPlan = errors.New("plan cannot be carried out")
	// ErrCollision says that two names have one NSEC3 hash: another salt cures it
	// (RFC 5155 §7.1).
	ErrCollision = errors.New("two names have the same NSEC3 hash; choose another salt")
)

// Key is a key that signs.
type Key struct {
	*dnssec.Key
	SignsKeys bool // the DNSKEY, CDS and CDNSKEY sets of the apex
	SignsZone bool // everything else
}

// Kind says how a zone denies existence.
type Kind uint8

// The kinds of denial.
const (
	None    Kind = iota // the zone is not signed
	NSEC                // a chain of NSEC (RFC 4034 §4)
	NSEC3               // a chain of NSEC3 (RFC 5155)
	Compact             // no chain: negative answers are signed when asked (RFC 9824)
)

// String returns the kind as it is configured.
func (k Kind) String() string {
	return [...]string{"none", "nsec", "nsec3", "compact"}[min(k, Compact)]
}

// Denial is how a zone denies existence. The fields behind Kind are of NSEC3.
type Denial struct {
	Kind       Kind
	Iterations uint16 // 0 is right (RFC 9276 §3.1)
	Salt       []byte
	OptOut     bool // delegations without DS have no NSEC3 (RFC 5155 §6)
}

// Plan says how a zone is signed. It is immutable.
type Plan struct {
	Keys    []Key
	Apex    []dns.Record // the DNSKEY, CDS and CDNSKEY sets that are to stand at the apex, keys of other providers (RFC 8901) included
	KeySigs []dns.Record // RRSIG records made elsewhere over these sets
	Denial  Denial
	ZONEMD  []uint8 // hash algorithms of the digests to keep; none: ZONEMD is the authors'

	Validity    time.Duration // life of signatures; 0: 14 days
	KeyValidity time.Duration // of those over the sets of keys; 0: as Validity
	Refresh     time.Duration // what has less left is signed anew; 0: a quarter of Validity
	Jitter      time.Duration // expirations are earlier by up to so much, by owner and type
	Skew        time.Duration // inception is this much before now
	Doubt       time.Duration // it may be so much earlier than it is said to be: signatures are to be good then, too
	Workers     int           // goroutines that sign; 0: GOMAXPROCS
}

// Defaults of a Plan.
const (
	DefaultValidity = 14 * 24 * time.Hour
	refreshShare    = 4 // of the validity
)

func (p *Plan) validity(t dns.Type) time.Duration {
	d := p.Validity
	if isKeyType(t) && p.KeyValidity != 0 {
		d = p.KeyValidity
	}
	if d == 0 {
		d = DefaultValidity
	}
	return d
}

func (p *Plan) refresh(t dns.Type) time.Duration {
	if p.Refresh != 0 {
		return p.Refresh
	}
	return p.validity(t) / refreshShare
}

// isSigned reports whether the plan makes signatures at all.
func (p *Plan) isSigned() bool { return p.Denial.Kind != None }

// IsSlow reports whether one of the keys is slow: then nothing is signed quickly.
func (p *Plan) IsSlow() bool {
	return slices.ContainsFunc(p.Keys, func(k Key) bool { return k.IsSlow() })
}

// isKeyType reports whether the set of type t at the apex is one of the keys'.
func isKeyType(t dns.Type) bool {
	return t == dns.TypeDNSKEY || t == dns.TypeCDS || t == dns.TypeCDNSKEY
}

// isMade reports whether records of type t are made by signing, wherever they are.
func isMade(t dns.Type) bool {
	return t == dns.TypeRRSIG || t == dns.TypeNSEC || t == dns.TypeNSEC3
}

// Owns reports whether records of that owner and type are the signer's alone:
// what authors bring of them is not theirs to bring.
func (p *Plan) Owns(origin, owner dns.Name, t dns.Type) bool {
	if isMade(t) {
		return true
	}
	return p.ownsAtApex(t) && owner.Equal(origin)
}

func (p *Plan) ownsAtApex(t dns.Type) bool {
	return isKeyType(t) || t == dns.TypeNSEC3PARAM || t == dns.TypeZONEMD && len(p.ZONEMD) > 0
}

// hashLabel is the length of the label that a hash is in (RFC 5155 §3).
const hashLabel = 1 + dnssec.NSEC3HashLen*8/5

// signs reports whether k signs sets of type t: at the apex where top is set.
func (k *Key) signs(t dns.Type, top bool) bool {
	if top && isKeyType(t) {
		return k.SignsKeys
	}
	return k.SignsZone
}

// check reports what is wrong with the plan in itself.
func (p *Plan) check(origin dns.Name) error {
	for _, r := range p.Apex {
		if !isKeyType(r.Type) || !r.Name.Equal(origin) {
			return fmt.Errorf("%w: %s %s is not one of the sets of keys of %s", ErrPlan, r.Name, r.Type, origin)
		}
	}
	if p.isSigned() && !slices.ContainsFunc(p.Keys, func(k Key) bool { return k.SignsZone }) {
		return fmt.Errorf("%w: no key signs the zone", ErrPlan)
	}
	if p.Denial.Kind == NSEC3 && origin.Len()+hashLabel > dns.MaxNameLen {
		return fmt.Errorf("%w: the name of the zone has %d octets, which leaves no room for the hashes of NSEC3; use NSEC", ErrPlan, origin.Len())
	}
	if len(p.Denial.Salt) > 255 {
		return fmt.Errorf("%w: the salt has %d octets, expected at most 255", ErrPlan, len(p.Denial.Salt))
	}
	for _, a := range p.ZONEMD {
		if dnssec.ZONEMDDigestLen(a) == 0 {
			return fmt.Errorf("%w: hash algorithm %d of ZONEMD is not known", ErrPlan, a)
		}
	}
	return nil
}
