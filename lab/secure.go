package lab

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"onoma/console"
	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/validator"
	"onoma/zone"
)

// Security is how far a zone is on its way to be validated.
type Security = console.Security

// securityPatience is how long the validator has for one verdict: who asks asks again.
const securityPatience = 3 * time.Second

// Security tells how a zone stands: whether it is signed, whether its parent says
// so, and what a validator makes of it that trusts the lab's root and has seen
// nothing before.
func (l *Lab) Security(ctx context.Context, name string) (Security, error) {
	n, err := dns.ParseNameIDNA(strings.TrimSpace(name))
	if err != nil {
		return Security{}, fmt.Errorf("%q is not a domain name: %w", name, err)
	}
	s := Security{Zone: n.Unicode()}
	l.signedBy(n, &s)
	s.DS = l.parentDS(n)
	l.signing.lookups.resolver.Flush(n, true)
	ctx, cancel := context.WithTimeout(ctx, securityPatience)
	defer cancel()
	s.Status, s.Why = l.validate(ctx, l.signing.lookups.validator(), n, dns.TypeSOA)
	return s, nil
}

// signedBy says who signs a zone, and with which keys.
func (l *Lab) signedBy(n dns.Name, s *Security) {
	for _, op := range l.operators {
		v := l.signing.served(op.id(n))
		if v == nil || !op.hosts(n) {
			continue
		}
		s.Hosts = append(s.Hosts, op.title)
		if !isSigned(v) {
			s.Unsigned = op.whyUnsigned(v)
			continue
		}
		s.Signers = append(s.Signers, op.title)
		for _, data := range rdataOf(v, dns.TypeDNSKEY) {
			if k, err := dns.ParseDNSKEY(data); err == nil {
				s.Keys = append(s.Keys, fmt.Sprintf("%s %d", dnssec.AlgorithmName(k.Algorithm), k.KeyTag()))
			}
		}
	}
}

// whyUnsigned says why an operator does not sign a zone; "": it will.
func (op *operator) whyUnsigned(v *zone.Version) string {
	op.mu.Lock()
	isListed := op.unsigned[v.Origin().Fold()]
	op.mu.Unlock()
	switch {
	case isListed:
		return fmt.Sprintf("%s does not sign it: it is in the file %s/%s", op.title, op.name, unsignedFile)
	case !op.signs(v):
		return "its name servers are those of more than one provider, and their keys would have to be one another's (RFC 8901)"
	}
	return ""
}

// parentDS returns the DS records of a zone at its parent in the lab.
func (l *Lab) parentDS(n dns.Name) []string {
	if n.IsRoot() {
		return nil
	}
	for above := n.Parent(); !above.IsZero(); above = above.Parent() {
		for _, op := range l.operators {
			v := l.signing.served(op.id(above))
			if v == nil || !op.hosts(above) {
				continue
			}
			return dsIn(v, n)
		}
	}
	return nil
}

func dsIn(v *zone.Version, child dns.Name) (texts []string) {
	set, _ := v.Find(child.Append(nil)).RRset(dns.TypeDS)
	for data := range set.RData() {
		if ds, err := dns.ParseDS(data); err == nil {
			texts = append(texts, fmt.Sprintf("%s %d", dnssec.AlgorithmName(ds.Algorithm), ds.KeyTag))
		}
	}
	return texts
}

// validate returns a validator's verdict in a word, and the reason where it is not
// "secure".
func (l *Lab) validate(ctx context.Context, v *validator.Validator, n dns.Name, t dns.Type) (status, why string) {
	r, err := v.Look(ctx, n, t)
	if err != nil {
		return validator.Indeterminate.String(), err.Error()
	}
	return r.Status.String(), r.Why
}

// atOnce is how many zones are validated at a time for the page.
const atOnce = 8

// securities validates many zones, and returns the verdicts by their names.
func (l *Lab) securities(zones []dns.Name) map[dns.Name]string {
	ctx, cancel := context.WithTimeout(l.ctx, 5*time.Second)
	defer cancel()
	v := l.signing.lookups.validator()
	verdicts := make(map[dns.Name]string, len(zones))
	var mu sync.Mutex
	var work sync.WaitGroup
	turn := make(chan struct{}, atOnce)
	for _, n := range zones {
		work.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			status, _ := l.validate(ctx, v, n, dns.TypeSOA)
			mu.Lock()
			defer mu.Unlock()
			verdicts[n] = status
		})
	}
	work.Wait()
	return verdicts
}
