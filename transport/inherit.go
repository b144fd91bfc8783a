package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// inherited returns the socket that there is for an address, nil where one is to be opened.
func (c *Config) inherited(p Proto, addr netip.AddrPort) *os.File {
	if c.Inherited == nil {
		return nil
	}
	return c.Inherited(p, addr)
}

// adoptListener makes a listener of an inherited socket.
func adoptListener(f *os.File, addr netip.AddrPort, dscp int) (*net.TCPListener, error) {
	defer f.Close() // what is made of it has a descriptor of its own
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("adopting a socket: %w", err)
	}
	t, ok := l.(*net.TCPListener)
	if !ok {
		l.Close()
		return nil, errors.New("adopting a socket: it is no TCP socket that listens")
	}
	if err := errors.Join(checkAdopted(t.Addr(), addr), markAdopted(t, addr, dscp)); err != nil {
		l.Close()
		return nil, err
	}
	return t, nil
}

// adoptPacketConn makes a UDP connection of an inherited socket.
func adoptPacketConn(f *os.File, addr netip.AddrPort, dscp int) (*net.UDPConn, error) {
	defer f.Close()
	pc, err := net.FilePacketConn(f)
	if err != nil {
		return nil, fmt.Errorf("adopting a socket: %w", err)
	}
	u, ok := pc.(*net.UDPConn)
	if !ok {
		pc.Close()
		return nil, errors.New("adopting a socket: it is no UDP socket")
	}
	if err := errors.Join(checkAdopted(u.LocalAddr(), addr), markAdopted(u, addr, dscp)); err != nil {
		pc.Close()
		return nil, err
	}
	return u, nil
}

// checkAdopted refuses a socket that is bound elsewhere.
func checkAdopted(is net.Addr, want netip.AddrPort) error {
	if got := addrPort(is); got != want {
		return fmt.Errorf("adopting a socket: it is bound to %v", got)
	}
	return nil
}

// markAdopted does what is otherwise done before binding.
func markAdopted(c syscall.Conn, addr netip.AddrPort, dscp int) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	if e := rc.Control(func(fd uintptr) { err = errors.Join(checkVersion(fd, addr.Addr()), mark(fd, addr.Addr(), dscp)) }); e != nil {
		return e
	}
	return err
}

// errBothVersions is about a socket that is bound to :: and takes IPv4, too: whom such a query was sent to, and who may ask,
// would be told in a form that nothing here has.
var errBothVersions = errors.New("adopting a socket: it takes IPv4 beside IPv6, expected one socket for each; BindIPv6Only=ipv6-only in the socket unit makes it so")
