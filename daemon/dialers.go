package daemon

import (
	"context"
	"crypto/tls"
	"net/netip"

	"onoma/resolver/upstream"
	"onoma/transport/https"
	"onoma/transport/quic"
)

// Dialers are the clients of QUIC and HTTPS, which a resolver does not have itself.
func Dialers() upstream.Dialers {
	return upstream.Dialers{
		QUIC: func(ctx context.Context, from netip.Addr, to netip.AddrPort, cfg *tls.Config) (upstream.Conn, error) {
			c, err := quic.Dial(ctx, from, to, cfg)
			if err != nil {
				return nil, err
			}
			return c, nil
		},
		HTTPS: func(url string, to netip.AddrPort, cfg *tls.Config) (upstream.Conn, error) {
			return https.NewClient(url, to, cfg, false), nil
		},
	}
}
