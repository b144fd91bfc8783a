package keys

import (
	"errors"
	"fmt"
	"time"

	"onoma/dns/dnssec"
)

// ZSKRoll is how the key that signs the zone is replaced by one of the same algorithm.
type ZSKRoll uint8

// PrePublish has the new key in all caches before it signs (RFC 6781 §4.1.1.1): small answers. DoubleSignature has both keys
// sign for a while (RFC 6781 §4.1.1.2): fewer steps, larger answers.
const (
	PrePublish ZSKRoll = iota
	DoubleSignature
)

// KSKRoll is how a key with a DS at the parent is replaced by one of the same algorithm.
type KSKRoll uint8

// DoubleKSK has both keys in the DNSKEY set while the DS changes (RFC 6781 §4.1.2): one change at the parent. DoubleDS has both
// DS at the parent while the DNSKEY set changes: two changes at the parent, a small DNSKEY set.
const (
	DoubleKSK KSKRoll = iota
	DoubleDS
)

// ParentMode is how it is known which DS records the parent has.
type ParentMode uint8

// Checked: all parent servers are asked, Facts.Parent has what they said. ByHand: somebody says it by Ring.DSSeen and Ring.DSGone.
const (
	Checked ParentMode = iota
	ByHand
)

// DenialKind is how the zone denies that a name or type exists.
type DenialKind uint8

// The kinds of denial of existence. NoDenial is that of an unsigned zone.
const (
	NoDenial DenialKind = iota
	NSEC
	NSEC3
	Compact // RFC 9824: made when asked
)

// Denial is how the zone denies existence, with the parameters of NSEC3 (RFC 9276 §3.1: 0 iterations, no salt).
type Denial struct {
	Kind       DenialKind `json:"kind"`
	Iterations uint16     `json:"iterations,omitempty"`
	SaltLength uint8      `json:"salt-length,omitempty"`
	OptOut     bool       `json:"opt-out,omitempty"`
}

// Policy is what somebody wants of a zone's keys and signatures. It is a value: a change of it is a different Policy given
// to the next Step, and what differs (algorithm, sizes, one key or two, denial) is rolled over to.
type Policy struct {
	Name      string
	Algorithm uint8 // DNSSEC number
	Bits      int   // of RSA keys; 0: 2048
	Split     bool  // KSK and ZSK; else one CSK

	KSKLife, ZSKLife time.Duration // until the successor takes over; 0: until told. A CSK has KSKLife
	Standby          int           // keys of each role published in advance, with their DS where they have one
	ZSKRoll          ZSKRoll
	KSKRoll          KSKRoll
	Denial           Denial
	Unsigned         bool // the zone is to be unsigned, and gets there safely

	DNSKEYTTL             time.Duration // of DNSKEY, CDS and CDNSKEY
	MaxTTL                time.Duration // no TTL of the zone is longer; 0: as measured (Facts.MaxTTL)
	Validity, KeyValidity time.Duration // of signatures over the zone, and over the keys
	Refresh, Jitter       time.Duration // signed anew when less is left; expirations spread over Jitter
	Skew                  time.Duration // signatures begin so long before now
	PublishSafety         time.Duration // on top of computed times before something new is relied upon
	RetireSafety          time.Duration // ... and before something old is taken away
	Purge                 time.Duration // a removed key may be deleted so long after; 0: never
	Parent                ParentMode
	ParentTTL             time.Duration // of DS, where nobody asks the parent
	ParentDelay           time.Duration // how long a parent may take from CDS to DS: for predictions, and until somebody is told
	NoCDS                 bool          // publish neither CDS nor CDNSKEY
	CDSDigests            []uint8       // of CDS and of the DS to submit; none: SHA-256
}

// Default returns the policy of zones that have no other: one ECDSA P-256 key that lives until told, NSEC.
func Default() Policy {
	const day = 24 * time.Hour
	return Policy{
		Name: "default", Algorithm: dnssec.ECDSAP256SHA256, Denial: Denial{Kind: NSEC},
		DNSKEYTTL: time.Hour, Validity: 14 * day, KeyValidity: 14 * day, Refresh: 7 * day, Jitter: day, Skew: time.Hour,
		PublishSafety: time.Hour, RetireSafety: time.Hour, Purge: 90 * day,
		ParentTTL: day, ParentDelay: day, CDSDigests: []uint8{2},
	}
}

// Check says what is wrong with a policy.
func (p *Policy) Check() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	lead := p.DNSKEYTTL + p.PublishSafety
	bad(p.Algorithm == 0, "no algorithm: 13 (ECDSAP256SHA256) is the usual one")
	bad(p.isRSA() && p.Bits != 0 && (p.Bits < 1024 || p.Bits > 4096), "%d bits: RSA keys have 1024 to 4096", p.Bits)
	bad(p.DNSKEYTTL <= 0, "the TTL of the DNSKEY set must be positive")
	bad(p.Standby < 0 || p.Standby > 4, "%d standby keys: 0 to 4 are possible", p.Standby)
	bad(p.KSKLife != 0 && p.KSKLife < 4*lead, "keys that live %v: a rollover takes longer, %v is the least", p.KSKLife, 4*lead)
	bad(p.Split && p.ZSKLife != 0 && p.ZSKLife < 4*lead, "zone keys that live %v: a rollover takes longer, %v is the least", p.ZSKLife, 4*lead)
	bad(p.Refresh >= p.Validity, "signatures are valid for %v, but signed anew when %v is left: that must be less", p.Validity, p.Refresh)
	bad(p.Refresh >= p.KeyValidity, "signatures over the keys are valid for %v, but signed anew when %v is left: that must be less", p.KeyValidity, p.Refresh)
	bad(p.Denial.Kind == NoDenial && !p.Unsigned, "no way of denial: NSEC is the usual one")
	bad(min(p.PublishSafety, p.RetireSafety, p.Skew, p.Jitter, p.Purge, p.ParentTTL, p.MaxTTL) < 0, "a negative time")
	return errors.Join(errs...)
}

func (p *Policy) isRSA() bool { return p.Algorithm <= dnssec.RSASHA512 && p.Algorithm != 0 }
