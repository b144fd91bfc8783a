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
type socket struct {
	local netip.Addr
	x     *exchange
	conn  *net.UDPConn // of the exchange that goes on
	err   error        // that there is none
}

func openSocket(local netip.Addr) (*socket, error) { return &socket{local: local}, nil }

func (s *socket) close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// begin sends the question.
func (s *socket) begin(x *exchange) {
	network := "udp6"
	if s.local.Is4() {
		network = "udp4"
	}
	s.x = x
	s.conn, s.err = net.DialUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.local, 0)), net.UDPAddrFromAddrPort(x.to.Addr))
	if s.err == nil {
		_, s.err = s.conn.Write(x.query)
	}
}

// wait waits for the reply until ctx ends, or until then; after that, which is
// os.ErrDeadlineExceeded, it may be called again.
func (s *socket) wait(ctx context.Context, until time.Time) ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	conn := s.conn
	conn.SetReadDeadline(earlier(ctx, until))
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	buf := make([]byte, maxDatagram+1)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		switch isReply, err := s.x.judge(buf[:n]); {
		case err != nil:
			return nil, err
		case isReply:
			s.close()
			if n > maxDatagram {
				return truncated(buf[:headerLen]), nil
			}
			return buf[:n], nil
		}
	}
}
