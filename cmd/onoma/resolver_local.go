package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"onoma/dns"
	"onoma/resolver"
	"onoma/resolver/iterator"
	"onoma/resolver/links"
)

// localFlags make a resolver the one of a single machine.
type localFlags struct {
	Local      bool   `help:"Be this machine's own resolver: for loopback only, with a small cache, asking the servers of --forward, or those that the network links were given; without --listen on 127.0.0.1:53."`
	ResolvConf string `placeholder:"FILE" help:"With --local: keep this file for programs, in the form of /etc/resolv.conf, with this resolver and the domains to search."`
	SystemRoot string `hidden:"" default:"/" help:"Where the files are that tell of network links."`
}

const (
	localListen = "127.0.0.1:53"
	localCache  = 8 << 20
	linksEvery  = 5 * time.Second // how often links are looked at
)

// check refuses what does not go together, and fills in what --local has of its own.
func (c *resolverCmd) check() error {
	if c.ResolvConf != "" && !c.Local {
		return errors.New("--resolv-conf: expected with --local")
	}
	if c.Local && len(c.Listen) == 0 {
		c.Listen = []endpoint{{addr: netip.MustParseAddrPort(localListen)}}
	}
	return c.listening.check("resolver")
}

// localConfig makes cfg that of a machine's own resolver. Where nobody was chosen
// with --forward or --trust-anchor, answers are not validated: what a network gives
// its machines often does not pass signatures on.
func (c *resolverCmd) localConfig(cfg *resolver.Config) {
	if !c.Local {
		return
	}
	cfg.CacheSize = localCache
	if c.Allow == nil {
		cfg.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	if c.TrustAnchor == "" && !hasRootRoute(cfg.Routes) {
		cfg.Anchors = nil
	}
}

func hasRootRoute(routes []resolver.Route) bool {
	return slices.ContainsFunc(routes, func(r resolver.Route) bool { return r.Zone.IsRoot() })
}

// machine follows the links of this machine and has a resolver ask their servers.
type machine struct {
	app        *app
	resolver   *resolver.Resolver
	root       string           // of the system
	own        []netip.AddrPort // that the resolver is asked at
	fixed      []resolver.Route // of flags, which come first
	resolvConf string           // "": none
	validates  bool
	plan       links.Plan
	said       []string // notes that are in the log
	isSet      bool
}

func (c *resolverCmd) machine(a *app, r *resolver.Resolver, cfg *resolver.Config) *machine {
	m := &machine{app: a, resolver: r, root: c.SystemRoot, fixed: cfg.Routes, resolvConf: c.ResolvConf, validates: len(cfg.Anchors) > 0}
	for _, e := range c.Listen {
		m.own = append(m.own, e.addr)
	}
	return m
}

// look reads what is known of links, and does what follows where that has changed.
func (m *machine) look() error {
	list, notes := links.Read(os.DirFS(m.root), m.own)
	if !slices.Equal(notes, m.said) {
		for _, n := range notes {
			m.app.log.Warn("what is known of a network link is left out: " + n)
		}
		m.said = notes
	}
	plan := links.PlanOf(list)
	if m.isSet && plan.Equal(m.plan) {
		return nil
	}
	if err := m.resolver.SetRoutes(m.routes(plan)); err != nil {
		return err
	}
	if m.resolvConf != "" {
		if err := replaceFile(m.resolvConf, plan.ResolvConf(m.own[0].Addr(), m.validates)); err != nil {
			return err
		}
	}
	m.plan, m.isSet = plan, true
	m.app.log.Info("network links", "servers", plan.String())
	return nil
}

// routes are those of flags, and behind them those of links for what no flag is for.
// The domains of a link are private: no public tree vouches for them.
func (m *machine) routes(p links.Plan) []resolver.Route {
	list := slices.Clone(m.fixed)
	add := func(zone dns.Name, servers []links.Server) {
		if len(servers) == 0 || slices.ContainsFunc(list, func(r resolver.Route) bool { return r.Zone.Equal(zone) }) {
			return
		}
		r := resolver.Route{Zone: zone, Kind: iterator.RouteForward, Insecure: !zone.IsRoot()}
		for _, s := range servers {
			r.Servers = append(r.Servers, iterator.RouteServer{Target: iterator.Target{Addr: s.Addr}})
		}
		list = append(list, r)
	}
	for _, d := range p.Domains {
		add(d.Name, d.Servers)
	}
	add(dns.Root, p.Default)
	return list
}

// follow looks again and again until ctx ends.
func (m *machine) follow(ctx context.Context) {
	tick := time.NewTicker(linksEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := m.look(); err != nil {
				m.app.log.Error("the network links are not followed", "error", err)
			}
		}
	}
}

// replaceFile writes a file so that nobody ever sees half of it.
func replaceFile(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	defer os.Remove(f.Name()) // where it has not become the file
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return os.Rename(f.Name(), name)
}
