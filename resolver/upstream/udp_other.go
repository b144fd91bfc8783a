//go:build !linux

package upstream

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// socket is a source address: elsewhere than on Linux each exchange has a fresh
// socket, on a port that the system chooses, connected to the server.
type socket struct{ local netip.Addr }

func openSocket(local netip.Addr) (*socket, error) { return &socket{local}, nil }

func (s *socket) close() {}

// exchange sends the question and waits for the reply, until ctx ends.
func (s *socket) exchange(ctx context.Context, x *exchange) ([]byte, error) {
	network := "udp6"
	if s.local.Is4() {
		network = "udp4"
	}
	conn, err := net.DialUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.local, 0)), net.UDPAddrFromAddrPort(x.to.Addr))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if d, ok := ctx.Deadline(); ok {
		conn.SetReadDeadline(d)
	}
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(x.query); err != nil {
		return nil, err
	}
	buf := make([]byte, maxDatagram+1)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		switch isReply, err := x.judge(buf[:n]); {
		case err != nil:
			return nil, err
		case isReply && n > maxDatagram:
			return truncated(buf[:headerLen]), nil
		case isReply:
			return buf[:n], nil
		}
	}
}
