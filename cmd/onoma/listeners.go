package main

import (
	"context"
	"net/netip"

	"golang.org/x/sync/errgroup"

	"onoma/telemetry"
	"onoma/transport"
	"onoma/transport/https"
	"onoma/transport/quic"
	"onoma/transport/xdp"
)

// open binds everything that --listen names, or nothing.
func (l *listening) open(a *app, h transport.Handler) (service, error) {
	if err := l.proxyFlags.check(l.Listen); err != nil {
		return service{}, err
	}
	certs, err := l.certificatesFor(a)
	if err != nil {
		return service{}, err
	}
	cfg := transport.Config{
		Handler: h, Addrs: addrsOf(l.Listen, ""), Threads: l.Threads, Pin: l.Threads > 0, Log: a.log,
		TLSAddrs: addrsOf(l.Listen, "tls"), TLSConfig: certs.config, ProxyFrom: l.ProxyFrom, NoTriage: !l.Triage, Vouch: l.vouch, DSCP: l.DSCP,
		Inherited: l.given.Take,
	}
	o := opening{addrs: make(map[string][]netip.AddrPort)}
	for _, open := range []func(*listening, transport.Config) error{o.xdp, o.sockets, o.quic, o.https} {
		if err := open(l, cfg); err != nil {
			o.close()
			return service{}, err
		}
	}
	if certs.start != nil {
		if err := certs.start(a.ctx, o.forProof()); err != nil {
			o.close()
			return service{}, err
		}
	}
	if len(o.addrs["quic"])+len(o.addrs["https"]) > 0 {
		makeRoom()
	}
	return service{run: together(o.serves), addrs: o.addrs, reload: certs.reload, report: reportAll(o.reports)}, nil
}

// opening gathers what is bound, one kind of listener after the other.
type opening struct {
	addrs   map[string][]netip.AddrPort
	serves  []func(context.Context) error
	reports []func(*telemetry.Report)
	closes  []func()
}

// forProof is the listener that an ACME server reaches, if any.
func (o *opening) forProof() netip.AddrPort {
	for _, scheme := range []string{"https", "tls"} {
		if addrs := o.addrs[scheme]; len(addrs) > 0 {
			return addrs[0]
		}
	}
	return netip.AddrPort{}
}

func (o *opening) close() {
	for _, f := range o.closes {
		f()
	}
}

func (o *opening) xdp(l *listening, cfg transport.Config) error {
	interfaces, err := l.listenXDP(cfg)
	if err != nil {
		return err
	}
	for _, x := range interfaces {
		o.serves = append(o.serves, x.Serve)
		o.reports = append(o.reports, func(r *telemetry.Report) { reportXDP(r, x.Stats()) })
		o.closes = append(o.closes, func() { x.Close() })
	}
	return nil
}

// sockets are those of UDP, TCP and TLS.
func (o *opening) sockets(_ *listening, cfg transport.Config) error {
	if len(cfg.Addrs)+len(cfg.TLSAddrs) == 0 {
		return nil
	}
	s, err := transport.Listen(cfg)
	if err != nil {
		return err
	}
	o.addrs[""], o.addrs["tls"] = s.Addrs(), s.TLSAddrs()
	o.serves = append(o.serves, s.Serve)
	o.reports = append(o.reports, func(r *telemetry.Report) { r.AddTransport(s.Stats()) })
	o.closes = append(o.closes, func() { s.Close() })
	return nil
}

func (o *opening) quic(l *listening, cfg transport.Config) error {
	addrs := addrsOf(l.Listen, "quic")
	if len(addrs) == 0 {
		return nil
	}
	s, err := quic.Listen(quic.Config{Handler: cfg.Handler, Addrs: addrs, TLS: cfg.TLSConfig, Log: cfg.Log})
	if err != nil {
		return err
	}
	o.library("quic", s, func() (transport.Counts, transport.ConnStats) {
		st := s.Stats()
		return st.Counts, st.Conns
	})
	return nil
}

func (o *opening) https(l *listening, cfg transport.Config) error {
	var endpoints []https.Endpoint
	for _, e := range l.Listen {
		if e.scheme == "https" {
			endpoints = append(endpoints, https.Endpoint{Addr: e.addr, Path: e.path})
		}
	}
	if len(endpoints) == 0 {
		return nil
	}
	s, err := https.Listen(https.Config{Handler: cfg.Handler, Endpoints: endpoints, TLS: cfg.TLSConfig, ProxyFrom: cfg.ProxyFrom, Log: cfg.Log})
	if err != nil {
		return err
	}
	o.library("https", s, func() (transport.Counts, transport.ConnStats) {
		st := s.Stats()
		return st.Counts, st.Conns
	})
	return nil
}

// library takes in a listener that a library makes.
func (o *opening) library(scheme string, s interface {
	Addrs() []netip.AddrPort
	Serve(context.Context) error
	Close()
}, stats func() (transport.Counts, transport.ConnStats)) {
	o.addrs[scheme] = s.Addrs()
	o.serves = append(o.serves, s.Serve)
	o.reports = append(o.reports, func(r *telemetry.Report) {
		counts, conns := stats()
		r.AddCounts(scheme, counts)
		r.AddConns(scheme, conns)
	})
	o.closes = append(o.closes, s.Close)
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
func together(serves []func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		for _, serve := range serves {
			g.Go(func() error { return serve(ctx) })
		}
		return g.Wait()
	}
}

// reportXDP adds what an interface counts: its queues are loops, and what the kernel was passed came by its sockets.
func reportXDP(r *telemetry.Report, s xdp.Stats) {
	r.AddCounts("xdp", s.Counts.Counts)
	for reason, n := range map[string]uint64{
		"checksum": s.BadChecksum, "malformed": s.Malformed, "source": s.BadSource, "alien": s.Alien, "no-frame": s.NoFrame,
	} {
		if n > 0 {
			r.Transports["xdp"].Dropped[reason] += n
		}
	}
	for _, l := range s.Loops {
		r.AddLoop(l.Counts)
	}
	r.KernelDrops += s.Kernel.Dropped + s.Kernel.RingFull
	r.AddTransport(s.Sockets)
}

// reportAll lets all add to a report.
func reportAll(reports []func(*telemetry.Report)) func(*telemetry.Report) {
	return func(r *telemetry.Report) {
		for _, f := range reports {
			f(r)
		}
	}
}
