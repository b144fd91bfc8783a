package quic

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"onoma/transport"
)

// conn is one connection.
type conn struct {
	srv   *Server
	qc    *quic.Conn
	place *Place
	local netip.AddrPort

	final      atomic.Int64 // size of the stream looked at last, -1 while it has not ended
	open       atomic.Int64 // streams being answered
	lastActive atomic.Int64 // Unix nanoseconds
}

func (c *conn) touch() { c.lastActive.Store(time.Now().UnixNano()) }

// peer returns the names in the client's certificate, once the handshake has verified it.
func (c *conn) peer() []string {
	if c.srv.cfg.TLS.ClientAuth == tls.NoClientCert {
		return nil
	}
	state := c.qc.ConnectionState().TLS
	return transport.PeerNames(&state)
}

func (c *conn) close(code quic.ApplicationErrorCode, why string) { c.qc.CloseWithError(code, why) }

// violated ends the connection of a client that does not keep to the protocol (RFC 9250 §4.3.3).
func (c *conn) violated(why error) {
	c.srv.protocolErrors.Add(1)
	c.close(codeProtocol, why.Error())
}

// inlineMax is the longest stream that the connection's own goroutine reads: a usual query, which is one packet.
const inlineMax = 1024

// serve takes streams until the connection ends.
func (c *conn) serve() {
	defer c.srv.forget(c)
	c.srv.wg.Go(c.awaitHandshake)
	ended := c.noteFinal
	for {
		st, err := c.qc.AcceptStream(c.qc.Context())
		if err != nil {
			return
		}
		s := c.begin(st)
		// A stream whose end is known is here whole, but for packets that were reordered; reading it does not wait.
		c.final.Store(-1)
		st.SetReceiveFinalSizeCallback(ended)
		if n := c.final.Load(); n >= 0 && n <= inlineMax {
			s.serve()
			continue
		}
		st.SetReceiveFinalSizeCallback(nil)
		if !c.srv.admitPartial() {
			s.refuse()
			continue
		}
		c.srv.wg.Go(s.await)
	}
}

func (c *conn) noteFinal(size int64) { c.final.Store(size) }

func (c *conn) awaitHandshake() {
	select {
	case <-c.qc.HandshakeComplete():
		c.srv.handshakes.Add(1)
		if c.qc.ConnectionState().TLS.DidResume {
			c.srv.resumed.Add(1)
		}
	case <-c.qc.Context().Done():
	}
	c.place.Settle()
}

// handshaken reports whether the client has proved to be live: what came before may have been replayed (RFC 9250 §4.5).
func (c *conn) handshaken() bool {
	select {
	case <-c.qc.HandshakeComplete():
		return true
	default:
		return false
	}
}

// client is who asks; a connection may move to another address (RFC 9000 §9).
func (c *conn) client() netip.AddrPort {
	a, ok := c.qc.RemoteAddr().(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// begin borrows what answering on st takes.
func (c *conn) begin(st *quic.Stream) *stream {
	c.open.Add(1)
	c.srv.inFlight.n.Add(1)
	s := c.srv.streams.Get().(*stream)
	s.conn, s.st = c, st
	s.refs.Store(1)
	return s
}
