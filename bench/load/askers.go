package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"github.com/quic-go/quic-go"
)

// tcpAsker opens a connection for each question, as clients do whose answer was truncated.
type tcpAsker struct {
	server netip.AddrPort
	buf    [65537]byte
}

func (a *tcpAsker) ask(ctx context.Context, query []byte) ([]byte, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", a.server.String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := c.Write(query); err != nil {
		return nil, err
	}
	return readFramed(c, a.buf[:])
}

func (*tcpAsker) close() {}

// quicConn is a connection that several askers share; quic-go locks it.
type quicConn struct{ conn *quic.Conn }

func dialQUIC(server netip.AddrPort) (*quicConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"doq"}, ServerName: "localhost"}
	conn, err := quic.DialAddr(ctx, server.String(), config, &quic.Config{MaxIdleTimeout: 30 * time.Second})
	if err != nil {
		return nil, err
	}
	return &quicConn{conn}, nil
}

// quicAsker asks on a stream of its own each time (RFC 9250 §4.2).
type quicAsker struct {
	conn *quicConn
	buf  [65537]byte
}

func (a *quicAsker) ask(ctx context.Context, query []byte) ([]byte, error) {
	s, err := a.conn.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	defer s.CancelRead(0)
	if err := s.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := s.Write(query); err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	answer, err := readFramed(s, a.buf[:])
	if err != nil {
		return nil, err
	}
	// The end of the stream is read too: a stream that is not read to its end would be reset.
	var end [1]byte
	_, _ = s.Read(end[:])
	return answer, nil
}

func (a *quicAsker) close() { _ = a.conn.conn.CloseWithError(0, "") }
