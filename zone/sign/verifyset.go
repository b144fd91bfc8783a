package sign

import (
	"errors"
	"fmt"
	"slices"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone"
)

// setVerifier verifies the signatures of sets, for one goroutine.
type setVerifier struct {
	*verifier
	rdata []dns.RData
	seen  []uint8 // algorithms of good signatures
}

func (g *setVerifier) verify(t *task) {
	owner, _ := dns.NameFromWire(t.owner)
	g.seen = g.seen[:0]
	g.rdata = g.rdata[:0]
	each(t.rdata, func(rd []byte) bool {
		g.rdata = append(g.rdata, rd)
		return true
	})
	set := dnssec.RRset{Owner: owner, Type: t.typ, Class: g.v.Class(), TTL: t.ttl, RData: g.rdata}
	if t.old != nil && !t.there {
		g.add(zone.Warning, "rrsig-ttl", owner, t.typ, "the signature has another TTL than what it signs", "give it the same (RFC 4034 §3)")
	}
	var bad []error
	each(t.old, func(rd []byte) bool {
		if err := g.verifyOne(set, rd); err != nil {
			bad = append(bad, err)
		} else if !slices.Contains(g.seen, rd[atAlgorithm]) {
			g.seen = append(g.seen, rd[atAlgorithm])
		}
		return true
	})
	g.tell(set, bad)
}

// verifyOne verifies one signature with whatever key of the zone it is by.
func (g *setVerifier) verifyOne(set dnssec.RRset, rdata []byte) error {
	s, err := dns.ParseRRSIG(rdata)
	if err != nil {
		return fmt.Errorf("malformed signature: %w", err)
	}
	by := fmt.Sprintf("signature by key %d", s.KeyTag)
	if !s.Signer.Equal(g.origin) {
		return fmt.Errorf("%s: its signer is %s: %w", by, s.Signer, dnssec.ErrSigner)
	}
	// RFC 4034 §3.1.3 and §3.1.4: what is in the zone itself is no expansion of a
	// wildcard, and its TTL is the original one.
	if int(s.Labels) != int(signedLabels([]byte(set.Owner.Wire()))) {
		return fmt.Errorf("%s: %w", by, dnssec.ErrLabels)
	}
	if s.OriginalTTL != set.TTL {
		return fmt.Errorf("%s: its original TTL is %d, that of the records %d", by, s.OriginalTTL, set.TTL)
	}
	err = dnssec.ErrOtherKey
	for i := range g.keys {
		k := &g.keys[i]
		if k.Algorithm != s.Algorithm || k.tag != s.KeyTag {
			continue
		}
		if err = dnssec.VerifyRRset(set, &s, k.DNSKEY, g.At); err == nil {
			if left := s.Expiration - uint32(g.At.Unix()); g.Left > 0 && left < uint32(g.Left.Seconds()) {
				g.add(zone.Warning, "rrsig-expires-soon", set.Owner, set.Type, fmt.Sprintf("the %s expires in %d seconds", by, left), cureSign)
			}
			return nil
		}
	}
	if errors.Is(err, dnssec.ErrOtherKey) {
		return fmt.Errorf("%s, which is not in the DNSKEY set: %w", by, err)
	}
	return fmt.Errorf("%s: %w", by, err)
}

// tell says what is wrong with the signatures of a set, bad ones being among them.
func (g *setVerifier) tell(set dnssec.RRset, bad []error) {
	severity := zone.Warning // all that validators ask for is there
	for _, a := range g.algorithms {
		if slices.Contains(g.seen, a) {
			continue
		}
		severity = zone.Error
		if len(bad) == 0 {
			g.add(zone.Error, "rrsig-missing", set.Owner, set.Type, "there is no signature of algorithm "+dnssec.AlgorithmName(a), cureSign)
		}
	}
	for _, err := range bad {
		g.add(severity, codeOf(err), set.Owner, set.Type, err.Error(), cureSign)
	}
}

func codeOf(err error) string {
	switch {
	case errors.Is(err, dnssec.ErrExpired):
		return "rrsig-expired"
	case errors.Is(err, dnssec.ErrNotYetValid):
		return "rrsig-not-yet-valid"
	case errors.Is(err, dnssec.ErrOtherKey):
		return "rrsig-by-unknown-key"
	}
	return "rrsig-wrong"
}
