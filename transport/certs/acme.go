package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// ACMEOptions say what to have certified, and by whom.
type ACMEOptions struct {
	Domains []string // the server's names
	Email   string   // whom the CA may write to; may be empty
	CA      string   // the directory's URL; "": Let's Encrypt
	Roots   string   // file with whom to trust as the CA's web server (PEM); "": whom the system trusts
	Dir     string   // where keys and certificates are kept
	Log     *slog.Logger
}

// ACME obtains certificates and renews them. The CA connects to port 443 of each domain for the proof; a TLS or HTTPS
// listener of this server has to be what it reaches there.
type ACME struct {
	opts   ACMEOptions
	cache  *certmagic.Cache
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer
}

// NewACME checks the options. Nothing is asked for before Start.
func NewACME(o ACMEOptions) (*ACME, error) {
	switch {
	case len(o.Domains) == 0:
		return nil, errors.New("ACME: no domain is named")
	case o.Dir == "":
		return nil, errors.New("ACME: no directory for keys and certificates is named")
	}
	if o.CA == "" {
		o.CA = certmagic.LetsEncryptProductionCA
	}
	if u, err := url.Parse(o.CA); err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("ACME: %q is not the URL of a CA's directory: expected one of https", o.CA)
	}
	roots, err := readRoots(o.Roots)
	if err != nil {
		return nil, err
	}
	a := &ACME{opts: o}
	// Its own logger speaks another dialect than ours; what matters comes as events.
	quiet := zap.NewNop()
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.config, nil }, Logger: quiet,
	})
	a.config = certmagic.New(a.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: o.Dir}, DefaultServerName: o.Domains[0], Logger: quiet, OnEvent: a.event,
	})
	a.issuer = certmagic.NewACMEIssuer(a.config, certmagic.ACMEIssuer{
		CA: o.CA, Email: o.Email, Agreed: true, DisableHTTPChallenge: true, TrustedRoots: roots, Logger: quiet,
	})
	a.config.Issuers = []certmagic.Issuer{a.issuer}
	return a, nil
}

func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ACME: reading whom to trust as the CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ACME: %s: expected certificates in PEM, there is none", file)
	}
	return pool, nil
}

// TLSConfig returns a configuration that uses whatever certificates there are at the moment, and proves to the CA that the
// domains lead here.
func (a *ACME) TLSConfig() *tls.Config {
	cfg := a.config.TLSConfig()
	cfg.MinVersion = tls.VersionTLS12
	return cfg
}

// Start obtains what is missing, and keeps everything fresh until the context ends. It does not wait. The listener is the TCP
// address of the server that the CA's connections to port 443 reach; where it is not valid, one is opened for each proof.
func (a *ACME) Start(ctx context.Context, listener netip.AddrPort) error {
	if listener.IsValid() {
		a.issuer.ListenHost, a.issuer.AltTLSALPNPort = listener.Addr().String(), int(listener.Port())
		if listener.Addr().IsUnspecified() {
			a.issuer.ListenHost = ""
		}
	}
	context.AfterFunc(ctx, a.cache.Stop)
	if err := a.config.ManageAsync(ctx, a.opts.Domains); err != nil {
		return fmt.Errorf("ACME: %w", err)
	}
	return nil
}

// event tells the log what became of a certificate.
func (a *ACME) event(_ context.Context, event string, data map[string]any) error {
	switch event {
	case "cert_obtained":
		a.opts.Log.Info("certificate obtained", "domain", data["identifier"], "renewal", data["renewal"], "ca", a.opts.CA)
	case "cert_failed":
		a.opts.Log.Error("certificate not obtained, it will be tried again", "domain", data["identifier"], "renewal", data["renewal"],
			"ca", a.opts.CA, "error", data["error"])
	}
	return nil
}
