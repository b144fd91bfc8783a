package gate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// Checks says which findings of the semantic checks refuse a version.
type Checks uint8

// The degrees of Checks.
const (
	CheckErrors   Checks = iota // errors that the change brings
	CheckWarnings               // and warnings
	CheckOff                    // nothing
)

var checksNames = [...]string{"errors", "warnings", "off"}

// String returns the word that the configuration has for it.
func (c Checks) String() string { return word(checksNames[:], int(c)) }

// UnmarshalText reads the word that the configuration has for it.
func (c *Checks) UnmarshalText(text []byte) error {
	i, err := parseWord("checks", checksNames[:], string(text))
	*c = Checks(i)
	return err
}

// ZONEMD says what is asked of the digest in versions that come whole, by
// transfer or from a file.
type ZONEMD uint8

// The degrees of ZONEMD.
const (
	ZONEMDOff     ZONEMD = iota
	ZONEMDVerify         // a digest that the zone has must be right
	ZONEMDRequire        // and it must have one that can be checked
)

var zonemdNames = [...]string{"off", "verify", "require"}

// String returns the word that the configuration has for it.
func (z ZONEMD) String() string { return word(zonemdNames[:], int(z)) }

// UnmarshalText reads the word that the configuration has for it.
func (z *ZONEMD) UnmarshalText(text []byte) error {
	i, err := parseWord("zonemd", zonemdNames[:], string(text))
	*z = ZONEMD(i)
	return err
}

// DNSSEC says what is asked of the signatures in versions that come signed from
// elsewhere, by transfer or from a file.
type DNSSEC uint8

// The degrees of DNSSEC.
const (
	DNSSECOff     DNSSEC = iota
	DNSSECVerify         // a zone that is signed must be right in all of it
	DNSSECRequire        // and it must be signed
)

// String returns the word that the configuration has for it.
func (d DNSSEC) String() string { return word(zonemdNames[:], int(d)) }

// UnmarshalText reads the word that the configuration has for it.
func (d *DNSSEC) UnmarshalText(text []byte) error {
	i, err := parseWord("dnssec", zonemdNames[:], string(text))
	*d = DNSSEC(i)
	return err
}

func word(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return fmt.Sprintf("unknown (%d)", i)
}

func parseWord(what string, words []string, text string) (int, error) {
	for i, w := range words {
		if w == text {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%s is %q, expected one of %q", what, text, words)
}

// Limit bounds how much of a zone one change may take away, or bring. The zero
// Limit bounds nothing.
type Limit struct {
	Share float64 // of what the zone has, 0.2 is 20 %; 0: not limited by share
	Count int     // 0: not limited by number
	Free  int     // so few are never too many a share: small zones change by large ones
}

// exceeded reports whether n of all are too many.
func (l Limit) exceeded(n, all int) bool {
	return l.Count > 0 && n > l.Count || l.Share > 0 && n > l.Free && float64(n) > l.Share*float64(all)
}

// isSet reports whether the limit bounds anything.
func (l Limit) isSet() bool { return l.Share > 0 || l.Count > 0 }

// check refuses what cannot be meant.
func (l Limit) check(what string, mostShare float64) error {
	switch {
	case l.Share < 0 || mostShare > 0 && l.Share > mostShare:
		return fmt.Errorf("%s: a share of %v, expected 0 (no limit) to %v", what, l.Share, mostShare)
	case l.Count < 0 || l.Free < 0:
		return fmt.Errorf("%s: a number is negative", what)
	}
	return nil
}

// Rules say what a version of one zone must be like to be served. The zero value
// asks that changes bring no errors.
type Rules struct {
	Checks Checks

	RemoveNames   Limit // names that lose all their records, of all names
	RemoveRecords Limit // of all records, the SOA included, and signatures but where they are made here
	AddRecords    Limit // likewise; a Share over 1 is more than doubling the zone

	ZONEMD ZONEMD

	DNSSEC  DNSSEC
	Anchors []dns.Record // DS or DNSKEY records, one of which must fit a key of the zone, which then must be signed; none: the zone's own keys are trusted

	Command []string      // is run with the zone on its standard input and must end with status 0; nil: none
	Dir     string        // where the command runs
	Timeout time.Duration // for the command: 1 minute
}

// DefaultTimeout is how long the command of Rules may take, unless they say otherwise.
const DefaultTimeout = time.Minute

// Validate reports what cannot be meant.
func (r *Rules) Validate() error {
	err := errors.Join(r.RemoveNames.check("names that may be removed", 1), r.RemoveRecords.check("records that may be removed", 1),
		r.AddRecords.check("records that may be added", 0))
	switch {
	case int(r.Checks) >= len(checksNames):
		return errors.Join(err, fmt.Errorf("checks are %v", r.Checks))
	case int(r.ZONEMD) >= len(zonemdNames):
		return errors.Join(err, fmt.Errorf("zonemd is %v", r.ZONEMD))
	case int(r.DNSSEC) >= len(zonemdNames):
		return errors.Join(err, fmt.Errorf("dnssec is %v", r.DNSSEC))
	case len(r.Command) > 0 && r.Command[0] == "":
		return errors.Join(err, errors.New("the command of the gate is empty, expected the path of a program"))
	case r.Timeout < 0:
		return errors.Join(err, fmt.Errorf("the time for the command of the gate is %v, expected more than nothing", r.Timeout))
	}
	return err
}

// Unlimited returns the rules without limits on how much may go or come: for a
// rollback, and for what an operator has looked at and wants all the same.
func (r Rules) Unlimited() Rules {
	r.RemoveNames, r.RemoveRecords, r.AddRecords = Limit{}, Limit{}, Limit{}
	return r
}

// The names of the rules in a [zone.Refusal].
const (
	RuleSemantics = "semantics"
	RuleRemoval   = "removal-limit"
	RuleGrowth    = "growth-limit"
	RuleZONEMD    = "zonemd"
	RuleDNSSEC    = "dnssec"
	RuleCommand   = "command"
)

// Authored reports whether a record is an author's; nil: all are.
type Authored func(*dns.Record) bool

// Fast says why new must not follow old, nil where it may. It costs as much as
// the change d, and does not allocate where all is well. A first version, where
// old is nil, is checked as a whole and not limited; d is not looked at then. Of a
// zone that is signed here, d and the limits are about the authors' records.
func (r *Rules) Fast(id zone.ID, old, new *zone.Version, d zone.Delta, authored Authored) *zone.Refusal {
	if old != nil {
		if refusal := r.limits(id, old, new, d, authored); refusal != nil {
			return refusal
		}
	}
	return r.semantics(id, old, new, d)
}

// semantics refuses what the checks of package zone find.
func (r *Rules) semantics(id zone.ID, old, new *zone.Version, d zone.Delta) *zone.Refusal {
	if r.Checks == CheckOff {
		return nil
	}
	var found []zone.Finding
	if old == nil {
		found = new.Check()
	} else {
		found = zone.CheckChange(old, new, d)
	}
	least := zone.Error
	if r.Checks == CheckWarnings {
		least = zone.Warning
	}
	var serious []zone.Finding
	for _, f := range found {
		if f.Severity >= least {
			serious = append(serious, f)
		}
	}
	switch {
	case len(serious) == 0:
		return nil
	case old == nil:
		return &zone.Refusal{Zone: id, Rule: RuleSemantics, Reason: count(len(serious), "thing is", "things are") + " wrong with the zone", Findings: serious}
	}
	return &zone.Refusal{Zone: id, Rule: RuleSemantics, Reason: "the change would bring " + count(len(serious), "fault", "faults") + " into the zone", Findings: serious}
}

// IsSlow reports whether there is something to do for Slow with what comes by a door.
func (r *Rules) IsSlow(door zone.Door) bool {
	return len(r.Command) > 0 || r.NeedsWhole(door)
}

// NeedsWhole reports whether something is asked of all that comes by a door, signatures
// and digests included: a difference is not enough where these are not kept.
func (r *Rules) NeedsWhole(door zone.Door) bool {
	return (r.ZONEMD != ZONEMDOff || r.DNSSEC != DNSSECOff) && comesWhole(door)
}

// comesWhole reports whether digests and signatures count for what comes by a door:
// those by which zones come whole from who has made them.
func comesWhole(door zone.Door) bool { return door == zone.DoorTransfer || door == zone.DoorFile }

// Judged is what Slow judges.
type Judged struct {
	ID       zone.ID
	Old, New *zone.Version // Old may be nil
	// Brought is what has come, where New is that and signed here; nil: of what has
	// come digests and signatures are not known.
	Brought *zone.Version
	Door    zone.Door
	At      time.Time
}

// Slow says why a version must not follow another, nil where it may. It may take long:
// it goes over the whole zone and waits for the command. Where ctx ends the version is
// refused.
func (r *Rules) Slow(ctx context.Context, j Judged) *zone.Refusal {
	if comesWhole(j.Door) && j.Brought != nil {
		if refusal := r.digest(j.ID, j.Brought); refusal != nil {
			return refusal
		}
		if refusal := r.signatures(ctx, &j); refusal != nil {
			return refusal
		}
	}
	if len(r.Command) > 0 {
		return r.command(ctx, j.ID, j.Old, j.New, j.Door)
	}
	return nil
}

// count returns n and the word for it.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
