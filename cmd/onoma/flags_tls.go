package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"

	"onoma/transport/certs"
)

// tlsFlags say where certificates come from.
type tlsFlags struct {
	TLSCert       []string `name:"tls-cert" placeholder:"FILE" help:"Certificate for tls://, https:// and quic:// (PEM, with its chain); the flag again for other names. Changed files are read again by themselves."`
	TLSKey        []string `name:"tls-key" placeholder:"FILE" help:"The key of the certificate; as many as there are certificates, in their order."`
	TLSSelfSigned bool     `name:"tls-self-signed" help:"Make up a certificate that nobody vouches for: for labs and tests."`
	TLSClientCA   string   `name:"tls-client-ca" placeholder:"FILE" help:"Believe clients' certificates that these sign (PEM), so that --transfer-to tls:NAME means something; without it nobody is asked for one."`
	ACMEDomain    []string `name:"acme-domain" placeholder:"NAME" help:"Have a CA certify this name of the server (ACME), and renew that in time; the flag again for more. The CA's proof comes over port 443 to https://, else to tls://."`
	ACMEEmail     string   `name:"acme-email" placeholder:"ADDRESS" help:"Where the CA may write to."`
	ACMECA        string   `name:"acme-ca" placeholder:"URL" help:"The CA's directory; Let's Encrypt's without it."`
	ACMERoots     string   `name:"acme-roots" placeholder:"FILE" help:"Whom to trust as the CA's web server (PEM); whom the system trusts without it."`
	ACMEDir       string   `name:"acme-dir" placeholder:"DIR" help:"Where keys and certificates are kept."`
}

// proxyFlags say who forwards for others.
type proxyFlags struct {
	ProxyFrom []netip.Prefix `placeholder:"PREFIX" help:"Take clients' addresses from the PROXY header (version 2) that everything from these networks then has to begin with, over UDP, TCP, tls:// and, over TCP, https://."`
}

// check refuses listeners that cannot have the header.
func (f *proxyFlags) check(listen []endpoint) error {
	for _, e := range listen {
		if len(f.ProxyFrom) > 0 && (e.scheme == "quic" || e.scheme == "xdp") {
			return hint(fmt.Errorf("--proxy-from does not go with %s://: there is no place for a PROXY header", e.scheme),
				"serve %s:// by another onoma, which clients reach themselves", e.scheme)
		}
	}
	return nil
}

// certificates is what the encrypted listeners use, and what SIGHUP does to it (nothing, if nil).
type certificates struct {
	config *tls.Config
	reload func()
	// start begins what needs a listener, whose address it is given if there is one over TCP; nil: nothing does.
	start func(context.Context, netip.AddrPort) error
	names func() []string // that they have
}

// afterReload has more done after the certificates were read again: their names may be others.
func (c *certificates) afterReload(more []func()) {
	if last := c.reload; last != nil && len(more) > 0 {
		c.reload = func() {
			last()
			for _, f := range more {
				f()
			}
		}
	}
}

func noNames() []string { return nil }

// certificates finds the certificates that the flags speak of, for a server on these addresses.
func (f *tlsFlags) certificates(log *slog.Logger, addrs []netip.Addr) (certificates, error) {
	c, err := f.own(log, addrs)
	if err != nil || f.TLSClientCA == "" {
		return c, err
	}
	text, err := os.ReadFile(f.TLSClientCA)
	if err != nil {
		return c, fmt.Errorf("reading whose certificates of clients are believed: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return c, fmt.Errorf("%s: there is no certificate in it, expected PEM", f.TLSClientCA)
	}
	// RFC 9103 §9.3.3: who shows none may still ask questions.
	c.config.ClientCAs, c.config.ClientAuth = pool, tls.VerifyClientCertIfGiven
	return c, nil
}

// own finds the server's certificates.
func (f *tlsFlags) own(log *slog.Logger, addrs []netip.Addr) (certificates, error) {
	ways := 0
	for _, given := range []bool{len(f.TLSCert) > 0, f.TLSSelfSigned, len(f.ACMEDomain) > 0} {
		if given {
			ways++
		}
	}
	switch {
	case ways > 1:
		return certificates{}, errors.New("--tls-cert, --tls-self-signed and --acme-domain: expected one of them")
	case len(f.TLSCert) != len(f.TLSKey):
		return certificates{}, fmt.Errorf("--tls-cert is given %d times and --tls-key %d times: expected a key for each certificate", len(f.TLSCert), len(f.TLSKey))
	case f.TLSSelfSigned:
		cfg, err := certs.SelfSigned([]string{"localhost"}, addrs)
		return certificates{config: cfg, names: func() []string { return []string{"localhost"} }}, err
	case len(f.ACMEDomain) > 0:
		return f.acme(log)
	case len(f.TLSCert) == 0:
		return certificates{}, hint(errors.New("an encrypted transport is listened on, and no certificate is given"),
			"give --tls-cert FILE and --tls-key FILE, or --acme-domain NAME, or --tls-self-signed for a lab")
	}
	return f.files(log)
}

func (f *tlsFlags) files(log *slog.Logger) (certificates, error) {
	pairs := make([]certs.Pair, len(f.TLSCert))
	for i := range pairs {
		pairs[i] = certs.Pair{Cert: f.TLSCert[i], Key: f.TLSKey[i]}
	}
	files, err := certs.Load(pairs, log)
	if err != nil {
		return certificates{}, err
	}
	return certificates{config: files.TLSConfig(), reload: files.Look, names: files.Names}, nil
}

func (f *tlsFlags) acme(log *slog.Logger) (certificates, error) {
	if f.ACMEDir == "" {
		return certificates{}, hint(errors.New("--acme-domain needs a place for keys and certificates"), "--acme-dir DIR names it")
	}
	a, err := certs.NewACME(certs.ACMEOptions{
		Domains: f.ACMEDomain, Email: f.ACMEEmail, CA: f.ACMECA, Roots: f.ACMERoots, Dir: f.ACMEDir, Log: log,
	})
	if err != nil {
		return certificates{}, err
	}
	return certificates{config: a.TLSConfig(), start: a.Start, names: func() []string { return f.ACMEDomain }}, nil
}
