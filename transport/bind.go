package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// BindError says which address could not be had, why, and what to do about it.
type BindError struct {
	Addr  netip.AddrPort
	Proto Proto
	Err   error
}

func (e *BindError) Error() string {
	s := fmt.Sprintf("listening on %v (%v): %v", e.Addr, e.Proto, rootCause(e.Err))
	if hint := e.hint(); hint != "" {
		s += "; " + hint
	}
	return s
}

func (e *BindError) Unwrap() error { return e.Err }

func (e *BindError) hint() string {
	switch {
	case errors.Is(e.Err, syscall.EACCES), errors.Is(e.Err, syscall.EPERM):
		return fmt.Sprintf("port %d needs CAP_NET_BIND_SERVICE or root; ports from 1024 do not", e.Addr.Port())
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return "is another server running there?"
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return "no interface of this machine has that address"
	case errors.Is(e.Err, syscall.EMFILE), errors.Is(e.Err, syscall.ENFILE):
		return "the limit on open files is reached; raise it or listen on fewer addresses or threads"
	case errors.Is(e.Err, syscall.EAFNOSUPPORT):
		return "this machine does not have that IP version switched on"
	}
	return ""
}

// rootCause leaves out what net says about operation and address: BindError has said it.
func rootCause(err error) error {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return err
}

// portTries bounds the search for a port that is free for UDP and TCP alike; the second try is seldom needed.
const portTries = 100

// bound is what one address came to.
type bound struct {
	addr     netip.AddrPort
	listener *net.TCPListener
	socks    []udpSocket
}

func (b *bound) close() {
	if b.listener != nil {
		b.listener.Close()
	}
	for _, s := range b.socks {
		s.close()
	}
}

// bind opens TCP and UDP on one address. For port 0 the system chooses a TCP port, and UDP must be free there too.
func bind(addr netip.AddrPort, cfg *Config) (*bound, error) {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	for try := 1; ; try++ {
		b, err := bindOnce(addr, cfg)
		if err == nil || addr.Port() != 0 || try == portTries || !errors.Is(err, syscall.EADDRINUSE) {
			return b, err
		}
	}
}

func bindOnce(addr netip.AddrPort, cfg *Config) (*bound, error) {
	l, err := listenTCP(addr, TCP, cfg)
	if err != nil {
		return nil, &BindError{addr, TCP, err}
	}
	b := &bound{addr: l.Addr().(*net.TCPAddr).AddrPort(), listener: l}
	b.addr = netip.AddrPortFrom(b.addr.Addr().Unmap(), b.addr.Port())
	if cfg.plain {
		b.socks, err = openPlain(b.addr, cfg)
	} else {
		b.socks, err = openUDP(b.addr, cfg)
	}
	if err != nil {
		b.close()
		return nil, &BindError{b.addr, UDP, err}
	}
	return b, nil
}

func listenTCP(addr netip.AddrPort, p Proto, cfg *Config) (*net.TCPListener, error) {
	if f := cfg.inherited(p, addr); f != nil {
		return adoptListener(f, addr, cfg.DSCP)
	}
	// Idle time-outs are ours and far shorter than keep-alive probes.
	lc := net.ListenConfig{KeepAlive: -1, Control: marked(addr.Addr(), cfg.DSCP)}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), network(TCP, addr.Addr()), addr.String())
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// network names the protocol with its IP version, so that a socket on :: does not take IPv4 as well: 0.0.0.0 and :: are two
// addresses and may both be listened on.
func network(p Proto, a netip.Addr) string {
	if a.Unmap().Is4() {
		return p.String() + "4"
	}
	return p.String() + "6"
}
