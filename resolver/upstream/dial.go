package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strconv"

	"onoma/transport"
)

// alpnDoT is what DNS over TLS is called in the handshake (RFC 7858 §3.2, IANA).
const alpnDoT = "dot"

// maxSessions is how many TLS sessions of a kind are remembered.
const maxSessions = 1024

// dial makes a connection of any kind but UDP.
func (n *Network) dial(ctx context.Context, to transport.Target) (Conn, error) {
	switch {
	case to.Proto == transport.TCP:
		conn, err := n.connect(ctx, to.Addr)
		if err != nil {
			return nil, err
		}
		return newStream(conn, n.Uint64), nil
	case to.Proto == transport.TLS:
		return n.dialTLS(ctx, to)
	case to.Proto == transport.QUIC && n.cfg.Dialers.QUIC != nil:
		return n.cfg.Dialers.QUIC(ctx, n.source(to.Addr.Addr()), to.Addr, n.trust(to))
	case to.Proto == transport.HTTPS && n.cfg.Dialers.HTTPS != nil:
		host := to.Name
		if host == "" {
			host = to.Addr.Addr().String()
		}
		url := "https://" + net.JoinHostPort(host, strconv.Itoa(int(to.Addr.Port()))) + to.Path
		return n.cfg.Dialers.HTTPS(url, to.Addr, n.trust(to), to.HTTP3)
	}
	return nil, unknownProto(to.Proto)
}

func (n *Network) connect(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1}
	if from := n.source(to.Addr()); from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	network := "tcp6"
	if to.Addr().Is4() {
		network = "tcp4"
	}
	return d.DialContext(ctx, network, to.String())
}

func (n *Network) source(to netip.Addr) netip.Addr {
	if to.Is4() {
		return n.cfg.Source4
	}
	return n.cfg.Source6
}

func (n *Network) dialTLS(ctx context.Context, to transport.Target) (Conn, error) {
	conn, err := n.connect(ctx, to.Addr)
	if err != nil {
		return nil, err
	}
	cfg := n.trust(to)
	cfg.NextProtos = []string{alpnDoT}
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return newStream(secure, n.Uint64), nil
}

// trust is how a server proves that it is who to names: sessions of those that have
// to are remembered apart, since a resumed one is not verified again. Who has
// nothing to prove is not told any name (RFC 9539 §4).
func (n *Network) trust(to transport.Target) *tls.Config {
	if to.HTTP3 {
		to.Proto = transport.QUIC // sessions of TCP are of no use there
	}
	if to.Name == "" {
		return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, ClientSessionCache: n.sessions[0][to.Proto]}
	}
	cfg := &tls.Config{}
	if n.cfg.TLS != nil {
		cfg = n.cfg.TLS.Clone()
	}
	cfg.MinVersion, cfg.ServerName, cfg.ClientSessionCache = max(cfg.MinVersion, tls.VersionTLS12), to.Name, n.sessions[1][to.Proto]
	return cfg
}
