package transport

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// handed is a UDP and a TCP socket on one address, as a service manager hands them over.
func handed(t *testing.T, host string) (addr netip.AddrPort, give func(Proto, netip.AddrPort) *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", host)
	if err != nil {
		t.Skipf("no TCP on %s: %v", host, err)
	}
	addr = addrPort(l.Addr())
	pc, err := net.ListenPacket("udp", addr.String())
	if err != nil {
		t.Skipf("no UDP on %v: %v", addr, err)
	}
	t.Cleanup(func() { l.Close(); pc.Close() })
	return addr, func(p Proto, a netip.AddrPort) *os.File {
		var f *os.File
		switch {
		case a != addr:
			return nil
		case p == UDP:
			f, err = pc.(*net.UDPConn).File()
		default:
			f, err = l.(*net.TCPListener).File()
		}
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
}

func answers(t *testing.T, addr netip.AddrPort) {
	t.Helper()
	for i, p := range []Proto{UDP, TCP} {
		for k := range 5 { // of several threads, any may have it
			c := dial(t, p, addr)
			send(t, c, message(10*i+k, "x"))
			if got := idOf(receive(t, c)); got != 10*i+k {
				t.Errorf("over %v: answer %d, expected %d", p, got, 10*i+k)
			}
		}
	}
}

// A server serves sockets that it has not opened, one server after the other, as at a reload.
func TestInherited(t *testing.T) {
	loopVariants(t, func(t *testing.T, cfg Config) {
		for _, threads := range []int{1, 3} {
			addr, give := handed(t, "127.0.0.1:0")
			cfg.Handler, cfg.Threads, cfg.Inherited = flip, threads, give
			cfg.Addrs = []netip.AddrPort{addr, loopback(0)}
			for range 2 {
				s := start(t, cfg)
				if s.Addrs()[0] != addr {
					t.Errorf("the server is at %v, expected %v", s.Addrs()[0], addr)
				}
				for _, a := range s.Addrs() {
					answers(t, a)
				}
				if err := s.Shutdown(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// A socket that is not what the address says is refused, in words.
func TestInheritedIsChecked(t *testing.T) {
	loopVariants(t, func(t *testing.T, cfg Config) {
		addr, give := handed(t, "127.0.0.1:0")
		other := netip.AddrPortFrom(addr.Addr(), addr.Port()^1)
		cfg.Handler = flip
		for _, c := range []struct {
			name, want string
			addr       netip.AddrPort
			give       func(Proto, netip.AddrPort) *os.File
		}{
			{"another address", "bound to " + addr.String(), other, func(p Proto, _ netip.AddrPort) *os.File { return give(p, addr) }},
			{"TCP for UDP", "(udp)", addr, func(Proto, netip.AddrPort) *os.File { return give(TCP, addr) }},
			{"no socket", "non-socket", addr, func(Proto, netip.AddrPort) *os.File {
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				w.Close()
				return r
			}},
		} {
			cfg.Addrs, cfg.Inherited = []netip.AddrPort{c.addr}, c.give
			if s, err := Listen(cfg); err == nil {
				s.Close()
				t.Errorf("%s is accepted", c.name)
			} else if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, expected %q", c.name, err, c.want)
			}
		}
	})
}

// A socket for both IP versions is refused: its clients have addresses in a form of their own.
func TestInheritedOfBothVersions(t *testing.T) {
	if !haveIPv6(t) {
		t.Skip("there is no IPv6 here")
	}
	addr, give := handed(t, "[::]:0")
	if _, err := Listen(Config{Handler: flip, Addrs: []netip.AddrPort{addr}, Inherited: give}); err == nil || !strings.Contains(err.Error(), "BindIPv6Only=ipv6-only") {
		t.Errorf("%v, expected that it says how to have one for IPv6 only", err)
	}
}
