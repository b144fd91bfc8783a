package daemon

import (
	"context"
	"net/netip"

	"onoma/config"
	"onoma/dns"
	"onoma/resolver"
	"onoma/resolver/validator"
)

// lookups is the small resolver that the server has for itself: it finds the servers of parents and children, and validates
// what RFC 9615 has children publish.
type lookups struct {
	resolver  *resolver.Resolver
	validator *validator.Validator
	anchors   []dns.Record
	isOwn     bool // of a root of its own, as in a lab
}

// lookupCache is the octets for what has been looked up, twice.
const lookupCache = 4 << 20

func (d *Daemon) openLookups(conf *config.Config) error {
	cfg := resolver.Config{
		UpstreamPort: uint16(conf.Lookups.Port), CacheSize: 2 * lookupCache, Log: d.log,
	}
	l := &lookups{isOwn: conf.Lookups.RootHints != ""}
	var err error
	if cfg.Hints, cfg.AllowLoopbackServers, err = readHints(conf.Lookups.RootHints); err != nil {
		return err
	}
	if l.anchors, err = readAnchors(conf.Lookups.TrustAnchor, l.isOwn); err != nil {
		return err
	}
	if l.resolver, err = resolver.New(cfg); err != nil {
		return err
	}
	l.validator = validator.New(validator.Options{Anchors: l.anchors, Fetch: l.fetch})
	d.lookups = l
	return nil
}

// readAnchors returns what is trusted. Without a file they are those of the Internet, and none of a root of one's own.
func readAnchors(path string, isOwn bool) (anchors []dns.Record, err error) {
	switch {
	case path == "" && isOwn:
		return nil, nil
	case path == "":
		return validator.RootAnchors(), nil
	}
	return validator.ReadAnchors(path)
}

func (l *lookups) close() error {
	if l == nil {
		return nil
	}
	return l.resolver.Close()
}

// fetch answers a question with signatures, unvalidated.
func (l *lookups) fetch(ctx context.Context, q dns.Question) (*dns.Message, error) {
	res, err := l.resolver.Resolve(ctx, q, resolver.Options{DNSSEC: true})
	if err != nil {
		return nil, err
	}
	m := dns.NewQuery(0, q, true)
	m.Flags |= dns.FlagQR
	m.Flags = m.Flags.WithRCode(res.RCode)
	m.Answer, m.Authority = res.Answer, res.Authority
	return m, nil
}

// resolve is fetch with AD set where the answer is secure, for the types that are believed for it.
func (l *lookups) resolve(ctx context.Context, q dns.Question) (*dns.Message, error) {
	m, err := l.fetch(ctx, q)
	if err != nil || q.Type != dns.TypeDSYNC {
		return m, err
	}
	if r, err := l.validator.Look(ctx, q.Name, q.Type); err == nil && r.Status == validator.Secure {
		m.Flags |= dns.FlagAD
	}
	return m, nil
}

// allAddresses lets servers be anywhere.
func allAddresses(netip.Addr) bool { return true }
