package delegation

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// place is an address of a name server.
type place struct {
	host dns.Name
	addr netip.Addr
}

// places finds all addresses of name servers: in the parent's zone, or else by the
// resolver. A host without an address is an error: it may have one tomorrow, and say
// something else.
func (d *Desk) places(ctx context.Context, v *zone.Version, hosts []dns.Name) ([]place, error) {
	if len(hosts) > maxHosts {
		return nil, fmt.Errorf("the delegation has %d name servers: at most %d are asked", len(hosts), maxHosts)
	}
	var out []place
	for _, host := range hosts {
		addrs, err := d.addresses(ctx, v, host)
		if err != nil {
			return nil, fmt.Errorf("the name server %s: %w", host, err)
		}
		for _, a := range addrs {
			out = append(out, place{host, a})
		}
	}
	if len(out) > maxServers {
		return nil, fmt.Errorf("the name servers have %d addresses: at most %d are asked", len(out), maxServers)
	}
	return out, nil
}

func (d *Desk) addresses(ctx context.Context, v *zone.Version, host dns.Name) ([]netip.Addr, error) {
	var list []netip.Addr
	if node := v.Find([]byte(host.Wire())); !node.IsZero() {
		for _, t := range glueTypes {
			list = appendAddrs(list, recordsOf(node, t))
		}
	}
	if len(list) == 0 {
		var err error
		if list, err = d.resolve(ctx, host); err != nil {
			return nil, err
		}
	}
	return d.fit(list)
}

// resolve asks the resolver for a host that the parent's zone does not know.
func (d *Desk) resolve(ctx context.Context, host dns.Name) ([]netip.Addr, error) {
	if d.o.Resolve == nil {
		return nil, errors.New("it has no address in the zone, and there is no resolver to ask")
	}
	var list []netip.Addr
	for _, t := range glueTypes {
		m, err := d.o.Resolve(ctx, dns.Question{Name: host, Type: t, Class: dns.ClassIN})
		switch {
		case err != nil:
			return nil, fmt.Errorf("resolving %s %s: %w", host, t, err)
		case m.RCode != dns.RCodeNoError:
			return nil, fmt.Errorf("resolving %s %s: %s", host, t, m.RCode)
		}
		list = appendAddrs(list, slices.DeleteFunc(slices.Clone(m.Answer), func(r dns.Record) bool { return r.Type != t }))
	}
	return list, nil
}

func appendAddrs(list []netip.Addr, records []dns.Record) []netip.Addr {
	for _, r := range records {
		if a, ok := netip.AddrFromSlice(r.Data); ok && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

// fit leaves out what cannot or must not be asked. An address that must not be asked is
// one that nobody can be sure of, so that the whole server is an error.
func (d *Desk) fit(list []netip.Addr) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, a := range list {
		switch {
		case !d.o.Allowed(a.Unmap()), a.IsMulticast(), a.IsUnspecified(), a == broadcast:
			return nil, fmt.Errorf("its address %s is not one to be asked", a)
		case !d.o.IPv4Only || a.Is4():
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("it has no address that can be asked")
	}
	return out, nil
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// apexTypes are the questions at the child's apex. The SOA comes first, so that what is
// behind it is not older (RFC 7477 §3.1).
func apexTypes(what kinds) []dns.Type {
	var out []dns.Type
	if what&kindCSYNC != 0 {
		out = append(out, dns.TypeSOA, dns.TypeCSYNC, dns.TypeNS)
	}
	if what&kindDS != 0 {
		out = append(out, dns.TypeCDS, dns.TypeCDNSKEY)
	}
	return append(out, dns.TypeDNSKEY)
}

func questionsAt(child dns.Name, types []dns.Type) []dns.Question {
	var out []dns.Question
	for _, t := range types {
		out = append(out, dns.Question{Name: child, Type: t, Class: dns.ClassIN})
	}
	return out
}

// survey asks all places about the child's apex, at once.
func (d *Desk) survey(ctx context.Context, child dns.Name, places []place, types []dns.Type) []seen {
	questions := questionsAt(child, types)
	out := make([]seen, len(places))
	var wg sync.WaitGroup
	for i, p := range places {
		wg.Go(func() {
			replies, took, err := d.visit(ctx, p, questions)
			out[i] = seen{host: p.host, addr: p.addr, took: took, err: err, apex: make(map[dns.Type]reply)}
			for q, r := range replies {
				out[i].apex[q.Type] = r
			}
		})
	}
	wg.Wait()
	return out
}

// revisit asks servers that have answered for more, and returns them with it.
func (d *Desk) revisit(ctx context.Context, servers []seen, questions []dns.Question) []seen {
	out := slices.Clone(servers)
	var wg sync.WaitGroup
	for i := range out {
		wg.Go(func() {
			s := &out[i]
			replies, took, err := d.visit(ctx, place{s.host, s.addr}, questions)
			s.hosts, s.took, s.err = replies, s.took+took, err
		})
	}
	wg.Wait()
	return out
}

// visit asks one place, when one of the connections that a Desk may have is free.
func (d *Desk) visit(ctx context.Context, p place, questions []dns.Question) (map[dns.Question]reply, time.Duration, error) {
	select {
	case d.conns <- struct{}{}:
		defer func() { <-d.conns }()
	case <-ctx.Done():
		return nil, 0, errors.New("no time was left to ask it")
	}
	began := d.o.Clock()
	ctx, cancel := context.WithTimeout(ctx, d.o.Timeout)
	defer cancel()
	answers, err := converse(ctx, d.o.Dial, p.addr, questions)
	took := d.o.Clock().Sub(began)
	if err != nil {
		return nil, took, err
	}
	replies := make(map[dns.Question]reply, len(questions))
	for i, q := range questions {
		r, err := readReply(answers[i], q)
		if err != nil {
			return nil, took, err
		}
		replies[q] = r
	}
	return replies, took, nil
}
