package https

import (
	"net"
	"net/netip"
	"sync"

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
		client := nc.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
		if l.srv.tcp.Admit(client) == transport.Admitted {
			l.srv.accepted.Add(1)
			return &conn{Conn: nc, limiter: l.srv.tcp, client: client}, nil
		}
		l.srv.refused.Add(1)
		nc.Close()
	}
}

// conn gives its place back when it is closed.
type conn struct {
	net.Conn
	limiter *transport.Limiter
	client  netip.Addr
	once    sync.Once
}

// Close closes the connection.
func (c *conn) Close() error {
	c.once.Do(func() { c.limiter.Release(c.client) })
	return c.Conn.Close()
}
