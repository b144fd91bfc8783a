package https

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"onoma/transport"
)

// listener lets in only as many TCP connections as the limits allow.
type listener struct {
	net.Listener
	srv *Server
}

// Accept returns the next connection that may stay.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: nc, srv: l.srv, remote: nc.RemoteAddr(), local: nc.LocalAddr()}
		from := addrOf(c.remote).Addr()
		if c.proxied = l.srv.cfg.ProxyFrom.Trust(from); !c.proxied {
			c.client = from // else nobody's, until it is known for whom it comes
		}
		if l.srv.tcp.Admit(c.client) == transport.Admitted {
			l.srv.accepted.Add(1)
			return c, nil
		}
		l.srv.refused.Add(1)
		nc.Close()
	}
}

func addrOf(a net.Addr) netip.AddrPort { return unmapped(a.(*net.TCPAddr).AddrPort()) }

// conn is a connection below TLS. Its goroutine asks for its addresses before anything else, and a proxy's header is read then.
type conn struct {
	net.Conn
	srv     *Server
	proxied bool

	opening       sync.Once
	failed        error // why there is nothing to read
	remote, local net.Addr

	mu     sync.Mutex
	client netip.Addr // who it is counted for
	closed bool
}

// RemoteAddr is who the connection is for.
func (c *conn) RemoteAddr() net.Addr {
	c.opening.Do(c.introduce)
	return c.remote
}

// LocalAddr is the address that was asked.
func (c *conn) LocalAddr() net.Addr {
	c.opening.Do(c.introduce)
	return c.local
}

// Read reads what is behind a proxy's header.
func (c *conn) Read(p []byte) (int, error) {
	c.opening.Do(c.introduce)
	if c.failed != nil {
		return 0, c.failed
	}
	return c.Conn.Read(p)
}

var errTooMany = errors.New("too many connections for this client")

func (c *conn) introduce() {
	if !c.proxied {
		return
	}
	c.Conn.SetReadDeadline(time.Now().Add(c.srv.cfg.Limits.HeaderTimeout))
	client, local, err := transport.ReadProxy(c.Conn, addrOf(c.remote), addrOf(c.local))
	if err != nil {
		c.failed = err
		return
	}
	c.remote, c.local = net.TCPAddrFromAddrPort(client), net.TCPAddrFromAddrPort(local)
	if !c.countFor(client.Addr()) {
		c.srv.refused.Add(1)
		c.failed = errTooMany
	}
}

// countFor counts the connection as that of another client.
func (c *conn) countFor(client netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.srv.tcp.Admit(client) != transport.Admitted {
		return false
	}
	c.srv.tcp.Release(c.client)
	c.client = client
	return true
}

// Close gives the connection's place back.
func (c *conn) Close() error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		c.srv.tcp.Release(c.client)
	}
	c.mu.Unlock()
	return c.Conn.Close()
}
