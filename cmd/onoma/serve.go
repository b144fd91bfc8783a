package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"onoma/daemon/systemd"
	"onoma/telemetry"
	"onoma/telemetry/dnstap"
	"onoma/transport"
)

// listening are the flags of every verb that serves.
type listening struct {
	Listen  []endpoint `placeholder:"ADDR:PORT" help:"Serve UDP and TCP on this address, DNS over TLS, QUIC or HTTPS on tls://ADDR, quic://ADDR or https://ADDR/PATH, or by AF_XDP on xdp://IFACE:PORT; several with commas, or the flag again."`
	Threads int        `placeholder:"N" help:"UDP loops for each address, each tied to a CPU; for a machine that does nothing else. Without it one loop shares the CPUs with others."`
	tlsFlags
	proxyFlags
	floodFlags
	telemetryFlags
	socketFlags

	given *systemd.Sockets `kong:"-"` // of the service manager
}

// service is a set of listeners of one kind.
type service struct {
	run    func(context.Context) error
	addrs  string                  // in the order of the flags, with commas between them
	reload func()                  // on SIGHUP; may be nil
	report func(*telemetry.Report) // adds what the listeners count
}

// check refuses a server that is to listen nowhere.
func (l *listening) check(verb string) error {
	if len(l.Listen) == 0 {
		return hint(errors.New("missing flags: --listen=ADDR:PORT"), "onoma %s --help tells how", verb)
	}
	return nil
}

// serve answers by h until the context ends, and lets the operator do what ops has.
func (l *listening) serve(a *app, h transport.Handler, ops operations) error {
	p := place{listen: l.Listen, threads: l.Threads, handler: h}
	if ops.role == "resolver" {
		p.role = dnstap.Resolver
	}
	return l.serveAll(a, []place{p}, ops)
}

// serveAll does so at several places.
func (l *listening) serveAll(a *app, places []place, ops operations) error {
	if l.Threads < 0 {
		return fmt.Errorf("--threads %d: expected 1 or more", l.Threads)
	}
	in, err := l.watch(a, ops)
	if err != nil {
		return err
	}
	defer in.close()
	l.given, err = systemd.Inherited()
	if err != nil {
		a.log.Warn("some sockets are not used", "error", err)
	}
	var handlers []transport.Handler
	for i, p := range places {
		handlers = append(handlers, p.handler)
		places[i].handler = in.handler(p)
	}
	s, err := l.open(a, places)
	if err != nil {
		return err
	}
	if left := l.given.Left(); len(left) > 0 {
		a.log.Warn("sockets of the service manager that no address to listen on stands for are not answered", "sockets", left)
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	served := make(chan error, 1)
	go func() { served <- s.run(a.ctx) }()
	in.begin(s.addrs, s.report)
	a.log.Info("ready", "addresses", s.addrs)
	if ops.serving != nil {
		ops.serving()
	}
	manager := systemd.New(a.log)
	status := "serving " + s.addrs
	manager.Ready(status)
	go manager.Watch(a.ctx, isResponsive(handlers))
	stopping := a.ctx.Done()
	for {
		select {
		case err := <-served:
			if stopping != nil && a.ctx.Err() != nil { // both are ready where there was nothing to wait for
				manager.Stopping()
			}
			return err
		case <-stopping:
			stopping = nil
			manager.Stopping()
		case <-hangup:
			manager.Reloading()
			if s.reload != nil {
				s.reload()
			}
			in.hangup()
			manager.Ready(status)
		}
	}
}

// isResponsive returns what asks a worker of each handler a question, as nobody: one that is stuck does not return. What
// comes of it does not matter.
func isResponsive(handlers []transport.Handler) func(context.Context) error {
	var workers []transport.Worker
	for _, h := range handlers {
		workers = append(workers, h.NewWorker())
	}
	// A query for CLASS CH, which no server looks up elsewhere.
	msg := append([]byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, "\x02id\x06server\x00\x00\x10\x00\x03"...)
	return func(context.Context) error {
		loopback := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 1)
		for _, w := range workers {
			w.Answer(nil, &transport.Query{Msg: slices.Clone(msg), Client: loopback, Local: loopback, Proto: transport.TCP, Now: time.Now().UnixNano()})
		}
		return nil
	}
}
