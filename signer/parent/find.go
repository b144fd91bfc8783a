package parent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"onoma/dns"
	"onoma/transport"
)

// resolver answers questions as far as it can.
type resolver func(context.Context, dns.Question) (*dns.Message, error)

// mostHosts bounds the name servers of a parent that are looked up, mostAddrs the addresses of one.
const (
	mostHosts = 32
	mostAddrs = 8
)

// find finds who serves the zone above child. Configured servers are those, whatever the DNS says.
func (w *Watcher) find(ctx context.Context, child dns.Name, servers []netip.AddrPort) found {
	f := found{servers: configured(servers)}
	if child.IsRoot() {
		return found{err: "the root has no parent"}
	}
	resolve, err := w.resolver(servers)
	if err == nil {
		f.parent, err = parentOf(ctx, resolve, child)
	}
	switch {
	case len(servers) > 0:
		return f // the name is learnt with the first DS otherwise
	case err != nil:
		f.err = why(err)
		return f
	}
	if f.servers, err = w.serversOf(ctx, resolve, f.parent); err != nil {
		f.err = why(err)
	}
	return f
}

// resolver returns whom to ask about the parent: its configured servers, or the resolver.
func (w *Watcher) resolver(servers []netip.AddrPort) (resolver, error) {
	if len(servers) > 0 {
		return w.direct(servers), nil
	}
	if w.options.Resolve == nil {
		return nil, errors.New("there is no resolver to find it with, and no server of it is configured")
	}
	return w.resolve, nil
}

// resolve asks the resolver, for as long as a few questions may take.
func (w *Watcher) resolve(ctx context.Context, q dns.Question) (*dns.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*w.options.Timeout)
	defer cancel()
	m, err := w.options.Resolve(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("resolving %s %s: %w", q.Name, q.Type, err)
	}
	return m, refusal(q, m)
}

func refusal(q dns.Question, m *dns.Message) error {
	if m.RCode == dns.RCodeNoError || m.RCode == dns.RCodeNXDomain {
		return nil
	}
	return fmt.Errorf("resolving %s %s: %s", q.Name, q.Type, m.RCode)
}

// direct asks servers one after the other, until one answers with authority.
func (w *Watcher) direct(servers []netip.AddrPort) resolver {
	return func(ctx context.Context, q dns.Question) (m *dns.Message, err error) {
		for _, s := range servers {
			if m, err = w.send(ctx, transport.UDP, s, query(q)); errors.Is(err, errTruncated) {
				m, err = w.send(ctx, transport.TCP, s, query(q))
			}
			if err == nil && !m.Flags.Has(dns.FlagAA) {
				err = fmt.Errorf("%s does not answer for %s with authority", s, q.Name)
			}
			if err == nil {
				err = refusal(q, m)
			}
			if err == nil {
				m.Flags &^= dns.FlagAD // nobody has proven that
				return m, nil
			}
		}
		return nil, err
	}
}

// parentOf returns the name of the zone above child. It is the zone that the next name up is in; that there may be empty names
// between them, the SOA of the answer tells (RFC 2308 §2).
func parentOf(ctx context.Context, resolve resolver, child dns.Name) (dns.Name, error) {
	m, err := resolve(ctx, dns.Question{Name: child.Parent(), Type: dns.TypeSOA, Class: dns.ClassIN})
	if err != nil {
		return dns.Name{}, err
	}
	for _, section := range [][]dns.Record{m.Answer, m.Authority} {
		for _, r := range section {
			if r.Type == dns.TypeSOA && isAbove(r.Name, child) {
				return r.Name.Fold(), nil
			}
		}
	}
	return dns.Name{}, fmt.Errorf("the answer for %s has no SOA of a zone above %s", child.Parent(), child)
}

// serversOf returns the addresses of all servers of a zone.
func (w *Watcher) serversOf(ctx context.Context, resolve resolver, name dns.Name) ([]foundServer, error) {
	m, err := resolve(ctx, dns.Question{Name: name, Type: dns.TypeNS, Class: dns.ClassIN})
	if err != nil {
		return nil, err
	}
	var out []foundServer
	hosts := 0
	for _, r := range m.Answer {
		if r.Type != dns.TypeNS || !r.Name.Equal(name) || hosts == mostHosts {
			continue
		}
		hosts++
		host := r.Data.Target(dns.TypeNS)
		addrs, e := addrsOf(ctx, resolve, host)
		if e != nil {
			err = e
		}
		for _, a := range addrs {
			out = append(out, foundServer{host, netip.AddrPortFrom(a, w.options.Port)})
		}
	}
	switch {
	case len(out) > 0:
		return out, nil // a name that does not resolve now may do so the next time
	case err != nil:
		return nil, err
	}
	return nil, fmt.Errorf("no server of %s has an address", name)
}

// addrsOf returns the addresses of a host.
func addrsOf(ctx context.Context, resolve resolver, host dns.Name) (out []netip.Addr, err error) {
	for _, t := range []dns.Type{dns.TypeA, dns.TypeAAAA} {
		m, e := resolve(ctx, dns.Question{Name: host, Type: t, Class: dns.ClassIN})
		if e != nil {
			err = e
			continue
		}
		n := 0
		for _, r := range m.Answer {
			if a, ok := r.Data.Addr(r.Type); ok && r.Type == t && n < mostAddrs {
				out = append(out, a)
				n++
			}
		}
	}
	if len(out) > 0 {
		err = nil
	}
	return out, err
}
