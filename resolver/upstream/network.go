package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"onoma/transport"
)

// Network is the outside world of a resolver: clock, randomness and exchanges. It
// is safe for concurrent use. Make it with New, end it with Close.
type Network struct {
	cfg  Config
	udp  [2]datagrams // IPv4, IPv6
	line lines

	habits habits
	counts counts

	sessions [2][transport.HTTPS + 1]tls.ClientSessionCache // of servers that had nothing to prove, and of those that did
}

// Config says how a Network works. The zero value is good.
type Config struct {
	Source4, Source6 netip.Addr // of what is sent; the zero Addr leaves it to the system
	Sockets          int        // UDP sockets at the same time, for each family; 0: 4096

	Connections int           // of all other kinds, at the same time; 0: 1024
	Idle        time.Duration // how long one is kept that nobody uses; 0: 10 s
	TLS         *tls.Config   // whom servers with a name are to be certified by; nil: the system's authorities
	Dialers     Dialers

	// Opportunistic has servers asked over TLS or QUIC once they are found to speak it, on port 853 (RFC 9539), whatever
	// transport of the plain ones is wanted.
	Opportunistic     bool
	OpportunisticPort uint16 // 0: 853
}

// New returns a Network.
func New(cfg Config) *Network {
	if cfg.Sockets == 0 {
		cfg.Sockets = 4096
	}
	if cfg.Connections == 0 {
		cfg.Connections = 1024
	}
	if cfg.Idle == 0 {
		cfg.Idle = 10 * time.Second
	}
	n := &Network{cfg: cfg}
	for i := range n.sessions {
		for proto := range n.sessions[i] {
			n.sessions[i][proto] = tls.NewLRUClientSessionCache(maxSessions)
		}
	}
	if cfg.OpportunisticPort == 0 {
		n.cfg.OpportunisticPort = encryptedPort
	}
	n.habits = habits{port: n.cfg.OpportunisticPort, now: time.Now, known: map[transport.Target]*habit{}}
	n.line = lines{most: cfg.Connections, idle: cfg.Idle, dial: n.dial, all: map[transport.Target]*line{}}
	n.udp[0].init(netip.IPv4Unspecified(), cfg.Source4, cfg.Sockets)
	n.udp[1].init(netip.IPv6Unspecified(), cfg.Source6, cfg.Sockets)
	return n
}

// Now returns the system's time.
func (*Network) Now() time.Time { return time.Now() }

// Exchange sends query to a server and returns the reply to it. It ends with ctx,
// whose deadline is how long is waited. An error is a *transport.ExchangeError.
func (n *Network) Exchange(ctx context.Context, to transport.Target, query []byte) ([]byte, error) {
	to.Addr = netip.AddrPortFrom(to.Addr.Addr().Unmap(), to.Addr.Port())
	x := exchange{to: to, query: query}
	if err := x.check(); err != nil {
		return nil, x.failed(ctx, err)
	}
	if n.cfg.Opportunistic && !to.Proto.IsEncrypted() {
		if reply, ok := n.inPrivate(ctx, to.Addr.Addr(), query); ok {
			return reply, nil
		}
	}
	if to.Proto == transport.UDP {
		return n.overUDP(ctx, &x)
	}
	if to.Proto.IsEncrypted() {
		query = padded(query)
	}
	reply, err := n.line.exchange(ctx, to, query)
	if err != nil {
		return nil, x.failed(ctx, err)
	}
	return reply, nil
}

// Close ends what is kept for further exchanges.
func (n *Network) Close() error {
	n.udp[0].close()
	n.udp[1].close()
	n.line.close()
	return nil
}

// headerLen is the length of a message's header.
const headerLen = 12

// exchange is one question on its way.
type exchange struct {
	to      transport.Target
	query   []byte
	ignored transport.Ignored
}

func (x *exchange) check() error {
	switch {
	case len(x.query) < headerLen || len(x.query) > transport.MaxMessage:
		return fmt.Errorf("the query has %d octets, %d to %d are possible", len(x.query), headerLen, transport.MaxMessage)
	case !x.to.Addr.IsValid() || x.to.Addr.Port() == 0:
		return fmt.Errorf("%v is not a server's address and port", x.to.Addr)
	case x.to.Proto > transport.HTTPS:
		return unknownProto(x.to.Proto)
	}
	return nil
}

var errSpoofed = errors.New("a reply that does not match")

// failed makes an ExchangeError of what went wrong.
func (x *exchange) failed(ctx context.Context, err error) error {
	e := &transport.ExchangeError{Server: x.to.Addr, Proto: x.to.Proto, Ignored: x.ignored, Err: err}
	switch {
	case errors.Is(err, errSpoofed):
		e.Kind, e.Err = transport.Spoofed, nil
	case errors.Is(ctx.Err(), context.Canceled):
		e.Kind, e.Err = transport.Canceled, ctx.Err()
	default:
		e.Kind = transport.KindOf(err)
	}
	return e
}

// judge says whether msg is the reply. Junk is passed over (a server may not be
// silenced by who throws rubbish at its answers: TuDoor); a message that is well
// formed but does not match is a guess, of which one is enough: the question goes
// to TCP, where there is nothing to guess.
func (x *exchange) judge(msg []byte) (isReply bool, err error) {
	switch transport.Match(x.query, msg) {
	case transport.Matches:
		return true, nil
	case transport.Malformed:
		x.ignored.Malformed++
		return false, nil
	case transport.OtherID:
		x.ignored.ID++
	case transport.OtherQuestion:
		x.ignored.Question++
	}
	return false, errSpoofed
}
