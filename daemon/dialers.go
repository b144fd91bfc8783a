package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"

	"onoma/resolver/upstream"
	"onoma/transport/https"
	"onoma/transport/quic"
)

// Trusting returns a resolver's network: servers that have to prove their name are
// certified by the authorities in the file ca; "" stands for the system's.
func Trusting(ca string) (upstream.Config, error) {
	cfg := upstream.Config{Dialers: Dialers()}
	if ca == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return cfg, fmt.Errorf("reading whom to trust: %w", err)
	}
	cfg.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	if !cfg.TLS.RootCAs.AppendCertsFromPEM(pem) {
		return cfg, fmt.Errorf("%s: expected certificates in PEM, there is none", ca)
	}
	return cfg, nil
}

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
		HTTPS: func(url string, to netip.AddrPort, cfg *tls.Config, h3 bool) (upstream.Conn, error) {
			return https.NewClient(url, to, cfg, h3), nil
		},
	}
}
