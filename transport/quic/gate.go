package quic

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/quic-go/quic-go"

	"onoma/transport"
)

// Gate decides about connection attempts, for all that is served over QUIC. Its methods are given to a quic.Transport.
type Gate struct {
	Limiter    *transport.Limiter
	RetryAbove int         // handshakes open at once, beyond which addresses are validated first
	Evict      func() bool // closes an idle connection and says whether there was one; nil: there never is

	Accepted, Refused atomic.Uint64
	handshaking       atomic.Int64
}

// Pressed reports that so many handshakes are open that the next client has to show that its address is its own.
func (g *Gate) Pressed(net.Addr) bool { return g.handshaking.Load() >= int64(g.RetryAbove) }

var errRefused = errors.New("too many connections")

// Admit is asked by quic-go for each connection attempt. The context ends with the connection, whatever became of it.
func (g *Gate) Admit(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	client := info.RemoteAddr.(*net.UDPAddr).AddrPort().Addr()
	verdict := g.Limiter.Admit(client)
	if verdict == transport.TooMany && g.Evict != nil && g.Evict() {
		verdict = g.Limiter.Admit(client)
	}
	if verdict != transport.Admitted {
		g.Refused.Add(1)
		return nil, errRefused
	}
	g.Accepted.Add(1)
	p := &Place{gate: g, client: client}
	g.handshaking.Add(1)
	context.AfterFunc(ctx, p.leave)
	return context.WithValue(ctx, placeKey{}, p), nil
}

// Place is a connection's share of the limits.
type Place struct {
	gate           *Gate
	client         netip.Addr
	shaken, vacant atomic.Bool
}

type placeKey struct{}

// PlaceOf returns the place of a connection that a Gate has admitted, else nil.
func PlaceOf(qc *quic.Conn) *Place {
	p, _ := qc.Context().Value(placeKey{}).(*Place)
	return p
}

// Settle says that the handshake is over.
func (p *Place) Settle() {
	if p.shaken.CompareAndSwap(false, true) {
		p.gate.handshaking.Add(-1)
	}
}

// SettleWith settles when qc's handshake is over.
func (p *Place) SettleWith(qc *quic.Conn) {
	go func() {
		select {
		case <-qc.HandshakeComplete():
		case <-qc.Context().Done():
		}
		p.Settle()
	}()
}

// leave gives the place back, once.
func (p *Place) leave() {
	p.Settle()
	if p.vacant.CompareAndSwap(false, true) {
		p.gate.Limiter.Release(p.client)
	}
}
