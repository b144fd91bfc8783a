package inspect

import (
	"fmt"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

// Beyond this many iterations resolvers take an answer as not signed (RFC 9276 §3.2).
const mostIterations = 100

// judgeDenial looks at how the zone proves that something does not exist.
func (s *survey) judgeDenial(v *verdicts) {
	keys := s.keys()
	if len(keys) == 0 {
		return
	}
	s.sets(func(w *witness, set signedSet) {
		if set.Type != dns.TypeNSEC3 && set.Type != dns.TypeNSEC3PARAM {
			return
		}
		for _, d := range set.RData {
			if p, err := dns.ParseNSEC3PARAM(d); err == nil {
				judgeParameters(v, s.zone, w, p)
			}
		}
	})
	for _, w := range s.own {
		if w.err != nil || w.edns != nil {
			continue
		}
		if m := w.said[strangeType]; m != nil {
			s.judgeProof(v, w, m, s.zone, strangeType, keys)
		}
		if w.nothing != nil {
			s.judgeProof(v, w, w.nothing, s.absent, dns.TypeA, keys)
		}
	}
}

// judgeParameters holds the parameters of NSEC3 against RFC 9276.
func judgeParameters(v *verdicts, name dns.Name, w *witness, p dns.NSEC3PARAM) {
	const cure = "change the zone to NSEC3 with 0 iterations and no salt, or to NSEC"
	switch {
	case p.Hash != dnssec.NSEC3SHA1:
		v.add(zone.Error, "nsec3-hash", name, dns.TypeNSEC3PARAM, w, cure, "the hash algorithm %d of NSEC3 is not known", p.Hash)
	case p.Iterations > mostIterations:
		v.add(zone.Error, "nsec3-iterations", name, dns.TypeNSEC3PARAM, w, cure,
			"NSEC3 has %d iterations: resolvers take negative answers as unsigned, or refuse them (RFC 9276 §3.2)", p.Iterations)
	case p.Iterations > 0:
		v.add(zone.Warning, "nsec3-iterations", name, dns.TypeNSEC3PARAM, w, cure,
			"NSEC3 has %d iterations, which cost everybody and protect nothing (RFC 9276 §3.1: 0)", p.Iterations)
	}
	if len(p.Salt) > 0 {
		v.add(zone.Warning, "nsec3-salt", name, dns.TypeNSEC3PARAM, w, cure, "NSEC3 has a salt, which protects nothing (RFC 9276 §3.1: none)")
	}
}

// judgeProof verifies what a server gave to prove a negative answer.
func (s *survey) judgeProof(v *verdicts, w *witness, m *dns.Message, name dns.Name, t dns.Type, keys []dns.DNSKEY) {
	if m.RCode != dns.RCodeNoError && m.RCode != dns.RCodeNXDomain {
		v.add(zone.Error, "denial-refused", s.zone, t, w, "have the server answer for all of the zone", "a question for something that does not exist is answered by %s", m.RCode)
		return
	}
	if len(m.Answer) > 0 {
		s.judgeExpansion(v, w, m, name, keys)
		return
	}
	d, isWhole := s.proofs(m, keys)
	if !isWhole {
		return // what is wrong with the signatures is said there
	}
	what, proof := fmt.Sprintf("that it has no records of a type (asked for %s)", t), d.Type(name, t)
	if m.RCode == dns.RCodeNXDomain {
		what, proof = "that a name does not exist", d.Name(name)
	}
	if proof == dnssec.Unproved || proof == dnssec.Exhausted {
		v.add(zone.Error, "denial-unproved", s.zone, dns.TypeNone, w,
			"have the chain of NSEC or NSEC3 records made anew; a server that is not told to serve signed zones must be",
			"the records that come with a negative answer do not prove %s: %s", what, proof)
	}
}

// judgeExpansion wants the proof that a wildcard may answer (RFC 4035 §5.3.4).
func (s *survey) judgeExpansion(v *verdicts, w *witness, m *dns.Message, name dns.Name, keys []dns.DNSKEY) {
	for _, set := range setsIn(m.Answer) {
		if !set.Owner.Equal(name) || len(set.sigs) == 0 || int(set.sigs[0].Labels) >= name.NumLabels() {
			continue
		}
		d, isWhole := s.proofs(m, keys)
		if p := d.Expansion(name, int(set.sigs[0].Labels)); isWhole && (p == dnssec.Unproved || p == dnssec.Exhausted) {
			v.add(zone.Error, "denial-unproved", s.zone, set.Type, w, "have the chain of NSEC or NSEC3 records made anew",
				"an answer comes of a wildcard, and nothing proves that it may: %s", p)
		}
	}
}

// proofs returns what the verified records of an answer deny, and whether that is
// all of them.
func (s *survey) proofs(m *dns.Message, keys []dns.DNSKEY) (d *dnssec.Denial, isWhole bool) {
	var good []dnssec.RRset
	isWhole = true
	for _, set := range setsIn(m.Authority) {
		if set.Type != dns.TypeNSEC && set.Type != dns.TypeNSEC3 {
			continue
		}
		if s.isSignedBy(set, keys) {
			good = append(good, set.RRset)
		} else {
			isWhole = false
		}
	}
	rounds := 20_000
	return dnssec.NewDenial(s.zone, good, &rounds), isWhole
}
