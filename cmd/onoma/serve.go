package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"onoma/telemetry"
	"onoma/transport"
)

// listening are the flags of every verb that serves.
type listening struct {
	Listen  []endpoint `required:"" placeholder:"ADDR:PORT" help:"Serve UDP and TCP on this address, DNS over TLS, QUIC or HTTPS on tls://ADDR, quic://ADDR or https://ADDR/PATH, or by AF_XDP on xdp://IFACE:PORT; several with commas, or the flag again."`
	Threads int        `placeholder:"N" help:"UDP loops for each address, each tied to a CPU; for a machine that does nothing else. Without it one loop shares the CPUs with others."`
	tlsFlags
	proxyFlags
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
	if ops.serving != nil {
		ops.serving()
	}
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
			texts[i] = e.scheme + "://" + texts[i] + e.path
		}
		next[e.scheme]++
	}
	return strings.Join(texts, ",")
}
