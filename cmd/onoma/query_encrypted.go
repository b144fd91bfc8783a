package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"onoma/inspect"
	"onoma/transport"
	"onoma/transport/https"
	"onoma/transport/quic"
)

// trustFlags say which servers to believe over encrypted transports.
type trustFlags struct {
	TLSCA    string `name:"tls-ca" placeholder:"FILE" xor:"trust" help:"Believe servers that these certificates vouch for (PEM), instead of those that the system knows."`
	TLSName  string `name:"tls-name" placeholder:"NAME" help:"The name that the server's certificate has to be for; without it the name or address after @."`
	Insecure bool   `xor:"trust" help:"Believe any server."`
	HTTP3    bool   `name:"http3" help:"Ask https:// over HTTP/3."`
}

// target is a server as it was written after @.
type target struct {
	proto transport.Proto // UDP where no transport was written
	host  string
	port  uint16
	path  string // of HTTPS
}

// parseTarget reads SERVER, SERVER:PORT, or either with tls://, quic:// or https:// in front, the last with a path behind.
func parseTarget(s string) (target, error) {
	t := target{host: s, port: schemes[""]}
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		protos := map[string]transport.Proto{"tls": transport.TLS, "quic": transport.QUIC, "https": transport.HTTPS}
		if t.proto, ok = protos[scheme]; !ok {
			return t, fmt.Errorf("@%s: there is no transport %s: expected tls://, quic:// or https://", s, scheme)
		}
		t.host, t.port = rest, schemes[scheme]
	}
	if t.proto == transport.HTTPS {
		t.path = https.DefaultPath
		if at := strings.IndexByte(t.host, '/'); at >= 0 {
			t.host, t.path = t.host[:at], t.host[at:]
		}
	}
	if h, p, err := net.SplitHostPort(t.host); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return t, fmt.Errorf("@%s: %q is not a port", s, p)
		}
		t.host, t.port = h, uint16(n)
	}
	t.host = strings.Trim(t.host, "[]")
	if t.proto != transport.UDP && t.host == "" {
		return t, fmt.Errorf("@%s: expected a server's name or address", s)
	}
	return t, nil
}

// secure is a network that also knows the encrypted transports.
type secure struct {
	inspect.Network
	tls    *tls.Config
	target target
	http3  bool
}

// network is what a server is asked by.
func (f *trustFlags) network(t target) (*secure, error) {
	n := &secure{target: t, http3: f.HTTP3}
	if !t.proto.IsEncrypted() {
		return n, nil
	}
	n.tls = &tls.Config{ServerName: t.host, InsecureSkipVerify: f.Insecure}
	if f.TLSName != "" {
		n.tls.ServerName = f.TLSName
	}
	if f.TLSCA == "" {
		return n, nil
	}
	pem, err := os.ReadFile(f.TLSCA)
	if err != nil {
		return nil, fmt.Errorf("reading whom to trust: %w", err)
	}
	n.tls.RootCAs = x509.NewCertPool()
	if !n.tls.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--tls-ca %s: expected certificates in PEM, there is none", f.TLSCA)
	}
	return n, nil
}

// Exchange sends one question.
func (n *secure) Exchange(ctx context.Context, target transport.Target, query []byte) (reply []byte, err error) {
	to, proto := target.Addr, target.Proto
	switch proto {
	case transport.TLS:
		c := transport.Client{TLS: n.tls}
		var r transport.Reply
		r, err = c.Exchange(ctx, proto, to, query, nil)
		reply = r.Msg
	case transport.QUIC:
		reply, err = quic.Exchange(ctx, to, n.tls, query)
	case transport.HTTPS:
		url := "https://" + net.JoinHostPort(n.target.host, strconv.Itoa(int(n.target.port))) + n.target.path
		c := https.NewClient(url, to, n.tls, n.http3)
		defer c.Close()
		reply, err = c.Exchange(ctx, query)
	default:
		return n.Network.Exchange(ctx, target, query)
	}
	return reply, distrusted(err)
}

// distrusted adds to a complaint about a certificate what can be done.
func distrusted(err error) error {
	var bad *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var other x509.HostnameError
	if errors.As(err, &bad) || errors.As(err, &unknown) || errors.As(err, &other) {
		return hint(err, "--tls-ca FILE says whom to trust, --tls-name NAME as whom, --insecure trusts anyone")
	}
	return err
}
