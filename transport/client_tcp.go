package transport

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"
)

func (x *exchange) overTCP(ctx context.Context) error {
	x.sent = x.client.clock()
	if conn := x.client.takeIdle(destination{x.proto, x.server}); conn != nil {
		// The server may have closed it in the meantime; then the question is asked anew (RFC 7766 §6.2.4).
		err := x.askTCP(ctx, conn)
		if err == nil || KindOf(err) != Broken || ctx.Err() != nil {
			return err
		}
		x.sent = x.client.clock()
	}
	conn, err := x.dial(ctx)
	if err != nil {
		return err
	}
	return x.askTCP(ctx, conn)
}

func (x *exchange) dialTCP(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1}
	if l := x.client.Local; l.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(l, 0))
	}
	return d.DialContext(ctx, network(TCP, x.server.Addr()), x.server.String())
}

// askTCP asks on conn, and keeps it for the next question if all went well.
func (x *exchange) askTCP(ctx context.Context, conn net.Conn) error {
	release := bindToContext(ctx, conn)
	x.reply.Local = addrPort(conn.LocalAddr())
	err := x.converse(conn)
	if release() && err == nil && x.reply.Ignored.Total() == 0 && x.client.keepIdle(destination{x.proto, x.server}, conn) {
		return nil
	}
	conn.Close()
	return err
}

func (x *exchange) converse(conn net.Conn) error {
	frame := make([]byte, lengthLen, lengthLen+len(x.query))
	putLength(frame, len(x.query))
	// Length and message in one write (RFC 7766 §8).
	if _, err := conn.Write(append(frame, x.query...)); err != nil {
		return err
	}
	for {
		msg, err := readFrame(conn, x.buf)
		if err != nil {
			return err
		}
		x.buf = msg // it may have grown
		if x.take(msg) {
			return nil
		}
		if x.flooded() {
			return errSpoofed
		}
	}
}

// readFrame reads one message into buf, or into a longer one.
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	var length [lengthLen]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(length[:]))
	buf = slices.Grow(buf[:0], n)[:n]
	_, err := io.ReadFull(r, buf)
	return buf, err
}

// idleConn is a connection kept for the next question; the timer closes it.
type idleConn struct {
	conn  net.Conn
	timer *time.Timer
}

// takeIdle returns the connection to a destination that was used last, nil if there is none.
func (c *Client) takeIdle(to destination) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		kept := c.idle[to]
		if len(kept) == 0 {
			return nil
		}
		last := kept[len(kept)-1]
		c.setIdle(to, kept[:len(kept)-1])
		if last.timer.Stop() {
			return last.conn
		}
	}
}

// keepIdle takes conn back, unless enough are kept.
func (c *Client) keepIdle(to destination, conn net.Conn) bool {
	timeout := c.IdleTimeout
	orDuration(&timeout, 2*time.Second)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle[to]) >= c.Reuse {
		return false
	}
	conn.SetDeadline(time.Time{})
	kept := &idleConn{conn: conn}
	kept.timer = time.AfterFunc(timeout, func() { c.expire(to, kept) })
	c.setIdle(to, append(c.idle[to], kept))
	return true
}

func (c *Client) setIdle(to destination, kept []*idleConn) {
	if c.idle == nil {
		c.idle = make(map[destination][]*idleConn)
	}
	if len(kept) == 0 {
		delete(c.idle, to)
		return
	}
	c.idle[to] = kept
}

func (c *Client) expire(to destination, old *idleConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old.conn.Close()
	c.setIdle(to, slices.DeleteFunc(c.idle[to], func(k *idleConn) bool { return k == old }))
}

// CloseIdle closes the connections that are kept for further questions.
func (c *Client) CloseIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, kept := range c.idle {
		for _, k := range kept {
			k.timer.Stop()
			k.conn.Close()
		}
	}
	c.idle = nil
}
