package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"onoma/telemetry"
	"onoma/transport"
)

// listening are the flags of every verb that serves.
type listening struct {
	Listen  []endpoint `required:"" placeholder:"ADDR:PORT" help:"Serve UDP and TCP on this address, DNS over TLS on tls://ADDR:PORT, or by AF_XDP on xdp://IFACE:PORT; several with commas, or the flag again."`
	Threads int        `placeholder:"N" help:"UDP loops for each address, each tied to a CPU; for a machine that does nothing else. Without it one loop shares the CPUs with others."`
	tlsFlags
	floodFlags
	telemetryFlags
	socketFlags
}

// service is a set of listeners of one kind.
type service struct {
	run    func(context.Context) error
	addrs  map[string][]netip.AddrPort // by scheme, in the order of the flags
	reload func()                      // on SIGHUP; may be nil
	report func(*telemetry.Report)     // adds what the listeners count
}

// serve answers by h until the context ends, and lets the operator do what ops has.
func (l *listening) serve(a *app, h transport.Handler, ops operations) error {
	if l.Threads < 0 {
		return fmt.Errorf("--threads %d: expected 1 or more", l.Threads)
	}
	in, err := l.watch(a, ops)
	if err != nil {
		return err
	}
	defer in.close()
	s, err := l.open(a, in.handler(h))
	if err != nil {
		return err
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	served := make(chan error, 1)
	go func() { served <- s.run(a.ctx) }()
	in.begin(l.list(s.addrs), s.report)
	a.log.Info("ready", "addresses", l.list(s.addrs))
	for {
		select {
		case err := <-served:
			return err
		case <-hangup:
			if s.reload != nil {
				s.reload()
			}
			in.hangup()
		}
	}
}

// open binds everything that --listen names, or nothing.
func (l *listening) open(a *app, h transport.Handler) (service, error) {
	certs, err := l.certificatesFor(a)
	if err != nil {
		return service{}, err
	}
	cfg := transport.Config{
		Handler: h, Addrs: addrsOf(l.Listen, ""), Threads: l.Threads, Pin: l.Threads > 0, Log: a.log,
		TLSAddrs: addrsOf(l.Listen, "tls"), TLSConfig: certs.config, NoTriage: !l.Triage, Vouch: l.vouch, DSCP: l.DSCP,
	}
	s := service{addrs: make(map[string][]netip.AddrPort), reload: certs.reload}
	var serves []func(context.Context) error
	var reports []func(*telemetry.Report)
	interfaces, err := l.listenXDP(cfg)
	if err != nil {
		return service{}, err
	}
	for _, x := range interfaces {
		serves = append(serves, x.Serve)
	}
	if len(cfg.Addrs)+len(cfg.TLSAddrs) > 0 {
		server, err := transport.Listen(cfg)
		if err != nil {
			closeXDP(interfaces)
			return service{}, err
		}
		serves = append(serves, server.Serve)
		reports = append(reports, func(r *telemetry.Report) { r.AddTransport(server.Stats()) })
		s.addrs[""], s.addrs["tls"] = server.Addrs(), server.TLSAddrs()
	}
	s.run = together(serves...)
	s.report = reportAll(reports)
	return s, nil
}

// certificatesFor is empty where nothing is encrypted.
func (l *listening) certificatesFor(a *app) (certificates, error) {
	var encrypted []netip.Addr
	for _, e := range l.Listen {
		if e.scheme != "" && e.scheme != "xdp" {
			encrypted = append(encrypted, e.addr.Addr())
		}
	}
	if len(encrypted) == 0 {
		return certificates{}, nil
	}
	return l.certificates(a.log, encrypted)
}

// together serves all until the context ends, or until one of them fails and takes the others with it.
func together(serves ...func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		for _, serve := range serves {
			g.Go(func() error { return serve(ctx) })
		}
		return g.Wait()
	}
}

// reportAll lets all add to a report.
func reportAll(reports []func(*telemetry.Report)) func(*telemetry.Report) {
	return func(r *telemetry.Report) {
		for _, f := range reports {
			f(r)
		}
	}
}

// list writes the addresses in the order of the flags, with commas between them.
func (l *listening) list(bound map[string][]netip.AddrPort) string {
	next := make(map[string]int)
	texts := make([]string, len(l.Listen))
	for i, e := range l.Listen {
		if e.scheme == "xdp" {
			texts[i] = e.xdp.String()
			continue
		}
		texts[i] = bound[e.scheme][next[e.scheme]].String()
		if e.scheme != "" {
			texts[i] = e.scheme + "://" + texts[i]
		}
		next[e.scheme]++
	}
	return strings.Join(texts, ",")
}
