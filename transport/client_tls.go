package transport

import (
	"context"
	"crypto/tls"
	"net"
)

// dial connects, and over TLS shakes hands.
func (x *exchange) dial(ctx context.Context) (net.Conn, error) {
	conn, err := x.dialTCP(ctx)
	if err != nil || x.proto != TLS {
		return conn, err
	}
	secure := tls.Client(conn, x.client.dotConfig(x.server.Addr().String()))
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// dotConfig is the client's configuration for a server. One that names no server expects the address in the certificate.
func (c *Client) dotConfig(addr string) *tls.Config {
	cfg := c.TLS.Clone()
	cfg.NextProtos = []string{alpnDoT}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	if cfg.ServerName == "" {
		cfg.ServerName = addr
	}
	return cfg
}
