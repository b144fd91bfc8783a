package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
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

// questionsEach is how many questions a QUIC connection carries before another takes its place: Knot 3.5 grants a
// connection 1,024 streams and no more.
const questionsEach = 1000

// quicConn is a connection that several askers share and that is renewed after a number of questions, or when it fails.
type quicConn struct {
	server netip.AddrPort

	mu   sync.Mutex
	conn *countedConn
}

// countedConn closes when it has had its questions and the last of them is answered.
type countedConn struct {
	*quic.Conn
	opened, open int // guarded by quicConn.mu
}

func (c *quicConn) dial() (*countedConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"doq"}, ServerName: "localhost"}
	conn, err := quic.DialAddr(ctx, c.server.String(), config, &quic.Config{MaxIdleTimeout: 30 * time.Second})
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: conn}, nil
}

// take returns the connection for one question. The lock is held while a new one is made: others would wait anyway.
func (c *quicConn) take() (*countedConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil || c.conn.opened == questionsEach || c.conn.Context().Err() != nil {
		conn, err := c.dial()
		if err != nil {
			return nil, err
		}
		c.conn = conn
	}
	c.conn.opened++
	c.conn.open++
	return c.conn, nil
}

func (c *quicConn) give(conn *countedConn) {
	c.mu.Lock()
	conn.open--
	last := conn.open == 0 && conn.opened == questionsEach
	c.mu.Unlock()
	if last {
		_ = conn.CloseWithError(0, "")
	}
}

// quicAsker asks on a stream of its own each time (RFC 9250 §4.2).
type quicAsker struct {
	conn *quicConn
	buf  [65537]byte
}

func (a *quicAsker) ask(ctx context.Context, query []byte) ([]byte, error) {
	conn, err := a.conn.take()
	if err != nil {
		return nil, err
	}
	defer a.conn.give(conn)
	s, err := conn.OpenStreamSync(ctx)
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

func (a *quicAsker) close() {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	if a.conn.conn != nil {
		_ = a.conn.conn.CloseWithError(0, "")
	}
}
