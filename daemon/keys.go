package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"

	"onoma/authority"
	"onoma/authority/secondary"
	"onoma/config"
	"onoma/dns"
	"onoma/transport/quic"
)

// readKeys returns the TSIG keys of a configuration. No error tells a secret.
func readKeys(conf *config.Config, getenv func(string) string) ([]dns.TSIGKey, error) {
	keys := make([]dns.TSIGKey, 0, len(conf.Keys))
	for i := range conf.Keys {
		k, err := readKey(&conf.Keys[i], getenv)
		if err != nil {
			return nil, fmt.Errorf("%s: key %s: %w", conf.Keys[i].At, conf.Keys[i].Name, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func readKey(k *config.Key, getenv func(string) string) (dns.TSIGKey, error) {
	if k.File == "" {
		secret, err := k.Secret.Octets(getenv)
		if err != nil {
			return dns.TSIGKey{}, err
		}
		algorithm, err := dns.ParseName(k.Algorithm)
		return dns.TSIGKey{Name: k.Name, Algorithm: algorithm, Secret: secret}, err
	}
	keys, _, err := authority.ReadKeys(k.File)
	if err != nil {
		return dns.TSIGKey{}, err
	}
	at := slices.IndexFunc(keys, func(other dns.TSIGKey) bool { return other.Name.Equal(k.Name) })
	if at < 0 {
		return dns.TSIGKey{}, fmt.Errorf("%s does not have it", k.File)
	}
	return keys[at], nil
}

// tlsOf returns how a server is spoken to over TLS and QUIC (RFC 9103 §9), nil
// where it is not.
func (p *planner) tlsOf(r *config.Remote) (*tls.Config, error) {
	if r.Transport == config.TransportTCP {
		return nil, nil
	}
	if c := p.tls[r]; c != nil {
		return c, nil
	}
	c, err := tlsConfig(&r.TLS)
	if err != nil {
		return nil, fmt.Errorf("server %s: %w", r.Name, err)
	}
	p.tls[r] = c
	return c, nil
}

// tlsConfig returns what of the other server's certificate has to be right.
func tlsConfig(t *config.RemoteTLS) (*tls.Config, error) {
	var trust secondary.Trust
	if t.Cert != "" {
		own, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate that is shown: %w", err)
		}
		trust.Certificate = &own
	}
	if t.Mode == config.TLSOpportunistic {
		return trust.Config(), nil
	}
	trust.Name = t.Name
	if t.CA != "" {
		text, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("reading whom to trust: %w", err)
		}
		trust.Roots = x509.NewCertPool()
		if !trust.Roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: there is no certificate in it, expected PEM", t.CA)
		}
	}
	for _, text := range t.Pin {
		pin, err := secondary.ParsePin(text)
		if err != nil {
			return nil, err
		}
		trust.Pins = append(trust.Pins, pin)
	}
	return trust.Config(), nil
}

// dialQUIC connects to a primary (RFC 9250).
func dialQUIC(ctx context.Context, p secondary.Primary) (secondary.Link, error) {
	c, err := quic.Dial(ctx, p.From, p.Addr, p.TLS)
	if err != nil {
		return nil, err
	}
	return c, nil
}
