package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"onoma/console"
	"onoma/dns"
	"onoma/inspect"
)

// Subscribe implements console.Lab.
func (l *Lab) Subscribe(ctx context.Context) <-chan Event { return l.hub.subscribe(ctx) }

// Ask sends one question to the lab's resolver, over the network as any client.
func (l *Lab) Ask(ctx context.Context, name, typ string) (console.Answer, error) {
	n, err := dns.ParseNameIDNA(strings.TrimSpace(name))
	if err != nil {
		return console.Answer{}, fmt.Errorf("%q is not a domain name: %w", name, err)
	}
	t, ok := dns.ParseType(strings.TrimSpace(typ))
	if !ok || t.IsMeta() && t != dns.TypeANY {
		return console.Answer{}, fmt.Errorf("%q is not a type to ask for: expected one as in A, MX or TXT", typ)
	}
	// As a client at another address than the resolver's own.
	q := l.query(&inspect.Network{Only: []netip.Prefix{loopback}}, l.State().Resolver, dns.Question{Name: n, Type: t, Class: dns.ClassIN})
	q.Recurse, q.Timeout, q.Tries = true, 10*time.Second, 1
	r, err := q.Ask(ctx)
	if err != nil {
		return console.Answer{}, fmt.Errorf("asking the lab's resolver: %w", err)
	}
	a := console.Answer{RCode: r.Message.RCode.String(), Records: []string{}, Errors: []string{}, Millis: float64(r.Elapsed.Microseconds()) / 1000}
	for _, rec := range r.Message.Answer {
		a.Records = append(a.Records, line(rec))
	}
	if r.Message.EDNS != nil {
		for _, e := range r.Message.EDNS.EDE() {
			a.Errors = append(a.Errors, e.String())
		}
	}
	a.Security, a.Why = l.validate(ctx, l.signing.lookups.validator(), n, t)
	return a, nil
}

func (l *Lab) query(from *inspect.Network, server netip.AddrPort, q dns.Question) inspect.Query {
	return inspect.Query{
		Env: from, Servers: []netip.AddrPort{server}, Question: q,
		EDNS: &dns.EDNS{UDPSize: 1232}, Timeout: 2 * time.Second, Tries: 3,
	}
}

// check asks every server for a zone of its own, over UDP and TCP, and the
// resolver for a name below the root.
func (l *Lab) check(ctx context.Context) error {
	var errs []error
	for _, op := range l.operators {
		zones := op.zoneNames()
		if len(zones) == 0 {
			continue
		}
		for _, a := range op.addrs {
			errs = append(errs, l.checkServer(ctx, netip.AddrPortFrom(a, l.port), zones[0], false))
		}
	}
	errs = append(errs, l.checkServer(ctx, l.State().Resolver, dns.MustName("guru."), true))
	return errors.Join(errs...)
}

// checkServer wants the zone's SOA record, with authority unless from a resolver.
func (l *Lab) checkServer(ctx context.Context, server netip.AddrPort, zone dns.Name, recurse bool) error {
	q := l.query(l.network, server, dns.Question{Name: zone, Type: dns.TypeSOA, Class: dns.ClassIN})
	q.Recurse = recurse
	for _, tcp := range []bool{false, true} {
		q.TCP = tcp
		r, err := q.Ask(ctx)
		if err != nil {
			return err
		}
		m := r.Message
		if m.RCode != dns.RCodeNoError || !hasType(m.Answer, dns.TypeSOA) || m.Flags.Has(dns.FlagAA) == recurse {
			return fmt.Errorf("%s answers %s for the SOA record of %s", server, m.RCode, zone)
		}
	}
	return nil
}
