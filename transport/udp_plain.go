package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// plainSocket is UDP with nothing but package net: one packet at a time, one socket for all threads. It serves systems
// without batches, and the tests of the others, so that it cannot rot.
type plainSocket struct {
	udpSource
	conn *net.UDPConn
}

func openPlain(addr netip.AddrPort, cfg *Config) ([]udpSocket, error) {
	conn, err := listenPlain(addr, cfg)
	if err != nil {
		return nil, err
	}
	s := &plainSocket{conn: conn}
	s.addr, s.proxies = addr, cfg.ProxyFrom
	if err := s.tune(cfg); err != nil {
		conn.Close()
		return nil, err
	}
	return []udpSocket{s}, nil
}

func listenPlain(addr netip.AddrPort, cfg *Config) (*net.UDPConn, error) {
	if f := cfg.inherited(UDP, addr); f != nil {
		return adoptPacketConn(f, addr, cfg.DSCP)
	}
	pc, err := (&net.ListenConfig{Control: marked(addr.Addr(), cfg.DSCP)}).ListenPacket(context.Background(), network(UDP, addr.Addr()), addr.String())
	if err != nil {
		return nil, err
	}
	return pc.(*net.UDPConn), nil
}

func (s *plainSocket) tune(cfg *Config) error {
	// Systems refuse or trim sizes beyond their limits; the server works with what it gets.
	s.conn.SetReadBuffer(cfg.ReadBuffer)
	s.conn.SetWriteBuffer(cfg.WriteBuffer)
	if !s.wildcard() {
		return nil
	}
	if s.addr.Addr().Is4() {
		return ipv4.NewPacketConn(s.conn).SetControlMessage(ipv4.FlagDst, true)
	}
	return ipv6.NewPacketConn(s.conn).SetControlMessage(ipv6.FlagDst, true)
}

func (s *plainSocket) stop()        { s.conn.SetReadDeadline(time.Unix(1, 0)) }
func (s *plainSocket) close() error { return s.conn.Close() }

func (s *plainSocket) serve(st *seat, counts *counters) error {
	l := &plainLoop{sock: s, seat: st, in: make([]byte, udpSlot+1), oob: make([]byte, 128), out: make([]byte, 0, udpSlot)}
	for {
		n, oobn, _, client, err := s.conn.ReadMsgUDPAddrPort(l.in, l.oob)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			// Some systems report here that an earlier answer could not be delivered.
			st.log.warn("receiving over UDP failed", "error", err)
			time.Sleep(receiveRetry)
			continue
		}
		l.handle(l.in[:n], client, l.oob[:oobn])
		counts.publish(&st.tally)
	}
}

// receiveRetry keeps a socket that fails to receive from being asked without a pause.
const receiveRetry = 5 * time.Millisecond

type plainLoop struct {
	sock *plainSocket
	seat *seat
	in   []byte // one byte more than a slot: a packet that fills it is too large
	oob  []byte
	out  []byte
}

func (l *plainLoop) handle(msg []byte, client netip.AddrPort, oob []byte) {
	st := l.seat
	defer st.recovered()
	if !st.answerable(msg, client, len(msg) > udpSlot) {
		return
	}
	client = netip.AddrPortFrom(client.Addr().Unmap(), client.Port())
	st.q = Query{Msg: msg, Client: client, Local: l.sock.asked(oob), Proto: UDP, Now: st.log.now().UnixNano(), from: l.sock}
	to := hop{st.q.Client, st.q.Local}
	if l.sock.proxies != nil && !st.unproxied(l.sock.proxies, &hop{}) {
		return
	}
	answer := st.answer(l.out[:0])
	if !st.sendable(answer) {
		return
	}
	if err := l.sock.write(answer, to.client, to.local); err != nil {
		st.tally[nSendErrors]++
		return
	}
	st.tally[nAnswers]++
	st.tally[nBytesOut] += uint64(len(answer))
}

// asked returns the address that a packet was sent to.
func (s *plainSocket) asked(oob []byte) netip.AddrPort {
	if !s.wildcard() {
		return s.addr
	}
	var dst net.IP
	if s.addr.Addr().Is4() {
		var cm ipv4.ControlMessage
		if cm.Parse(oob) == nil {
			dst = cm.Dst
		}
	} else {
		var cm ipv6.ControlMessage
		if cm.Parse(oob) == nil {
			dst = cm.Dst
		}
	}
	if a, ok := netip.AddrFromSlice(dst); ok {
		return netip.AddrPortFrom(a.Unmap(), s.addr.Port())
	}
	return s.addr
}

func (s *plainSocket) write(msg []byte, client, local netip.AddrPort) error {
	_, _, err := s.conn.WriteMsgUDPAddrPort(msg, s.sourceControl(local.Addr()), client)
	return err
}

// sourceControl asks for local as the source address of an answer; nil where the socket has only one.
func (s *plainSocket) sourceControl(local netip.Addr) []byte {
	if !s.wildcard() || local.IsUnspecified() {
		return nil
	}
	if local.Is4() {
		return (&ipv4.ControlMessage{Src: local.AsSlice()}).Marshal()
	}
	return (&ipv6.ControlMessage{Src: local.AsSlice()}).Marshal()
}

func (s *plainSocket) reply(p *Pending, msg []byte) error {
	return s.sent(len(msg), s.write(msg, p.Client, p.Local))
}
