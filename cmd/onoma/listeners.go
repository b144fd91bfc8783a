package main

import (
	"context"
	"crypto/tls"
	"net/netip"
	"strings"

	"golang.org/x/sync/errgroup"

	"onoma/resolver"
	"onoma/telemetry"
	"onoma/telemetry/dnstap"
	"onoma/transport"
	"onoma/transport/https"
	"onoma/transport/quic"
	"onoma/transport/xdp"
)

// place is some addresses, and who answers there.
type place struct {
	listen  []endpoint
	threads int
	handler transport.Handler
	role    dnstap.Role
}

// open binds everything that is to be listened on, or nothing.
func (l *listening) open(a *app, places []place) (service, error) {
	certs, err := l.certificatesFor(a, places)
	if err != nil {
		return service{}, err
	}
	o := opening{}
	var tell []func()
	for _, p := range places {
		if err := l.openPlace(a, &o, p, certs.config); err != nil {
			o.close()
			return service{}, err
		}
		if r, ok := p.handler.(*resolver.Resolver); ok {
			ways := o.ways(p.listen)
			tell = append(tell, func() { r.Designate(certs.names(), ways) })
		}
	}
	for _, f := range tell {
		f()
	}
	certs.afterReload(tell)
	if certs.start != nil {
		if err := certs.start(a.ctx, o.proof); err != nil {
			o.close()
			return service{}, err
		}
	}
	if o.isLarge {
		makeRoom()
	}
	return service{run: together(o.serves), addrs: strings.Join(o.texts, ","), reload: certs.reload, report: reportAll(o.reports)}, nil
}

func (l *listening) openPlace(a *app, o *opening, p place, certs *tls.Config) error {
	if err := l.proxyFlags.check(p.listen); err != nil {
		return err
	}
	cfg := transport.Config{
		Handler: p.handler, Addrs: addrsOf(p.listen, ""), Threads: p.threads, Pin: p.threads > 0, Log: a.log,
		TLSAddrs: addrsOf(p.listen, "tls"), TLSConfig: certs, ProxyFrom: l.ProxyFrom, NoTriage: !l.Triage, Vouch: l.vouch, DSCP: l.DSCP,
		Inherited: l.given.Take,
	}
	o.addrs = make(map[string][]netip.AddrPort)
	for _, open := range []func([]endpoint, transport.Config) error{o.xdp, o.sockets, o.quic, o.https} {
		if err := open(p.listen, cfg); err != nil {
			return err
		}
	}
	o.finish(p.listen)
	return nil
}

// opening gathers what is bound, one kind of listener after the other.
type opening struct {
	addrs   map[string][]netip.AddrPort // of the place at hand, by scheme, in the order of its endpoints
	texts   []string                    // of all places
	proof   netip.AddrPort              // that an ACME server reaches, if any
	isLarge bool                        // connections that want buffers
	serves  []func(context.Context) error
	reports []func(*telemetry.Report)
	closes  []func()
}

// finish notes what a place has been bound to.
func (o *opening) finish(listen []endpoint) {
	next := make(map[string]int)
	for _, e := range listen {
		if e.scheme == "xdp" {
			o.texts = append(o.texts, e.xdp.String())
			continue
		}
		text := o.addrs[e.scheme][next[e.scheme]].String()
		next[e.scheme]++
		if e.scheme != "" {
			text = e.scheme + "://" + text + e.path
		}
		o.texts = append(o.texts, text)
	}
	for _, scheme := range []string{"https", "tls"} {
		if addrs := o.addrs[scheme]; len(addrs) > 0 && !o.proof.IsValid() {
			o.proof = addrs[0]
		}
	}
	o.isLarge = o.isLarge || len(o.addrs["quic"])+len(o.addrs["https"]) > 0
}

func (o *opening) close() {
	for _, f := range o.closes {
		f()
	}
}

func (o *opening) xdp(listen []endpoint, cfg transport.Config) error {
	interfaces, err := listenXDP(listen, cfg)
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
func (o *opening) sockets(_ []endpoint, cfg transport.Config) error {
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

func (o *opening) quic(listen []endpoint, cfg transport.Config) error {
	addrs := addrsOf(listen, "quic")
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

func (o *opening) https(listen []endpoint, cfg transport.Config) error {
	var endpoints []https.Endpoint
	for _, e := range listen {
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
func (l *listening) certificatesFor(a *app, places []place) (certificates, error) {
	var encrypted []netip.Addr
	for _, p := range places {
		for _, e := range p.listen {
			if e.scheme != "" && e.scheme != "xdp" {
				encrypted = append(encrypted, e.addr.Addr())
			}
		}
	}
	if len(encrypted) == 0 {
		return certificates{names: noNames}, nil
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
