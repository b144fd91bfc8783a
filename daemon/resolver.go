package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"onoma/config"
	"onoma/dns"
	"onoma/resolver"
	"onoma/resolver/iterator"
	"onoma/resolver/policy"
)

// openResolver makes the resolver that the configuration has, if any.
func (d *Daemon) openResolver(conf *config.Config) error {
	c := &conf.Resolver
	if len(c.Listen) == 0 {
		return nil
	}
	cfg := resolver.Config{
		Allow: c.Allow, UpstreamPort: uint16(c.Port), NoIPv4: !c.IPv4, NoIPv6: !c.IPv6, NAT64: c.NAT64, Limit: limitsOf(&c.ClientLimits), NoMinimise: !c.Minimise,
		MaxInFlight: c.Lookups, UDPSize: uint16(conf.Server.MaxUDP), ID: conf.Server.Hostname, Version: conf.Server.Version, Log: d.log,
		InfoURL: c.InfoURL, Insecure: exceptionsOf(c), ReportErrors: c.ReportErrors, NoRandomCase: !c.RandomCase, NeverAsk: append(ownAddresses(c), c.NeverAsk...),
	}
	setCache(&cfg, &c.Cache)
	cfg.ClientSubnet = subnetsOf(&c.ClientSubnet)
	if c.Hosts != "off" {
		cfg.HostsFile = c.Hosts
	}
	var err error
	if cfg.Upstream, err = Trusting(c.UpstreamCA); err != nil {
		return err
	}
	cfg.Upstream.Opportunistic = c.OpportunisticEncryption
	for _, a := range c.Source {
		if a.Is4() {
			cfg.Upstream.Source4 = a
		} else {
			cfg.Upstream.Source6 = a
		}
	}
	if cfg.Hints, cfg.AllowLoopbackServers, err = readHints(c.RootHints); err != nil {
		return err
	}
	if c.TrustAnchor != "off" {
		if cfg.Anchors, err = readAnchors(c.TrustAnchor, c.RootHints != ""); err != nil {
			return err
		}
	}
	if err := keepAnchors(conf, &cfg); err != nil {
		return err
	}
	if len(cfg.Anchors) == 0 {
		d.log.Info("the resolver's answers are not validated", "hint", "resolver.trust-anchor")
	}
	if d.recursor, err = resolver.New(cfg); err != nil {
		return err
	}
	return d.setRoutes(conf)
}

// ownAddresses are those that the resolver listens on as a server would: to ask
// them is to ask itself.
func ownAddresses(c *config.Resolver) (own []netip.Prefix) {
	for _, e := range c.Listen {
		if a := e.Addr.Addr().Unmap(); e.Addr.Port() == uint16(c.Port) && !a.IsUnspecified() {
			own = append(own, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return own
}

// keepAnchors names the files in which the resolver keeps what it trusts, and
// what it does not validate for a time.
func keepAnchors(conf *config.Config, cfg *resolver.Config) error {
	dir := filepath.Join(conf.Data, "resolver")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("making the resolver's folder: %w", err)
	}
	cfg.ExceptionFile = filepath.Join(dir, "insecure")
	switch state := conf.Resolver.TrustAnchorState; {
	case len(cfg.Anchors) == 0 || state == "off":
	case state == "":
		cfg.AnchorFiles = []string{filepath.Join(dir, "trust-anchor")}
	default:
		cfg.AnchorFiles = []string{state}
	}
	return nil
}

// limitsOf is what one client of the resolver may cost.
func limitsOf(c *config.ClientLimits) resolver.ClientLimits {
	action, _ := policy.ParseAction(c.Action)
	l := resolver.ClientLimits{Off: !c.Enabled, Soft: c.Soft, Hard: c.Hard, Action: action, Waiting: c.Waiting, Exempt: c.Exempt, LateAfter: c.Late}
	if c.Late == 0 {
		l.LateAfter = -1
	}
	return l
}

// exceptionsOf are the negative trust anchors that have no end.
func exceptionsOf(c *config.Resolver) map[dns.Name]time.Time {
	all := make(map[dns.Name]time.Time, len(c.Insecure))
	for _, name := range c.Insecure {
		all[name] = time.Time{}
	}
	return all
}

// over is long ago: the end of a negative trust anchor that goes.
var over = time.Unix(0, 0)

// reloadResolver does what can be done while it runs, between two configurations.
func (d *Daemon) reloadResolver(from, to *config.Config) {
	if d.recursor == nil {
		return
	}
	if !reflect.DeepEqual(from.Resolver.Routes, to.Resolver.Routes) || from.Resolver.LocalRoot != to.Resolver.LocalRoot {
		if err := d.setRoutes(to); err != nil {
			d.log.Error("the resolver's routes stay as they are", "error", err)
		}
	} else if d.routing != nil {
		d.routing.keeper.Reload(context.Background())
	}
	d.rules.nudge()
	had, has := exceptionsOf(&from.Resolver), exceptionsOf(&to.Resolver)
	for name := range had {
		if _, stays := has[name]; !stays {
			d.recursor.Except(name, over)
		}
	}
	for name := range has {
		if _, there := had[name]; !there {
			d.recursor.Except(name, time.Time{})
		}
	}
}

// Resolver is the resolver of the configuration; nil where there is none.
func (d *Daemon) Resolver() *resolver.Resolver { return d.recursor }

// readHints reads a file of root servers; a path of "" stands for those of the
// Internet. Where some have loopback addresses, as in a lab, others may, too.
func readHints(path string) (hints []resolver.Hint, isLoopback bool, err error) {
	if path == "" {
		return nil, false, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, false, fmt.Errorf("reading root hints: %w", err)
	}
	defer f.Close()
	if hints, err = iterator.ParseHints(f, path); err != nil {
		return nil, false, err
	}
	isLoopback = slices.ContainsFunc(hints, func(h resolver.Hint) bool { return slices.ContainsFunc(h.Addrs, netip.Addr.IsLoopback) })
	return hints, isLoopback, nil
}

func (d *Daemon) closeResolver() error {
	if d.recursor == nil {
		return nil
	}
	d.routing.end()
	return d.recursor.Close()
}
