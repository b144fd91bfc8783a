package main

import (
	"context"
	"errors"
	"fmt"

	"onoma/authority/update"
	"onoma/config"
	"onoma/daemon"
	"onoma/telemetry"
	"onoma/telemetry/control"
	"onoma/telemetry/dnstap"
	"onoma/transport"
	"onoma/transport/xdp"
)

type serveCmd struct {
	Config string `required:"" placeholder:"FILE" type:"path" help:"The configuration file; \"onoma config check FILE\" says what is wrong with one."`
}

// Help is the long text of the verb.
func (serveCmd) Help() string {
	return `Zones, who may change them and who gets them are in the configuration file (docs/configuration.md). Everything that is
acknowledged is on the disk first, every version of a zone is kept, and "onoma ctl" talks to the server while it runs.

SIGHUP, or "onoma ctl reload", reads the configuration and the zone files again; a mistake in one of them changes nothing.

    data: /var/lib/onoma
    listen: ["0.0.0.0:53", "[::]:53"]
    zones:
      example.com: {file: /etc/onoma/example.com.zone}`
}

// Run serves what the file configures until it is told to end.
func (c *serveCmd) Run(a *app) error {
	load := func() (*config.Config, error) { return config.Load(c.Config, configOptions) }
	conf, err := load()
	if err != nil {
		return hint(err, "\"onoma config check %s\" looks at all that the file names, too", c.Config)
	}
	end, err := a.logTo(&conf.Log)
	if err != nil {
		return err
	}
	defer end()
	l := listeningOf(conf)
	options, manners, err := mannersOf(&conf.Server).apply(a)
	if err != nil {
		return err
	}
	l.vouch = manners.vouch()
	d, err := daemon.New(a.ctx, daemon.Options{Config: conf, Load: load, Authority: options, LookUp: hostAddresses, Log: a.log})
	if err != nil {
		return err
	}
	// What was taken in is finished after the last answer.
	d.Start(context.WithoutCancel(a.ctx))
	places, err := placesOf(conf, d)
	if err != nil {
		return errors.Join(err, d.Close())
	}
	err = l.serveAll(a, places, serveOperations(a, d, conf, manners))
	return errors.Join(err, d.Close())
}

// configOptions has rules for UPDATE read where the file is.
var configOptions = config.Options{CheckRule: func(text string) error {
	_, err := update.ParseRule(text)
	return err
}}

// serveOperations are those of a server with a configuration.
func serveOperations(a *app, d *daemon.Daemon, conf *config.Config, m *manners) operations {
	desk := d.Desk()
	reload := desk.ReloadConfig
	desk.ReloadConfig = func(ctx context.Context) (control.ConfigReload, error) {
		m.reload(a.log)
		a.reopenLog()
		return reload(ctx)
	}
	return operations{
		role: roleOf(conf), identity: conf.Dnstap.Identity,
		zones: d.Zones,
		dump:  func(name string) (control.Text, error) { return d.Dump(name) },
		report: func(r *telemetry.Report) {
			reportAuthority(r, d.Stats())
			r.Changing = d.Changing()
			reportResolver(r, d.Resolver())
		},
		reload: func(ctx context.Context, name string) ([]control.Reloaded, error) {
			if name == "" {
				m.reload(a.log)
				a.reopenLog()
			}
			return d.ReloadAll(ctx, name)
		},
		serving: d.Serving,
		manage:  desk, resolver: resolverDesk(d.Resolver()),
	}
}

// listeningOf returns the flags that mean what the file says.
func listeningOf(conf *config.Config) *listening {
	l := new(listening)
	for _, c := range conf.TLS.Certificates {
		l.TLSCert, l.TLSKey = append(l.TLSCert, c.Cert), append(l.TLSKey, c.Key)
	}
	acme := conf.TLS.ACME
	l.TLSSelfSigned, l.TLSClientCA = conf.TLS.SelfSigned, conf.TLS.ClientCA
	l.ACMEDomain, l.ACMEEmail, l.ACMECA, l.ACMERoots, l.ACMEDir = acme.Domains, acme.Email, acme.CA, acme.Roots, acme.Dir
	l.ProxyFrom, l.Triage, l.DSCP = conf.Server.ProxyFrom, conf.Server.Triage, conf.Server.DSCP
	if conf.Metrics.IsValid() {
		l.Metrics = conf.Metrics.String()
	}
	if l.Control = conf.Control; l.Control == "off" {
		l.Control = ""
	}
	l.TopSample = conf.TopSample
	l.Dnstap, l.DnstapSample, l.DnstapMessages = conf.Dnstap.To, conf.Dnstap.Sample, conf.Dnstap.Messages
	l.QueryLog, l.QueryLogClients, l.QueryLogNames, l.QueryLogSample = conf.QueryLog.File, conf.QueryLog.Clients, conf.QueryLog.Names, conf.QueryLog.Sample
	return l
}

// roleOf says which of the kinds of servers of the DNS this one is.
func roleOf(conf *config.Config) string {
	switch {
	case len(conf.Resolver.Listen) == 0:
		return "authority"
	case len(conf.Listen) == 0:
		return "resolver"
	}
	return "authority and resolver"
}

// placesOf are where zones are served, and where the resolver answers.
func placesOf(conf *config.Config, d *daemon.Daemon) ([]place, error) {
	var places []place
	for _, role := range []struct {
		listen  []config.Endpoint
		threads int
		handler transport.Handler
		as      dnstap.Role
	}{{conf.Listen, conf.Threads, d, dnstap.Authority}, {conf.Resolver.Listen, conf.Resolver.Threads, d.Resolver(), dnstap.Resolver}} {
		if len(role.listen) == 0 {
			continue
		}
		endpoints, err := endpointsOf(role.listen)
		if err != nil {
			return nil, err
		}
		if role.as == dnstap.Resolver {
			makeRoom()
		}
		places = append(places, place{endpoints, role.threads, role.handler, role.as})
	}
	return places, nil
}

func endpointsOf(listen []config.Endpoint) (list []endpoint, err error) {
	for _, e := range listen {
		out := endpoint{scheme: e.Scheme, addr: e.Addr, path: e.Path}
		if e.Scheme == "xdp" {
			if out.xdp, err = xdp.Parse(e.Text); err != nil {
				return nil, fmt.Errorf("listen: %w", err)
			}
		}
		list = append(list, out)
	}
	return list, nil
}

// mannersOf returns the flags that mean what the file says.
func mannersOf(c *config.Manners) *mannersFlags {
	f := &mannersFlags{
		NSID: c.NSID, ServerVersion: c.Version, ServerID: c.Hostname, MaxUDP: c.MaxUDP, ReportAgent: dnsName{c.ReportAgent},
		Cookies: c.Cookies.Enabled, CookieSecrets: c.Cookies.Secrets, RequireCookies: c.Cookies.Required,
	}
	if r := c.RateLimit; r.Rate > 0 || r.Stream > 0 {
		f.RateLimit, f.RateLimitTotal, f.RateLimitStream = r.Rate, r.Total, r.Stream
		f.RateLimitSlip, f.RateLimitLeak, f.RateLimitAllow, f.RateLimitSize = r.Slip, r.Leak, r.Allow, r.Size
	}
	return f
}
