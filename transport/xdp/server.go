package xdp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"onoma/transport"
)

// ErrUnavailable says that there is no AF_XDP to be had here: not this system, not this kernel, no right to it, or the
// interface is taken. What wraps it says which, and what to do.
var ErrUnavailable = errors.New("AF_XDP is not available")

// Server answers queries that come in by one interface.
type Server struct {
	cfg     Config
	addrs   []netip.AddrPort
	sockets *transport.Server
	engine  *engine // nil: sockets alone
	lack    error   // why there is no engine
}

// engineConfig is what an engine needs to know.
type engineConfig struct {
	*Config
	iface   *net.Interface
	addrs   []netip.AddrPort
	sockets *transport.Server
	log     *slog.Logger
}

// Listen attaches to the interface and binds its addresses. Where there is no AF_XDP, it logs a warning that says why, and
// the server answers over sockets alone; with Config.Strict that is an error.
func Listen(cfg Config) (*Server, error) {
	if cfg.Port == 0 {
		cfg.Port = defaultPort
	}
	log := cfg.Sockets.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	iface, err := net.InterfaceByName(cfg.Interface)
	if err != nil {
		return nil, fmt.Errorf("listening on %v: no interface of that name: %w", cfg, err)
	}
	s := &Server{cfg: cfg}
	if s.addrs, err = addresses(&cfg, iface); err != nil {
		return nil, fmt.Errorf("listening on %v: %w", cfg, err)
	}
	cfg.Sockets.Addrs = s.addrs
	if s.sockets, err = listenSockets(cfg.Sockets); err != nil {
		return nil, err
	}
	s.engine, err = newEngine(engineConfig{Config: &s.cfg, iface: iface, addrs: s.addrs, sockets: s.sockets, log: log})
	if err == nil {
		log.Info("AF_XDP attached", "interface", cfg.Interface, "addresses", list(s.addrs), "mode", s.engine.mode.String(), "queues", len(s.engine.loops),
			"zero-copy", s.engine.zeroCopy())
		return s, nil
	}
	s.lack = err
	if cfg.Strict {
		s.sockets.Close()
		return nil, fmt.Errorf("listening on %v: %w", cfg, err)
	}
	log.Warn("no AF_XDP: the interface's addresses are served over ordinary sockets", "interface", cfg.Interface,
		"addresses", list(s.addrs), "error", err)
	return s, nil
}

// How long an IPv6 address may be new: nobody can bind it until its host has heard no other claim it (RFC 4862 §5.4).
const (
	newPatience = 3 * time.Second
	newRetry    = 100 * time.Millisecond
)

// listenSockets binds the interface's addresses.
func listenSockets(cfg transport.Config) (*transport.Server, error) {
	for until := time.Now().Add(newPatience); ; time.Sleep(newRetry) {
		s, err := transport.Listen(cfg)
		if !errors.Is(err, syscall.EADDRNOTAVAIL) || time.Now().After(until) {
			return s, err
		}
	}
}

// addresses returns what to answer for.
func addresses(cfg *Config, iface *net.Interface) ([]netip.AddrPort, error) {
	addrs := cfg.Addrs
	if addrs == nil {
		var err error
		if addrs, err = interfaceAddrs(iface); err != nil {
			return nil, fmt.Errorf("reading the interface's addresses: %w", err)
		}
	}
	switch {
	case len(addrs) == 0:
		return nil, errors.New("the interface has no address; give it one, or name one with ?addr=ADDRESS")
	case len(addrs) > maxAddrs:
		return nil, fmt.Errorf("the interface has %d addresses, and up to %d are possible; name them with ?addr=ADDRESS", len(addrs), maxAddrs)
	}
	var out []netip.AddrPort
	for _, a := range addrs {
		a = a.Unmap()
		if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
			return nil, fmt.Errorf("%v is not an address of one host", a)
		}
		if a.IsLinkLocalUnicast() && a.Is6() {
			a = a.WithZone(iface.Name)
		}
		out = append(out, netip.AddrPortFrom(a, cfg.Port))
	}
	return out, nil
}

// list writes addresses with commas between them.
func list(addrs []netip.AddrPort) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, ",")
}

// interfaceAddrs returns the addresses of an interface but those of its link only.
func interfaceAddrs(iface *net.Interface) ([]netip.Addr, error) {
	list, err := iface.Addrs()
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, l := range list {
		if n, ok := l.(*net.IPNet); ok {
			if a, ok := netip.AddrFromSlice(n.IP); ok && !a.IsLinkLocalUnicast() {
				addrs = append(addrs, a.Unmap())
			}
		}
	}
	return addrs, nil
}

// Addrs returns the addresses that are answered for, over XDP and TCP.
func (s *Server) Addrs() []netip.AddrPort { return s.sockets.Addrs() }

// Lack returns nil where XDP is at work, or else why sockets answer alone.
func (s *Server) Lack() error { return s.lack }

// Serve answers until ctx ends or the interface is gone, then detaches from the interface, answers what is in flight and
// closes all.
func (s *Server) Serve(ctx context.Context) error {
	if s.engine == nil {
		return s.sockets.Serve(ctx)
	}
	// The sockets end after the loops: what a loop has detached is theirs to send.
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- s.sockets.Serve(inner) }()
	s.engine.start()
	var ended, err error
	select {
	case <-ctx.Done():
	case err = <-s.engine.failed:
	case ended = <-served:
		served <- nil
	}
	err = errors.Join(err, s.engine.close())
	cancel()
	return errors.Join(err, ended, <-served)
}

// Close ends a server that is not being served.
func (s *Server) Close() error {
	var err error
	if s.engine != nil {
		err = s.engine.close()
	}
	return errors.Join(err, s.sockets.Close())
}
