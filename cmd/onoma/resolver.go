package main

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"onoma/config"
	"onoma/daemon"
	"onoma/dns"
	"onoma/resolver"
	"onoma/resolver/iterator"
	"onoma/resolver/validator"
	"onoma/telemetry"
)

type resolverCmd struct {
	listening
	localFlags
	routeFlags
	RootHints    string         `placeholder:"FILE" help:"Root servers to begin with, in a file like IANA's named.root; without it those of the Internet."`
	TrustAnchor  string         `placeholder:"FILE" help:"DS or DNSKEY records that are trusted, in the form of a zone file or IANA's root-anchors.xml, or \"off\": answers are not validated (DNSSEC). Without it the Internet's root keys."`
	AnchorState  string         `name:"trust-anchor-state" placeholder:"FILE" help:"Follow the keys of the trust anchor's zone by oneself (RFC 5011), and keep what is trusted in this file; it is made if it is not there. Without it anchors stay as they are."`
	Insecure     []exception    `placeholder:"NAME[=TIME]" help:"Do not validate there and below: a negative trust anchor (RFC 7646) for a zone that is broken, for so long, as in example.com=12h; without TIME until the end."`
	UpstreamPort uint16         `default:"53" placeholder:"PORT" help:"Port that servers are asked on (${default})."`
	Allow        []netip.Prefix `placeholder:"PREFIX" help:"Who may ask, as in 192.0.2.0/24; the flag again for more. Without it loopback and private networks."`
	CacheSize    config.Size    `default:"96MiB" placeholder:"SIZE" help:"Memory for what is remembered (${default})."`
	CacheFile    string         `placeholder:"FILE" help:"Keep what is remembered in this file from one start to the next."`
	Hosts        string         `placeholder:"FILE" help:"Answer from this hosts file first; without the flag from /etc/hosts if there is one, \"off\" for none."`
}

// Help is the long text of the verb.
func (resolverCmd) Help() string {
	return `A recursive resolver: it walks from the root servers to whoever knows the answer, and remembers.

With --root-hints of a lab it walks the lab: servers on loopback addresses are asked only where the hints name such.

    onoma resolver --listen 127.0.0.1:5353
    onoma resolver --listen 127.0.0.1:5353 --root-hints .lab/root.hints --upstream-port 5300 --trust-anchor .lab/trust-anchor.key
    onoma resolver --listen 127.0.0.1:5353 --forward tls://9.9.9.9#dns.quad9.net --forward corp.example=192.0.2.53

With --local it is the resolver of this machine alone: it asks the resolvers that the network links were given, each for the names
of its own domains, or the one that --forward chooses; see docs/local.md.

    onoma resolver --local --forward tls://9.9.9.9#dns.quad9.net --resolv-conf /run/onoma/resolv.conf

Answers are validated (DNSSEC) from the root's keys, which are built in. Where the root hints are one's own, so is the
trust anchor: without --trust-anchor nothing is validated then.`
}

// Run resolves until it is told to end.
func (c *resolverCmd) Run(a *app) error {
	defer a.logAside()()
	if err := c.check(); err != nil {
		return err
	}
	cfg := resolver.Config{UpstreamPort: c.UpstreamPort, Allow: c.Allow, Log: a.log}
	var err error
	if cfg.Upstream, err = daemon.Trusting(c.ForwardCA); err != nil {
		return err
	}
	cfg.HostsFile = c.hostsFile()
	cfg.CacheSize, cfg.CacheFile = int(c.CacheSize), c.CacheFile
	if c.RootHints != "" {
		hints, err := readHints(c.RootHints)
		if err != nil {
			return err
		}
		cfg.Hints, cfg.AllowLoopbackServers = hints, anyLoopback(hints)
	}
	anchors, err := c.anchors()
	if err != nil {
		return err
	}
	cfg.Anchors = anchors
	if c.AnchorState != "" {
		cfg.AnchorFiles = []string{c.AnchorState}
	}
	cfg.Insecure = map[dns.Name]time.Time{}
	for _, x := range c.Insecure {
		cfg.Insecure[x.name] = x.end(time.Now())
	}
	routes, zones := c.routes(cfg.Hints, c.UpstreamPort)
	cfg.Routes = routes
	c.localConfig(&cfg)
	if len(cfg.Anchors) == 0 {
		a.log.Info("answers are not validated", "hint", "--trust-anchor FILE")
	}
	r, err := resolver.New(cfg)
	if err != nil {
		return err
	}
	defer r.Close()
	a.keep(a.ctx, r, zones)
	if c.Local {
		m := c.machine(a, r, &cfg)
		if err := m.look(); err != nil {
			return err
		}
		go m.follow(a.ctx)
	}
	makeRoom()
	return c.serve(a, r, operations{
		role: "resolver", resolver: resolverDesk(r),
		report: func(report *telemetry.Report) { reportResolver(report, r) },
	})
}

// exception is a negative trust anchor, and for how long; 0 is no end.
type exception struct {
	name dns.Name
	life time.Duration
}

// UnmarshalText reads NAME or NAME=TIME.
func (x *exception) UnmarshalText(text []byte) (err error) {
	name, life, isTimed := strings.Cut(string(text), "=")
	if x.name, err = dns.ParseName(name); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	if !isTimed {
		return nil
	}
	if x.life, err = time.ParseDuration(life); err != nil || x.life <= 0 {
		return fmt.Errorf("%q: expected NAME=TIME, as in example.com=12h", text)
	}
	return nil
}

func (x exception) end(now time.Time) time.Time {
	if x.life == 0 {
		return time.Time{}
	}
	return now.Add(x.life)
}

// anchors are what answers are validated from; none: they are not.
func (c *resolverCmd) anchors() ([]dns.Record, error) {
	switch {
	case c.TrustAnchor == "off", c.TrustAnchor == "" && c.RootHints != "":
		return nil, nil
	case c.TrustAnchor == "":
		return validator.RootAnchors(), nil
	}
	return readAnchors(c.TrustAnchor)
}

const systemHosts = "/etc/hosts"

func (c *resolverCmd) hostsFile() string {
	switch c.Hosts {
	case "off":
		return ""
	case "":
		if _, err := os.Stat(systemHosts); err != nil {
			return ""
		}
		return systemHosts
	}
	return c.Hosts
}

func readHints(name string) ([]resolver.Hint, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading root hints: %w", err)
	}
	defer f.Close()
	return iterator.ParseHints(f, name)
}

// anyLoopback tells hints of a lab from those of the Internet.
func anyLoopback(hints []resolver.Hint) bool {
	for _, h := range hints {
		for _, a := range h.Addrs {
			if a.IsLoopback() {
				return true
			}
		}
	}
	return false
}
