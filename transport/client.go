package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Client asks single questions. The zero value works. It is safe for concurrent use and must not be copied.
//
// Over UDP each question has a socket of its own, connected to the server and bound to a random port (RFC 5452 §9.2, §10),
// so the kernel drops what comes from elsewhere, and one guess of a port says nothing about the next. A reply that does not
// match is not an answer and not an error: it is counted, and waiting goes on for the one that does (RFC 5452 §9.1).
type Client struct {
	Local   netip.Addr    // source address; the zero Addr leaves it to the system
	Timeout time.Duration // where the context has no deadline: 5 s

	// MaxIgnored ends an exchange with Kind Spoofed when more replies than that did not match; 0 waits on. A resolver that
	// sees one goes to TCP.
	MaxIgnored int

	// Reuse keeps up to so many idle TCP connections for each server, IdleTimeout long (2 s), for the next question.
	Reuse       int
	IdleTimeout time.Duration

	// TLS says whom to trust over TLS, as which name, and where sessions are kept for the next connection.
	TLS *tls.Config

	rand func() uint16 // a port; tests replace it
	now  func() time.Time

	mu   sync.Mutex
	idle map[destination][]*idleConn
}

// destination is where connections lead to.
type destination struct {
	proto  Proto
	server netip.AddrPort
}

// Reply is what came back.
type Reply struct {
	Msg     []byte         // in the caller's buffer where that is long enough
	RTT     time.Duration  // from sending the question; over TCP from connecting, where that was needed
	Local   netip.AddrPort // where it was asked from
	Ignored Ignored        // what came before it and did not match
}

// Ignored counts messages that came while the reply was waited for, and were not it.
type Ignored struct {
	Source    int // from elsewhere, in the moment before the socket was connected
	Malformed int // shorter than a header, or not a reply
	ID        int // another ID
	Question  int // the right ID, another opcode or question
}

// Total is the number of all of them.
func (g Ignored) Total() int { return g.Source + g.Malformed + g.ID + g.Question }

// Exchange sends query to server over proto, UDP, TCP or TLS, and returns the first reply that matches. The reply is put in buf
// where that has the capacity. It ends with the context; the error is an *ExchangeError.
func (c *Client) Exchange(ctx context.Context, proto Proto, server netip.AddrPort, query, buf []byte) (Reply, error) {
	x := &exchange{client: c, proto: proto, server: netip.AddrPortFrom(server.Addr().Unmap(), server.Port()), query: query, buf: buf}
	if err := x.check(); err != nil {
		return Reply{}, x.fail(Failed, err)
	}
	ctx, cancel := c.withDeadline(ctx)
	defer cancel()
	if ctx.Err() != nil {
		return Reply{}, x.failed(ctx, ctx.Err())
	}
	var err error
	switch proto {
	case UDP:
		err = x.overUDP(ctx)
	default:
		err = x.overTCP(ctx)
	}
	if err != nil {
		return Reply{}, x.failed(ctx, err)
	}
	return x.reply, nil
}

func (c *Client) withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	timeout := c.Timeout
	orDuration(&timeout, 5*time.Second)
	return context.WithTimeout(ctx, timeout)
}

func (c *Client) clock() time.Time {
	if c.now == nil {
		return time.Now()
	}
	return c.now()
}

// exchange is one question on its way.
type exchange struct {
	client *Client
	proto  Proto
	server netip.AddrPort
	query  []byte
	buf    []byte
	sent   time.Time
	reply  Reply
}

func (x *exchange) check() error {
	switch {
	case len(x.query) < headerLen || len(x.query) > MaxMessage:
		return fmt.Errorf("the query has %d bytes, %d to %d are possible", len(x.query), headerLen, MaxMessage)
	case !x.server.IsValid() || x.server.Port() == 0:
		return fmt.Errorf("%v is not a server's address and port", x.server)
	case x.proto > TLS:
		return fmt.Errorf("questions can be sent over udp, tcp and tls, not %v", x.proto)
	case x.proto == TLS && x.client.TLS == nil:
		return errors.New("nothing says whom to trust over tls")
	case x.client.Local.IsValid() && x.client.Local.Unmap().Is4() != x.server.Addr().Is4():
		return fmt.Errorf("the source address %v is of another IP version", x.client.Local)
	}
	return nil
}

// take makes msg the reply if it is the one that is waited for.
func (x *exchange) take(msg []byte) bool {
	switch Match(x.query, msg) {
	case Malformed:
		x.reply.Ignored.Malformed++
	case OtherID:
		x.reply.Ignored.ID++
	case OtherQuestion:
		x.reply.Ignored.Question++
	case Matches:
		x.reply.Msg = append(x.buf[:0], msg...)
		x.reply.RTT = x.client.clock().Sub(x.sent)
		return true
	}
	return false
}

// flooded reports that more was ignored than the client bears.
func (x *exchange) flooded() bool {
	return x.client.MaxIgnored > 0 && x.reply.Ignored.Total() > x.client.MaxIgnored
}
