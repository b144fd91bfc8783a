package transfer

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"onoma/authority"
	"onoma/authority/secondary"
	"onoma/test/peers"
	"onoma/transport"
	"onoma/transport/certs"
)

// certificate writes one, and its key, into files.
func certificate(t *testing.T, addr netip.Addr) (cert *x509.Certificate, certFile, keyFile string) {
	t.Helper()
	cfg, err := certs.SelfSigned([]string{"primary.example"}, []netip.Addr{addr})
	if err != nil {
		t.Fatal(err)
	}
	own := cfg.Certificates[0]
	if cert, err = x509.ParseCertificate(own.Certificate[0]); err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: own.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, certFile, keyFile
}

// TestXoTPrimaries: other servers give us zones and differences over TLS (RFC 9103), to who trusts them in each of the ways.
func TestXoTPrimaries(t *testing.T) {
	for _, peer := range peers.All {
		t.Run(peer.Name, func(t *testing.T) {
			t.Parallel()
			peers.Need(t, peer.Binary)
			if !peer.CanServeTLS() {
				t.Skipf("%s %s gives no zones over TLS", peer.Name, peer.Version())
			}
			z, file := newZone(1, 300, 13), filepath.Join(t.TempDir(), "zone")
			z.write(t, file)
			addr, secure := peer.Addr(t), peer.Addr(t)
			cert, certFile, keyFile := certificate(t, secure.Addr())
			roots := x509.NewCertPool()
			roots.AddCert(cert)
			p := peer.Serve(t, addr, peers.Serving{
				Zones: peers.Zones{{Name: zoneName, File: file}}, Key: &key, TLS: secure, Cert: certFile, PEM: keyFile,
			})
			followers := map[string]*follower{}
			for name, trust := range map[string]secondary.Trust{
				"opportunistic": {}, "name": {Name: "primary.example", Roots: roots}, "pin": {Pins: [][32]byte{secondary.PinOf(cert)}},
			} {
				followers[name] = follow(t, &key, secondary.Primary{Addr: secure, Proto: transport.TLS, TLS: trust.Config()})
			}
			stranger := follow(t, &key, secondary.Primary{Addr: secure, Proto: transport.TLS, TLS: secondary.Trust{Name: "other.example", Roots: roots}.Config()})
			for range 3 {
				for name, f := range followers {
					f.fetchVersion(t, z.serial)
					if diff := cmp.Diff(records(t, p.Addr, &key), records(t, f.addr, nil)); diff != "" {
						t.Fatalf("version %d at %s and at ours, %s (-%[2]s +onoma):\n%[4]s", z.serial, p.Name, name, diff)
					}
				}
				awaitNextSecond()
				z.change()
				z.write(t, file)
				peer.Reread(t, p, zoneName)
				await(t, p, z.serial)
			}
			for name, f := range followers {
				if kinds := f.kinds(); kinds[authority.Incremental] != 2 {
					t.Errorf("%s: transfers %v, expected two differences", name, kinds)
				}
			}
			if serial(stranger.addr) != 0 {
				t.Error("a server that is not trusted has given us a zone")
			}
		})
	}
}

// TestXoTSecondaries: other servers fetch the zone and its differences from ours over TLS, and check our name.
func TestXoTSecondaries(t *testing.T) {
	for _, peer := range peers.SecureSecondaries {
		t.Run(peer.Name, func(t *testing.T) {
			t.Parallel()
			peers.Need(t, peer.Binary)
			addr, plain := peer.Addr(t), peers.Addr(t)
			secure := netip.AddrPortFrom(plain.Addr(), plain.Port()^1)
			_, certFile, keyFile := certificate(t, secure.Addr())
			p := &primary{zone: newZone(1, 300, 14), file: filepath.Join(t.TempDir(), "zone")}
			p.zone.write(t, p.file)
			p.Server = peers.StartOnoma(t, plain, "authority", "--listen", plain.String(), "--listen", "tls://"+secure.String(),
				"--tls-cert", certFile, "--tls-key", keyFile, "--zone", zoneName+"="+p.file, "--transfer-to", "127.0.0.0/8", "--notify", addr.String())
			(&relay{addr: secure}).forward(t, plain) // Unbound asks for SOA records by UDP at the same port
			s := peer.Start(t, zoneName, addr, peers.Primary{Addr: secure}, "primary.example", certFile)
			for range 4 {
				await(t, s, p.zone.serial)
				want := records(t, plain, nil)
				if diff := cmp.Diff(want, recordsOf(t, peer, s, want)); diff != "" {
					t.Fatalf("version %d at ours and at %s (-onoma +%[2]s):\n%[3]s", p.zone.serial, s.Name, diff)
				}
				p.change(t)
			}
			await(t, s, p.zone.serial)
			if n := strings.Count(p.Log(), "proto=tls"); n < 5 {
				t.Errorf("%d transfers over TLS, expected 5 at least:\n%s", n, p.Log())
			}
		})
	}
}

// recordsOf are those that a secondary has; one that gives no transfers has written them down.
func recordsOf(t *testing.T, peer *peers.SecureSecondary, s *peers.Server, want []string) (lines []string) {
	t.Helper()
	if peer.ZoneFile == "" {
		return records(t, s.Addr, nil)
	}
	deadline := time.Now().Add(5 * time.Second)
	for ; time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) { // it writes behind answering
		text, err := os.ReadFile(filepath.Join(s.Dir, peer.ZoneFile))
		if err != nil {
			continue
		}
		lines = nil
		parser := dns.NewZoneParser(strings.NewReader(string(text)), zoneName, "zone")
		for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
			line := canonical(rr)
			if at := strings.Index(line, `\#`); at >= 0 { // Unbound writes hexadecimal digits in upper case
				line = line[:at] + strings.ToLower(line[at:])
			}
			lines = append(lines, line)
		}
		slices.Sort(lines)
		if slices.Equal(lines, want) {
			break
		}
	}
	return lines
}
