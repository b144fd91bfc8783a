package transport

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	// firstPort leaves out the ports that need privileges.
	firstPort = 1024
	// bindTries bounds the search for a free random port; on a machine where most are taken, the system chooses.
	bindTries = 16
)

// randomPort draws from the process's one source of randomness. Ports drawn from a pool per thread could be told apart by
// who watches some of them (CVE-2026-50252).
func randomPort() uint16 {
	for {
		var b [2]byte
		crand.Read(b[:])
		if p := binary.NativeEndian.Uint16(b[:]); p >= firstPort {
			return p
		}
	}
}

// packets are buffers that hold any datagram, since one that is too large cannot be read again.
var packets = sync.Pool{New: func() any { return new([MaxMessage]byte) }}

func (x *exchange) overUDP(ctx context.Context) error {
	conn, err := x.dialUDP()
	if err != nil {
		return err
	}
	defer conn.Close()
	defer bindToContext(ctx, conn)()
	if err := avoidFragments(conn, x.server.Addr()); err != nil {
		return err
	}
	x.reply.Local = conn.LocalAddr().(*net.UDPAddr).AddrPort()
	x.sent = x.client.clock()
	if _, err := conn.Write(x.query); err != nil {
		return err
	}
	return x.readUDP(conn)
}

// dialUDP makes a socket on a random port, connected to the server.
func (x *exchange) dialUDP() (*net.UDPConn, error) {
	port := x.client.rand
	if port == nil {
		port = randomPort
	}
	local := x.client.Local
	if !local.IsValid() {
		local = unspecified(x.server.Addr())
	}
	to := net.UDPAddrFromAddrPort(x.server)
	for range bindTries {
		from := net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, port()))
		conn, err := net.DialUDP(network(UDP, x.server.Addr()), from, to)
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) {
			return conn, err
		}
	}
	return net.DialUDP(network(UDP, x.server.Addr()), net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0)), to)
}

func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// readUDP reads until the reply comes. The kernel hands on only what came from the server, once the socket is connected.
func (x *exchange) readUDP(conn *net.UDPConn) error {
	p := packets.Get().(*[MaxMessage]byte)
	defer packets.Put(p)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(p[:])
		if err != nil {
			return err
		}
		if netip.AddrPortFrom(from.Addr().Unmap(), from.Port()) != x.server {
			x.reply.Ignored.Source++
		} else if x.take(p[:n]) {
			return nil
		}
		if x.flooded() {
			return errSpoofed
		}
	}
}

// bindToContext makes reads and writes on conn end with ctx. The function returned undoes it; it reports false when ctx
// ended, and conn is of no more use.
func bindToContext(ctx context.Context, conn net.Conn) (release func() bool) {
	if d, ok := ctx.Deadline(); ok {
		conn.SetDeadline(d)
	}
	return context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
}
