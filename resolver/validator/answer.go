package validator

import (
	"cmp"
	"errors"
	"fmt"

	"onoma/dns"
	"onoma/dns/dnssec"
)

// zoneOf finds the zone that a set is in: by its signatures, or, where it has
// none, by the whole way down.
func (l *look) zoneOf(s signedSet) (*place, error) {
	if z := l.excepted(ownerZone(s.Owner, s.Type)); z != nil {
		return z, nil
	}
	at := s.signer()
	if at.IsZero() {
		at = ownerZone(s.Owner, s.Type)
	}
	return l.walk(at)
}

// excepted returns what a negative trust anchor makes of name: the one that is
// nearest, unless an anchor is nearer.
func (l *look) excepted(name dns.Name) *place {
	if l.except == nil {
		return nil
	}
	for at := name; !at.IsZero(); at = at.Parent() {
		if l.except(at) {
			why := "a negative trust anchor stands at " + at.String()
			return &place{name: at, link: Link{Zone: at, Status: Insecure, Why: why, EDE: dns.EDE{Code: dns.EDENegativeTrustAnchor, Text: why}}}
		}
		if len(l.anchors[at.Fold()]) > 0 {
			break
		}
	}
	return nil
}

// ownerZone is the lowest name that can be the zone with a type of records: DS are
// the parent's.
func ownerZone(name dns.Name, t dns.Type) dns.Name {
	if t == dns.TypeDS && !name.IsRoot() {
		return name.Parent()
	}
	return name
}

// blame makes the result what a zone that is not Secure says.
func (l *look) blame(z *place) {
	l.fail(z.link.Status, z.link.EDE.Code, "%s", z.link.Why)
}

// positive judges a set of the answer; msg has the proof where the set comes from a wildcard. It reports whether the set may be used.
func (l *look) positive(s signedSet, msg *dns.Message) (bool, error) {
	z, err := l.zoneOf(s)
	if err != nil {
		return false, err
	}
	report := Set{Owner: s.Owner, Type: s.Type, Zone: z.name, Status: z.link.Status, Why: z.link.Why}
	ttl := s.TTL
	if z.link.Status == Secure {
		var sig *dns.RRSIG
		sig, report.Sigs, err = l.check(s, z)
		if err != nil {
			report.Status, report.Why = Bogus, fmt.Sprintf("%s %s: %v", s.Owner, s.Type, err)
			l.fail(Bogus, codeOf(err), "%s", report.Why)
		} else {
			report.Why = fmt.Sprintf("signed by key %d (%s) of %s", sig.KeyTag, dnssec.AlgorithmName(sig.Algorithm), z.name)
			ttl = l.ttl(s, sig)
			report.TTL = ttl
			l.expansion(&report, z, s, sig, msg)
		}
	} else {
		l.blame(z)
	}
	l.result.Sets = append(l.result.Sets, report)
	if report.Status <= Bogus {
		return false, nil
	}
	for _, rd := range s.RData {
		l.result.Answer = append(l.result.Answer, dns.Record{Name: s.Owner, Type: s.Type, Class: s.Class, TTL: ttl, Data: rd})
	}
	l.explain(report.Why)
	return true, nil
}

// expansion asks for the proof that a wildcard may answer (RFC 4035 §5.3.4).
func (l *look) expansion(report *Set, z *place, s signedSet, sig *dns.RRSIG, msg *dns.Message) {
	if !s.isExpanded(sig) {
		return
	}
	d, found := l.proofs(z, msg)
	l.result.Sets = append(l.result.Sets, found.sets...)
	switch p := d.Expansion(s.Owner, int(sig.Labels)); p {
	case dnssec.Proved:
		report.Why += ", by a wildcard"
		if wildcard, err := s.Owner.Ancestor(s.Owner.NumLabels() - int(sig.Labels)).Child("*"); err == nil {
			s.Owner = wildcard
			l.tell(z, s, sig)
		}
	case dnssec.OptOut, dnssec.TooMany:
		report.Status, report.Why = Insecure, fmt.Sprintf("that a wildcard stands for %s is %s", s.Owner, p)
		l.fail(Insecure, insecureCode(p), "%s", report.Why)
	default:
		code, why := found.blame()
		report.Status, report.Why = Bogus, fmt.Sprintf("%s %s comes from a wildcard, and nothing shows that it may: %v", s.Owner, s.Type, why)
		l.fail(Bogus, code, "%s", report.Why)
	}
}

func insecureCode(p dnssec.Proof) dns.EDECode {
	if p == dnssec.TooMany {
		return dns.EDEUnsupportedNSEC3Iters
	}
	return dns.EDEOther
}

// maxProofs is how many NSEC or NSEC3 sets of one message are looked at: no proof
// needs more than three.
const maxProofs = 6

// found is what came of the records that are to prove something.
type found struct {
	sets []Set
	ttl  uint32 // how long what they prove may be kept
	why  error  // why the first one that does not hold does not
}

// blame says why there is no proof.
func (f found) blame() (dns.EDECode, error) {
	if f.why != nil {
		return codeOf(f.why), f.why
	}
	return dns.EDENSECMissing, errNoProof
}

var errNoProof = errors.New("the records that would prove it are missing")

// proofs verifies what the authority section has of NSEC and NSEC3 by the zone.
// Sets that do not hold are left out.
func (l *look) proofs(z *place, msg *dns.Message) (*dnssec.Denial, found) {
	var good []dnssec.RRset
	f := found{ttl: dns.MaxTTL}
	for _, s := range collect(msg.Authority) {
		if s.Type != dns.TypeNSEC && s.Type != dns.TypeNSEC3 || len(s.RData) == 0 || len(f.sets) == maxProofs {
			continue
		}
		if !s.isBy(z.name) {
			if len(s.sigs) == 0 && f.why == nil {
				f.why = fmt.Errorf("%s %s: %w", s.Owner, s.Type, errNoSigs)
			}
			continue
		}
		sig, tried, err := l.check(s, z)
		if err == nil && s.isExpanded(sig) {
			err = fmt.Errorf("an %s that a wildcard made", s.Type) // its owner is not what was signed
		}
		report := Set{Owner: s.Owner, Type: s.Type, Zone: z.name, Status: Secure, Sigs: tried}
		if err != nil {
			report.Status, report.Why = Bogus, err.Error()
			f.why = cmp.Or(f.why, fmt.Errorf("%s %s: %w", s.Owner, s.Type, err))
		} else {
			good = append(good, s.RRset)
			report.TTL = l.ttl(s, sig)
			f.ttl = min(f.ttl, report.TTL)
			l.tell(z, s, sig)
		}
		f.sets = append(f.sets, report)
	}
	if len(good) == 0 {
		f.ttl = 0
	}
	return dnssec.NewDenial(z.name, good, &l.work.Rounds), f
}

// negative judges an answer that has no data.
func (l *look) negative(name dns.Name, t dns.Type, msg *dns.Message) error {
	z, err := l.denier(name, t, msg)
	if err != nil {
		return err
	}
	if z.link.Status != Secure {
		l.blame(z)
		return nil
	}
	d, found := l.proofs(z, msg)
	l.result.Sets = append(l.result.Sets, found.sets...)
	proof := d.Type(name, t)
	if msg.RCode == dns.RCodeNXDomain {
		proof = d.Name(name)
	}
	switch proof {
	case dnssec.Proved, dnssec.NoName:
		if proof == dnssec.NoName {
			l.result.RCode = dns.RCodeNXDomain
		}
		l.explain(denied(z.name, name, t, l.result.RCode))
		return nil
	case dnssec.OptOut, dnssec.TooMany:
		if l.isBelowAnchor(name, t, z) {
			break
		}
		l.fail(Insecure, insecureCode(proof), "that %s has no %s is %s", name, t, proof)
		return nil
	case dnssec.Exhausted:
		return fmt.Errorf("%w: more than %d rounds of NSEC3", ErrLimit, l.limits.Rounds)
	}
	return l.unproved(name, t, z, d, found)
}

func denied(zone, name dns.Name, t dns.Type, rcode dns.RCode) string {
	if rcode == dns.RCodeNXDomain {
		return fmt.Sprintf("%s proves that %s does not exist", zone, name)
	}
	return fmt.Sprintf("%s proves that %s has no %s", zone, name, t)
}

// denier finds the zone that denies: the one that signed the proofs.
func (l *look) denier(name dns.Name, t dns.Type, msg *dns.Message) (*place, error) {
	if z := l.excepted(ownerZone(name, t)); z != nil {
		return z, nil
	}
	var at dns.Name
	for _, s := range collect(msg.Authority) {
		signer := s.signer()
		proves := s.Type == dns.TypeNSEC || s.Type == dns.TypeNSEC3
		if proves && !signer.IsZero() && ownerZone(name, t).IsSubdomainOf(signer) && (at.IsZero() || signer.NumLabels() > at.NumLabels()) {
			at = signer
		}
	}
	if at.IsZero() {
		at = ownerZone(name, t)
	}
	return l.walk(at)
}

// isBelowAnchor reports whether an anchor stands on the way from z to name: then
// nothing that z leaves out makes name insecure.
func (l *look) isBelowAnchor(name dns.Name, t dns.Type, z *place) bool {
	at := ownerZone(name, t)
	for at.NumLabels() > z.name.NumLabels() && !l.IsAnchored(at) {
		at = at.Parent()
	}
	return at.NumLabels() > z.name.NumLabels()
}

// leavesOut looks in the proofs at hand for a delegation at name, or on the way to
// it, that is not signed: a server of both zones shows it without being asked.
func (l *look) leavesOut(name dns.Name, z *place, d *dnssec.Denial) (child dns.Name, ok bool) {
	for depth := z.name.NumLabels() + 1; depth <= name.NumLabels() && l.work.Rounds > 0; depth++ {
		child = name.Ancestor(name.NumLabels() - depth)
		if state, proof := d.Delegation(child); state == dnssec.UnsignedDelegation && proof == dnssec.Proved {
			return child, true
		}
	}
	return dns.Name{}, false
}

// unproved: maybe the name is in a zone further down that is not signed, or
// broken; otherwise the proof is.
func (l *look) unproved(name dns.Name, t dns.Type, z *place, d *dnssec.Denial, f found) error {
	if child, ok := l.leavesOut(ownerZone(name, t), z, d); ok && !l.isBelowAnchor(name, t, z) {
		l.fail(Insecure, dns.EDEOther, "%s proves that %s has no DS", z.name, child)
		return nil
	}
	lower, err := l.walk(ownerZone(name, t))
	if errors.Is(err, ErrLimit) || err != nil && l.ctx.Err() != nil {
		return err
	}
	if err == nil && lower.link.Status != Secure {
		l.blame(lower)
		return nil
	}
	code, why := f.blame() // also where nobody says what is further down: there is nothing that holds
	l.fail(Bogus, code, "%s says that %s has no %s and does not prove it: %v", z.name, name, t, why)
	return nil
}
