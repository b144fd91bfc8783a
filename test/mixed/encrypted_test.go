package mixed

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/telemetry/control"
	"onoma/test/peers"
)

// certifier certifies servers and clients.
type certifier struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newCertifier makes an authority, whose certificate is in the file ca.pem.
func newCertifier(t *testing.T) *certifier {
	t.Helper()
	c := &certifier{dir: t.TempDir()}
	c.cert, c.key = c.issue(t, "ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return c
}

// issue certifies a name, and writes NAME.pem and NAME.key.
func (c *certifier) issue(t *testing.T, name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if c.cert != nil {
		parent, signer = c.cert, c.key
		template.DNSNames, template.IPAddresses = []string{name}, []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for suffix, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(c.file(name+suffix), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (c *certifier) file(name string) string { return filepath.Join(c.dir, name) }

// TestEncrypted: one onoma gives zones to another over TLS and QUIC, to who trusts it in each of the ways, and to nobody else.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	ca, stranger := newCertifier(t), newCertifier(t)
	ca.issue(t, "primary.example", &x509.Certificate{})
	ca.issue(t, "secondary.example", &x509.Certificate{})
	stranger.issue(t, "secondary.example", &x509.Certificate{})
	p, s, secure := newNode(t, ""), newNode(t, ""), peers.Addr(t)
	servers, zones, primaryZones := "", "", ""
	add := func(zone, transport, tls, to string) {
		servers += fmt.Sprintf("  to-%s: {address: \"%s\", transport: %s, tls: {%s}}\n", zone, secure, transport, tls)
		zones += fmt.Sprintf("  %s.example.: {primaries: [to-%s]}\n", zone, zone)
		primaryZones += fmt.Sprintf("  %s.example.: {file: DIR/zone, file-mode: initial, transfer-to: [%q]}\n", zone, to)
	}
	strict := "mode: strict, name: primary.example, ca: " + ca.file("ca.pem")
	mutual := func(c *certifier) string {
		return fmt.Sprintf("mode: mutual, name: primary.example, ca: %s, cert: %s, key: %s", ca.file("ca.pem"), c.file("secondary.example.pem"), c.file("secondary.example.key"))
	}
	var served, refused []string
	for _, transport := range []string{"tls", "quic"} {
		add("opportunistic-"+transport, transport, "mode: opportunistic", "127.0.0.0/8")
		add("strict-"+transport, transport, strict, "127.0.0.0/8")
		add("mutual-"+transport, transport, mutual(ca), "tls:secondary.example")
		served = append(served, "opportunistic-"+transport, "strict-"+transport, "mutual-"+transport)
		add("misnamed-"+transport, transport, strings.Replace(strict, "primary", "other", 1), "127.0.0.0/8")
		add("nameless-"+transport, transport, strict, "tls:secondary.example")
		add("forged-"+transport, transport, mutual(stranger), "tls:secondary.example")
		refused = append(refused, "misnamed-"+transport, "nameless-"+transport, "forged-"+transport)
	}
	p.Write(t, "zone", "$TTL 60\n@ SOA ns host 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n")
	p.configure(t, fmt.Sprintf(`
listen: ["ADDR", "tls://%s", "quic://%s"]
tls: {certificates: [{cert: %s, key: %s}], client-ca: %s}
templates: {default: {notify: ["%s"]}}
zones:
%s`, secure, secure, ca.file("primary.example.pem"), ca.file("primary.example.key"), ca.file("ca.pem"), s.Addr, primaryZones))
	s.configure(t, "servers:\n"+servers+"templates: {default: {allow-notify: [127.0.0.0/8], transfer-to: [127.0.0.0/8], retry-min: 1s}}\nzones:\n"+zones)
	p.start(t)
	s.start(t)
	for range 2 {
		for _, z := range served {
			z += ".example."
			await(t, "the newest version of "+z, func() bool {
				want, _ := serial(p.Addr, z)
				got, ok := serial(s.Addr, z)
				return ok && got == want
			})
			if _, err := p.Ctl.Zone(z, "").Change(t.Context(), control.ChangeRequest{Add: []string{fmt.Sprintf("n%d 60 TXT x", time.Now().UnixNano())}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, z := range served {
		p.propagated(t, z+".example.")
		transport := z[strings.LastIndex(z, "-")+1:]
		for _, kind := range []string{"axfr", "ixfr"} {
			if !lineWith(p.Log(), "zone="+z+".example.", "proto="+transport, "kind="+kind) {
				t.Errorf("%s was not transferred over %s by %s", z, transport, kind)
			}
		}
	}
	for _, z := range refused {
		d, err := s.Ctl.Zone(z+".example.", "").Detail(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if serves(s.Addr, z+".example.") || len(d.Primaries) != 1 || d.Primaries[0].Error == "" {
			t.Errorf("zone %s: %+v, expected an error of the primary and no zone", z, d.Primaries)
		}
	}
}

func lineWith(text string, words ...string) bool {
	for line := range strings.Lines(text) {
		n := 0
		for _, w := range words {
			if strings.Contains(line, w) {
				n++
			}
		}
		if n == len(words) {
			return true
		}
	}
	return false
}

// TestEncryptedChain: NSD and BIND give a zone to onoma over TLS, which gives it to BIND and NSD over TLS.
func TestEncryptedChain(t *testing.T) {
	t.Parallel()
	const zone = "chain.example."
	for _, from := range peers.All {
		t.Run(from.Name, func(t *testing.T) {
			t.Parallel()
			peers.Need(t, from.Binary)
			if !from.CanServeTLS() {
				t.Skipf("%s %s gives no zones over TLS", from.Name, from.Version())
			}
			ca := newCertifier(t)
			ca.issue(t, "primary.example", &x509.Certificate{})
			cert, certKey := ca.file("primary.example.pem"), ca.file("primary.example.key")
			addr, secure, own := from.Addr(t), from.Addr(t), peers.Addr(t)
			n, file := newNode(t, ""), filepath.Join(t.TempDir(), "zone")
			write := func(serial int) {
				text := fmt.Sprintf("$ORIGIN %s\n$TTL 60\n@ SOA ns host %d 3600 600 86400 60\n@ NS ns\nns A 127.0.0.%d\n", zone, serial, serial)
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(1)
			p := from.Serve(t, addr, peers.Serving{Zones: peers.Zones{{Name: zone, File: file}}, Notify: n.Addr, TLS: secure, Cert: cert, PEM: certKey})
			var told strings.Builder
			var ends []func() *peers.Server
			for _, to := range peers.SecureSecondaries {
				if to.ZoneFile != "" {
					continue // it gives nobody transfers
				}
				peers.Need(t, to.Binary)
				at := to.Addr(t)
				fmt.Fprintf(&told, "%q,", at)
				ends = append(ends, func() *peers.Server {
					return to.Start(t, zone, at, peers.Primary{Addr: own}, "primary.example", ca.file("ca.pem"))
				})
			}
			n.configure(t, fmt.Sprintf(`
listen: ["ADDR", "tls://%s"]
tls: {certificates: [{cert: %s, key: %s}]}
servers: {from: {address: "%s", transport: tls, tls: {name: primary.example, ca: %s}}}
zones:
  %s: {primaries: [from], allow-notify: [127.0.0.0/8], transfer-to: [127.0.0.0/8], notify: [%s], retry-min: 1s}
`, own, cert, certKey, secure, ca.file("ca.pem"), zone, told.String()))
			n.start(t)
			await(t, "the first version", func() bool { return serves(n.Addr, zone) })
			var last []*peers.Server
			for _, start := range ends {
				last = append(last, start())
			}
			for i := 1; i <= 2; i++ {
				for _, s := range append(last, p) {
					await(t, fmt.Sprintf("version %d at %s", i, s.Name), func() bool { got, _ := serial(s.Addr, zone); return got == uint32(i) })
				}
				_, want, err := transfer(p.Addr, zone, nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range last {
					if _, got, err := transfer(s.Addr, zone, nil); err != nil || cmp.Diff(want, got) != "" {
						t.Errorf("from %s to %s: %v\n%s", p.Name, s.Name, err, cmp.Diff(want, got))
					}
				}
				if i == 1 {
					time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second + 10*time.Millisecond))) // BIND compares the times of files by seconds
					write(2)
					from.Reread(t, p, zone)
				}
			}
		})
	}
}
