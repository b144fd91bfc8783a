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
	Timeout  time.Duration // for one question to one server; 0: 2 s
}

// Health is what there is to be said of a zone and its delegation.
type Health struct {
	Zone    dns.Name
	Parent  dns.Name // the zero Name for the root
	At      time.Time
	Above   []ServerState    // servers of the parent
	Own     []ServerState    // servers of the zone
	Trust   validator.Result // of the zone's SOA; where servers differ, the worst
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
	Serial uint32           // of the zone that it was asked for; 0 where it did not say
	Trust  validator.Status // of the zone as this server has it
	Error  string           // why nothing it says counts; empty for a server that answers
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
	checkInside  = 13 // that lie in the zone and have glue
	checkAtOnce  = 8
	checkTimeout = 2 * time.Second
)

// checker is one check while it goes on.
type checker struct {
	CheckOptions
	resolver *resolver.Resolver
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
		NotSpecial: upwards(name), // a zone of RFC 1918 space or of .test is asked for like others, where there is one
	})
	if err != nil {
		return nil, fmt.Errorf("checking %s: %w", name, err)
	}
	defer c.resolver.Close()
	start := o.Env.Now()
	s, err := c.survey(ctx, name.Fold())
	if err != nil {
		return nil, fmt.Errorf("checking %s: %w", name, err)
	}
	trust := c.trust(ctx, s)
	h := s.health()
	h.Trust = trust
	h.DSYNC = c.endpoints(ctx, s)
	s.complete(h)
	h.Findings = s.judge(h)
	h.Elapsed = o.Env.Now().Sub(start)
	return h, nil
}

// upwards returns a name and all above it.
func upwards(name dns.Name) (names []dns.Name) {
	for ; !name.IsZero(); name = name.Parent() {
		names = append(names, name)
	}
	return names
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

// trust follows the chain to the zone as each of its servers has it, and returns
// the worst that came of it.
func (c *checker) trust(ctx context.Context, s *survey) (worst validator.Result) {
	isFirst := true
	for _, w := range s.own {
		if w.err != nil {
			continue
		}
		// The error is in the result, too: Indeterminate, with its reason.
		w.trust, _ = c.validator(s, w).Look(ctx, s.zone, dns.TypeSOA)
		if isFirst || gravity(w.trust.Status) > gravity(worst.Status) {
			worst, s.shown, isFirst = w.trust, w, false
		}
	}
	if isFirst { // nobody serves it; the chain is seen to where it begins
		v := c.validator(s, nil)
		worst, _ = v.Look(ctx, s.zone, dns.TypeSOA)
		above, _ := v.Look(ctx, s.zone, dns.TypeDS)
		worst.Chain = above.Chain
	}
	return worst
}

// gravity puts verdicts into an order, the worst last.
func gravity(s validator.Status) int {
	return slices.Index([]validator.Status{validator.Secure, validator.Insecure, validator.Indeterminate, validator.Bogus}, s)
}

// validator is one that takes what w said for the zone's word, and asks a resolver
// for everything else.
func (c *checker) validator(s *survey, w *witness) *validator.Validator {
	fetch := func(ctx context.Context, q dns.Question) (*dns.Message, error) {
		if w != nil && q.Name.Equal(s.zone) && (q.Type == dns.TypeDNSKEY || q.Type == dns.TypeSOA) && w.said[q.Type] != nil {
			return w.said[q.Type], nil
		}
		return c.fetch(ctx, q)
	}
	return validator.New(validator.Options{Anchors: c.Anchors, Fetch: fetch, Clock: c.Env.Now})
}

// endpoints asks where the parent takes news of its children (RFC 9859 §4).
func (c *checker) endpoints(ctx context.Context, s *survey) (list []Endpoint) {
	if s.parent.IsZero() {
		return nil
	}
	place, err := dsyncName(s.zone, s.parent)
	if err != nil {
		return nil // no name may be that long
	}
	r, _ := c.validator(s, nil).Look(ctx, place, dns.TypeDSYNC)
	for _, rec := range r.Answer {
		d, err := dns.ParseDSYNC(rec.Data)
		if rec.Type != dns.TypeDSYNC || err != nil || d.Scheme != dns.DSYNCNotify {
			continue
		}
		list = append(list, Endpoint{Type: d.Type, Target: d.Target, Port: d.Port, Secure: r.Status == validator.Secure})
	}
	return list
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
