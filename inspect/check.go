package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"onoma/dns"
	"onoma/resolver"
	"onoma/resolver/iterator"
	"onoma/resolver/validator"
	"onoma/zone"
)

// CheckOptions say where a check begins and what it trusts. Env must be set.
type CheckOptions struct {
	Env      iterator.Env
	Hints    []iterator.Hint // nil: the root servers of the Internet
	Port     uint16          // of the servers asked; 0: 53
	Loopback bool            // servers on loopback addresses may be asked, as in a lab
	NoIPv4   bool
	NoIPv6   bool
	Anchors  []dns.Record  // DS or DNSKEY that are trusted; none: there is no chain to follow
	Timeout  time.Duration // for one question to one server; 0: 3 s
}

// Health is what there is to be said of a zone and its delegation.
type Health struct {
	Zone    dns.Name
	Parent  dns.Name // the zero Name for the root
	At      time.Time
	Above   []ServerState    // servers of the parent
	Own     []ServerState    // servers of the zone
	Trust   validator.Result // of the zone's SOA
	DSYNC   []Endpoint       // where the parent takes news of its children
	Signed  bool             // some server has keys of the zone
	Elapsed time.Duration
	// Findings are in the order of their weight.
	Findings []zone.Finding
}

// ServerState is one address of a name server, and how it did.
type ServerState struct {
	Name   dns.Name
	Addr   netip.AddrPort
	Serial uint32 // of the zone that it was asked for; 0 where it did not say
	Error  string // why nothing it says counts; empty for a server that answers
}

// Endpoint is a place that takes NOTIFY about children (RFC 9859).
type Endpoint struct {
	Type   dns.Type // CDS or CSYNC
	Target dns.Name
	Port   uint16
	Secure bool // the record that names it is
}

// ErrNoZone says that there is no zone of that name to be checked.
var ErrNoZone = errors.New("there is no such zone")

// Bounds of a check: a zone may name as many servers as it likes.
const (
	checkServers = 32 // of either zone
	checkAtOnce  = 8
	checkTimeout = 3 * time.Second
)

// checker is one check while it goes on.
type checker struct {
	CheckOptions
	resolver  *resolver.Resolver
	validator *validator.Validator
}

// CheckZone looks at a zone's delegation at all servers of its parent, at the zone
// at all servers of its own, and at the chain of trust that leads to it. What is
// wrong is a finding. The error is for zones that could not be looked at.
func CheckZone(ctx context.Context, name dns.Name, o CheckOptions) (*Health, error) {
	o.Timeout = cmp.Or(o.Timeout, checkTimeout)
	c := &checker{CheckOptions: o}
	var err error
	c.resolver, err = resolver.New(resolver.Config{
		Env: o.Env, Hints: o.Hints, UpstreamPort: o.Port, AllowLoopbackServers: o.Loopback, NoIPv4: o.NoIPv4, NoIPv6: o.NoIPv6,
	})
	if err != nil {
		return nil, fmt.Errorf("checking %s: %w", name, err)
	}
	defer c.resolver.Close()
	c.validator = validator.New(validator.Options{Anchors: o.Anchors, Fetch: c.fetch, Clock: o.Env.Now})
	start := o.Env.Now()
	s, err := c.survey(ctx, name.Fold())
	if err != nil {
		return nil, fmt.Errorf("checking %s: %w", name, err)
	}
	h := s.health()
	c.trust(ctx, h)
	h.Findings = s.judge(h)
	h.Elapsed = o.Env.Now().Sub(start)
	return h, nil
}

// fetch answers a question with signatures, unvalidated.
func (c *checker) fetch(ctx context.Context, q dns.Question) (*dns.Message, error) {
	res, err := c.resolver.Resolve(ctx, q, resolver.Options{DNSSEC: true})
	if err != nil {
		return nil, err
	}
	m := dns.NewQuery(0, q, true)
	m.Flags |= dns.FlagQR
	m.RCode, m.Answer, m.Authority = res.RCode, res.Answer, res.Authority
	return m, nil
}

// trust follows the chain to the zone, and asks where the parent takes news.
func (c *checker) trust(ctx context.Context, h *Health) {
	// The error is in the result, too: Indeterminate, with its reason.
	h.Trust, _ = c.validator.Look(ctx, h.Zone, dns.TypeSOA)
	if h.Parent.IsZero() {
		return
	}
	place, err := dsyncName(h.Zone, h.Parent)
	if err != nil {
		return
	}
	r, _ := c.validator.Look(ctx, place, dns.TypeDSYNC)
	for _, rec := range r.Answer {
		d, err := dns.ParseDSYNC(rec.Data)
		if rec.Type != dns.TypeDSYNC || err != nil || d.Scheme != dns.DSYNCNotify {
			continue
		}
		h.DSYNC = append(h.DSYNC, Endpoint{Type: d.Type, Target: d.Target, Port: d.Port, Secure: r.Status == validator.Secure})
	}
}

// dsyncName is where a parent says how to tell it of a child (RFC 9859 §4.1).
func dsyncName(child, parent dns.Name) (dns.Name, error) {
	below, err := parent.Child("_dsync")
	if err != nil {
		return dns.Name{}, err
	}
	return child.Rebase(parent, below)
}

// IsSound reports whether nothing serious is wrong.
func (h *Health) IsSound() bool {
	return !slices.ContainsFunc(h.Findings, func(f zone.Finding) bool { return f.Severity == zone.Error })
}
