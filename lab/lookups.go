package lab

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"onoma/delegation"
	"onoma/dns"
	"onoma/inspect"
	"onoma/resolver"
	"onoma/resolver/validator"
)

// lookups is the resolver that operators have for themselves: it finds servers of
// parents and children, and validates from the lab's trust anchor. What it asks is
// no event of the lab.
type lookups struct {
	lab      *Lab
	resolver *resolver.Resolver
}

func (l *Lab) newLookups(log *slog.Logger) (*lookups, error) {
	r, err := resolver.New(resolver.Config{
		Env: &inspect.Network{Source: l.quiet(), Only: []netip.Prefix{loopback}}, Hints: l.hints(),
		UpstreamPort: l.port, NoIPv6: true, AllowLoopbackServers: true,
		CacheSize: 3 << 20, Log: log,
	})
	return &lookups{lab: l, resolver: r}, err
}

func (k *lookups) close() error {
	if k == nil || k.resolver == nil {
		return nil
	}
	return k.resolver.Close()
}

// fetch answers a question with signatures, unvalidated.
func (k *lookups) fetch(ctx context.Context, q dns.Question) (*dns.Message, error) {
	res, err := k.resolver.Resolve(ctx, q, resolver.Options{DNSSEC: true})
	if err != nil {
		return nil, err
	}
	m := dns.NewQuery(0, q, true)
	m.Flags |= dns.FlagQR
	m.Flags, m.RCode = m.Flags.WithRCode(res.RCode), res.RCode
	m.Answer, m.Authority = res.Answer, res.Authority
	return m, nil
}

// validator returns one that has seen nothing yet.
func (k *lookups) validator() *validator.Validator {
	return validator.New(validator.Options{Anchors: k.lab.anchors(), Fetch: k.fetch})
}

// prove asks for a signal of RFC 9615, of which nothing that was seen before
// counts: it may have come this moment.
func (k *lookups) prove(ctx context.Context, name dns.Name, t dns.Type) (delegation.Proven, error) {
	k.resolver.Flush(name, true)
	r, err := k.validator().Look(ctx, name, t)
	if err == nil && r.Status == validator.Indeterminate {
		err = errors.New(r.Why) // some server did not answer in time: that says nothing
	}
	if err != nil {
		return delegation.Proven{}, err
	}
	out := delegation.Proven{Secure: r.Status == validator.Secure, Why: r.Why}
	for _, rec := range r.Answer {
		if rec.Type == t {
			out.Answer = append(out.Answer, rec)
		}
	}
	return out, nil
}

// quiet is the address of operators' own questions, and desk that from which
// registries look at children.
func (l *Lab) quiet() netip.Addr  { return l.block.addr(rootOctet, quietHost) }
func (l *Lab) deskAt() netip.Addr { return l.block.addr(rootOctet, deskHost) }

// dialChild connects to a child's server, at the lab's port.
func (l *Lab) dialChild(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(l.deskAt(), 0)), Timeout: 2 * time.Second}
	return d.DialContext(ctx, network, net.JoinHostPort(host, strconv.Itoa(int(l.port))))
}
