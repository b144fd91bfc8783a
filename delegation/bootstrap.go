package delegation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"onoma/dns"
)

// seenBefore is since when all servers have published what leads to a first DS.
type seenBefore struct {
	since time.Time // zero: they have not
	print print
}

// bootstrap says how a child that asks for its first DS comes by it, which decideDS has
// found to be good in itself. It returns since when the delay runs.
func (d *Desk) bootstrap(ctx context.Context, l *look, w dsDecision, before seenBefore) (dsDecision, seenBefore) {
	b := &l.policy.Bootstrap
	if len(b.Own) > 0 && isOwn(hostsOf(l.was.NS), b.Own) {
		w.why += "; its name servers are this operator's"
		return w, seenBefore{}
	}
	why := "the policy has no way to a first DS that fits"
	if b.Authenticated && d.o.Validate != nil {
		signals, err := d.signals(ctx, l)
		if err == nil {
			w.why += "; " + signals
			return w, seenBefore{}
		}
		if err.retry {
			w.verdict, w.retry, w.why = Waits, true, err.why
			return w, before
		}
		why = err.why
	}
	if b.Delay == 0 {
		w.verdict, w.why = Refused, why
		return w, seenBefore{}
	}
	return delayed(w, b.Delay, before, l.now)
}

// delayed takes the first DS when it has been the same for long enough (RFC 8078 §3.3).
func delayed(w dsDecision, delay time.Duration, before seenBefore, now time.Time) (dsDecision, seenBefore) {
	if before.since.IsZero() || before.print != w.print {
		before = seenBefore{now, w.print}
	}
	if until := before.since.Add(delay); now.Before(until) {
		w.verdict, w.why = Waits, fmt.Sprintf("a first DS is taken at %s, if all servers publish the same until then", until.UTC().Format(time.RFC3339))
		return w, before
	}
	w.why += fmt.Sprintf("; the same at all servers for %v", delay)
	return w, seenBefore{}
}

// isOwn says whether all hosts are this operator's: those named in own, and those below.
func isOwn(hosts, own []dns.Name) bool {
	return !slices.ContainsFunc(hosts, func(h dns.Name) bool {
		return !slices.ContainsFunc(own, func(o dns.Name) bool { return h.IsSubdomainOf(o) })
	})
}

func hostsOf(ns []dns.Record) []dns.Name {
	var out []dns.Name
	for _, r := range ns {
		out = append(out, nameOf(r.Data))
	}
	return out
}

// signals compares what the child publishes with what its operator has signed, under the
// name of each name server outside of the child (RFC 9615 §4.2).
func (d *Desk) signals(ctx context.Context, l *look) (string, *verdictError) {
	checked := 0
	for _, host := range hostsOf(l.was.NS) {
		if host.IsSubdomainOf(l.was.Child) {
			continue // of no use: its zone is the one in question
		}
		name, err := signalName(l.was.Child, host)
		if err != nil {
			return "", refuse("the signalling name under %s: %v", host, err)
		}
		for _, t := range []dns.Type{dns.TypeCDS, dns.TypeCDNSKEY} {
			if e := d.signal(ctx, l, name, t); e != nil {
				return "", e
			}
		}
		checked++
	}
	if checked == 0 {
		return "", refuse("all name servers lie within the child, so that nobody else can vouch for it")
	}
	return fmt.Sprintf("the signals of %d name servers say the same (RFC 9615)", checked), nil
}

// signal checks one set of a signalling name.
func (d *Desk) signal(ctx context.Context, l *look, name dns.Name, t dns.Type) *verdictError {
	p, err := d.o.Validate(ctx, name, t)
	switch {
	case err != nil:
		return wait("%s %s: %v", name, t, err)
	case !p.Secure:
		return refuse("%s %s is not secure: %s", name, t, p.Why)
	}
	q := dns.Question{Name: name, Type: t, Class: dns.ClassIN}
	said, err := readReply(&dns.Message{Flags: dns.FlagAA, Answer: p.Answer}, q)
	own := l.servers[0].apex[t]
	switch {
	case err != nil:
		return refuse("%s: %v", name, err)
	case len(said.set.RData) == 0 && len(own.set.RData) > 0:
		return refuse("%s has no %s", name, t)
	case !said.equal(&own):
		return wait("%s %s is not what the child itself publishes", name, t)
	}
	return nil
}

// signalName returns _dsboot.CHILD._signal.HOST (RFC 9615 §4.1).
func signalName(child, host dns.Name) (dns.Name, error) {
	b := append([]byte{7}, "_dsboot"...)
	b = child.Append(b)
	b = append(append(b[:len(b)-1], 7), "_signal"...)
	return dns.NameFromWire(host.Append(b))
}
