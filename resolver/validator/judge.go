package validator

import (
	"context"
	"fmt"

	"onoma/dns"
)

// Judge says what is to be thought of an answer that is there already: msg, to q,
// with all aliases that were followed in the answer section and in the authority
// section the proofs, each with its signatures. What is needed beside it, DS and
// DNSKEY sets, is asked for by Fetch. All is paid from work.
//
// An alias that leads to until ends what is judged: what stands there is nobody's
// to prove. The zero Name is none.
//
// Unlike Look, Judge has a set for all of the answer that is Secure, the SOA of a
// negative one among them.
func (v *Validator) Judge(ctx context.Context, q dns.Question, msg *dns.Message, until dns.Name, work *Work) (Result, error) {
	l := &look{Validator: v, ctx: ctx, now: v.clock(), work: work}
	return l.run(q.Name, q.Type, func(name dns.Name, t dns.Type) error { return l.within(name, t, msg, until) })
}

// within goes from alias to alias within one message.
func (l *look) within(name dns.Name, t dns.Type, msg *dns.Message, until dns.Name) error {
	for range l.limits.Aliases + 1 {
		if !until.IsZero() && name.Equal(until) {
			return nil
		}
		next, err := l.step(name, t, msg)
		switch {
		case err != nil || l.result.Status <= Bogus:
			return err
		case next.IsZero():
			return l.source(name, msg)
		}
		name = next
	}
	return fmt.Errorf("%w: more than %d aliases", ErrLimit, l.limits.Aliases)
}

// source judges the SOA of a negative answer: its TTL says how long the answer
// may be kept, and its serial is what some clients ask for.
func (l *look) source(name dns.Name, msg *dns.Message) error {
	if l.result.Status != Secure {
		return nil
	}
	sets := collect(msg.Authority)
	for i, s := range sets {
		if s.Type != dns.TypeSOA || len(s.RData) == 0 || !name.IsSubdomainOf(s.Owner) {
			continue
		}
		z, err := l.zoneOf(sets[i])
		if err != nil {
			return err
		}
		if z.link.Status != Secure {
			l.blame(z)
			return nil
		}
		report := Set{Owner: s.Owner, Type: s.Type, Zone: z.name, Status: Secure}
		sig, tried, err := l.check(s, z)
		if report.Sigs = tried; err != nil {
			report.Status, report.Why = Bogus, fmt.Sprintf("%s SOA: %v", s.Owner, err)
			l.fail(Bogus, codeOf(err), "%s", report.Why)
		} else {
			report.TTL = l.ttl(s, sig)
			l.tell(z, s, sig)
		}
		l.result.Sets = append(l.result.Sets, report)
		return nil
	}
	return nil
}
