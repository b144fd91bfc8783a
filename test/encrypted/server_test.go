package encrypted

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/test/peers"
	"onoma/transport"
	"onoma/transport/https"
	"onoma/transport/quic"
	"onoma/zone"
)

const patience = 20 * time.Second

// server answers from zones on every transport, all at one IP address.
type server struct {
	ip          netip.Addr
	plain, tls  netip.AddrPort
	quic, https netip.AddrPort
	ca          string // file with the certificate to trust
	trust       *tls.Config
}

// start serves until the test ends.
func start(t *testing.T, zones map[string]string) *server {
	t.Helper()
	s := &server{ip: peers.Addr(t).Addr()}
	pair := s.certify(t)
	at := netip.AddrPortFrom(s.ip, 0)
	handler := serve(t, zones)
	plain, err := transport.Listen(transport.Config{
		Handler: handler, Addrs: []netip.AddrPort{at}, TLSAddrs: []netip.AddrPort{at}, TLSConfig: pair,
	})
	if err != nil {
		t.Fatal(err)
	}
	doq, err := quic.Listen(quic.Config{Handler: handler, Addrs: []netip.AddrPort{at}, TLS: pair})
	if err != nil {
		t.Fatal(err)
	}
	doh, err := https.Listen(https.Config{Handler: handler, Endpoints: []https.Endpoint{{Addr: at}}, TLS: pair})
	if err != nil {
		t.Fatal(err)
	}
	s.plain, s.tls, s.quic, s.https = plain.Addrs()[0], plain.TLSAddrs()[0], doq.Addrs()[0], doh.Addrs()[0]
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 3)
	for _, f := range []func(context.Context) error{plain.Serve, doq.Serve, doh.Serve} {
		go func() { ended <- f(ctx) }()
	}
	t.Cleanup(func() {
		stop()
		for range 3 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return s
}

func serve(t *testing.T, zones map[string]string) *authority.Server {
	t.Helper()
	var all []*zone.Zone
	for name, file := range zones {
		v, findings, err := zone.LoadFile(file, dns.MustName(name))
		if err != nil || v == nil {
			t.Fatalf("%s: %v %v", file, err, findings)
		}
		z := zone.New(dns.MustName(name))
		z.Publish(v)
		all = append(all, z)
	}
	a := authority.New(authority.Options{})
	if err := a.SetZones(all...); err != nil {
		t.Fatal(err)
	}
	return a
}

// certify makes a certificate for ns.example and the server's address, and writes down whom to trust.
func (s *server) certify(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ns.example"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		DNSNames: []string{"ns.example"}, IPAddresses: []net.IP{s.ip.AsSlice()},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s.ca = filepath.Join(t.TempDir(), "ca.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(s.ca, text, 0o644); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	s.trust = &tls.Config{RootCAs: roots, ServerName: "ns.example"}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func (s *server) url() string { return "https://" + s.https.String() + https.DefaultPath }

// zoneFile writes a zone for the test.
func zoneFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}
