package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Port 0 comes to one port for UDP and TCP, on each address its own.
func TestPortZero(t *testing.T) {
	loopVariants(t, func(t *testing.T, cfg Config) {
		cfg.Handler, cfg.Threads = flip, 2
		cfg.Addrs = []netip.AddrPort{loopback(0), loopback(0), netip.AddrPortFrom(home.Next(), 0)}
		s := start(t, cfg)
		for i, a := range s.Addrs() {
			if a.Port() == 0 || a.Addr() != cfg.Addrs[i].Addr() {
				t.Errorf("%v became %v", cfg.Addrs[i], a)
			}
			for _, p := range []Proto{UDP, TCP} {
				c := dial(t, p, a)
				send(t, c, message(i, "x"))
				if idOf(receive(t, c)) != i {
					t.Errorf("%v over %v does not answer", a, p)
				}
			}
		}
	})
}

// A port that is taken for one protocol is taken, also by a server of the same user that shares ports between threads, and
// the error says so in words; nothing stays bound.
func TestAddressInUse(t *testing.T) {
	loopVariants(t, func(t *testing.T, cfg Config) {
		cfg.Handler, cfg.Threads = flip, 3
		udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback(0)))
		if err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		taken := loopback(udp.LocalAddr().(*net.UDPAddr).AddrPort().Port())
		wantInUse(t, cfg, taken, UDP)
		if l, err := net.Listen("tcp4", taken.String()); err != nil {
			t.Errorf("after the failure TCP stayed bound: %v", err)
		} else {
			l.Close()
		}
		other := start(t, cfg.on(loopback(0)))
		wantInUse(t, cfg, other.Addrs()[0], TCP)
	})
}

func TestSharedPortIsInUse(t *testing.T) {
	loopVariants(t, func(t *testing.T, cfg Config) {
		cfg.Handler, cfg.Threads = flip, 3
		other := start(t, cfg.on(loopback(0)))
		other.tcp.stopAccepting() // so that UDP alone stands in the way
		wantInUse(t, cfg, other.Addrs()[0], UDP)
	})
}

func (c Config) on(addr netip.AddrPort) Config {
	c.Addrs = []netip.AddrPort{addr}
	return c
}

func wantInUse(t *testing.T, cfg Config, addr netip.AddrPort, p Proto) {
	t.Helper()
	_, err := Listen(cfg.on(addr))
	var be *BindError
	if !errors.As(err, &be) || be.Addr != addr || be.Proto != p || !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("listening on %v gave %v, want it in use for %v", addr, err, p)
	}
	if !strings.Contains(err.Error(), "another server") || !strings.Contains(err.Error(), addr.String()) {
		t.Errorf("the error does not say what to do: %v", err)
	}
}

func TestBindErrorsSayWhatToDo(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.1:53")
	for _, c := range []struct {
		err  error
		want string
	}{
		{syscall.EACCES, "port 53 needs CAP_NET_BIND_SERVICE"},
		{syscall.EADDRINUSE, "is another server running there?"},
		{syscall.EADDRNOTAVAIL, "no interface of this machine has that address"},
		{syscall.EMFILE, "limit on open files"},
		{syscall.EAFNOSUPPORT, "IP version"},
	} {
		got := (&BindError{at, UDP, &net.OpError{Err: c.err}}).Error()
		if !strings.HasPrefix(got, "listening on 192.0.2.1:53 (udp): "+c.err.Error()) || !strings.Contains(got, c.want) {
			t.Errorf("%v reads %q, want %q in it", c.err, got, c.want)
		}
	}
	_, err := Listen(Config{Handler: flip, Addrs: []netip.AddrPort{at}})
	if !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("listening on a stranger's address gave %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, c := range map[string]Config{
		"no handler":      {Addrs: []netip.AddrPort{loopback(0)}},
		"no address":      {Handler: flip},
		"zero address":    {Handler: flip, Addrs: []netip.AddrPort{{}}},
		"twice":           {Handler: flip, Addrs: []netip.AddrPort{loopback(5555), loopback(5555)}},
		"threads":         {Handler: flip, Addrs: []netip.AddrPort{loopback(0)}, Threads: -1},
		"too many":        {Handler: flip, Addrs: []netip.AddrPort{loopback(0)}, Threads: 1 << 20},
		"message":         {Handler: flip, Addrs: []netip.AddrPort{loopback(0)}, TCP: TCPLimits{MaxMessage: 70000}},
		"negative limits": {Handler: flip, Addrs: []netip.AddrPort{loopback(0)}, TCP: TCPLimits{MaxConns: -1}},
	} {
		if s, err := Listen(c); err == nil {
			s.Close()
			t.Errorf("%s: was accepted", name)
		}
	}
}

// A shutdown lets detached queries be answered, over UDP and TCP, and takes no new ones.
func TestShutdownFinishesWhatIsInFlight(t *testing.T) {
	loopVariants(t, func(t *testing.T, cfg Config) {
		d := make(desk, 2)
		cfg.Handler = d
		s := listen(t, cfg)
		served := serve(t, s)
		udp, tcp, idle := dial(t, UDP, s.Addrs()[0]), dial(t, TCP, s.Addrs()[0]), dial(t, TCP, s.Addrs()[0])
		send(t, udp, message(1, "over udp"))
		one := d.next(t)
		send(t, tcp, message(2, "over tcp"))
		two := d.next(t)
		result := make(chan error, 1)
		go func() { result <- s.Shutdown(context.Background()) }()
		closed(t, idle)
		if c, err := net.Dial("tcp", s.Addrs()[0].String()); err == nil {
			c.Close()
			t.Error("a new connection is taken during a shutdown")
		}
		select {
		case err := <-result:
			t.Fatalf("Shutdown returned %v with queries in flight", err)
		default:
		}
		finish(t, two, "answer")
		if textOf(receive(t, tcp)) != "answer" {
			t.Error("a wrong answer came over TCP")
		}
		closed(t, tcp)
		finish(t, one, "answer") // now UDP alone is waited for
		if textOf(receive(t, udp)) != "answer" {
			t.Error("a wrong answer came over UDP")
		}
		if err := <-result; err != nil {
			t.Errorf("Shutdown returned %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// What is not answered in time is cut off, and its late answer fails without harm.
func TestShutdownHasADeadline(t *testing.T) {
	loopVariants(t, func(t *testing.T, cfg Config) {
		d := make(desk, 2)
		cfg.Handler, cfg.Grace = d, 20*time.Millisecond
		s := listen(t, cfg)
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx) }()
		udp, tcp := dial(t, UDP, s.Addrs()[0]), dial(t, TCP, s.Addrs()[0])
		send(t, udp, message(1, "over udp"))
		one := d.next(t)
		send(t, tcp, message(2, "over tcp"))
		two := d.next(t)
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve returned %v", err)
		}
		closed(t, tcp)
		for _, p := range []*Pending{one, two} {
			if err := p.Reply(message(3, "late")); err == nil {
				t.Errorf("a late reply over %v was sent", p.Proto)
			}
			p.Done()
		}
	})
}

func TestCloseWithoutServe(t *testing.T) {
	loopVariants(t, func(t *testing.T, cfg Config) {
		cfg.Handler = flip
		s := listen(t, cfg)
		s.Close()
		s.Close()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown of a closed server returned %v", err)
		}
		if err := s.Serve(context.Background()); !errors.Is(err, ErrClosed) {
			t.Errorf("Serve of a closed server returned %v", err)
		}
		start(t, cfg.on(s.Addrs()[0])) // the port is free again
	})
}

// A connection that waits in the backlog while no one serves yet is served later.
func TestListenBeforeServe(t *testing.T) {
	s := listen(t, Config{Handler: flip})
	c := dial(t, TCP, s.Addrs()[0])
	send(t, c, message(1, "early"))
	serve(t, s)
	if textOf(receive(t, c)) != "early" {
		t.Error("a wrong answer came")
	}
}
