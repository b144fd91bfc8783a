package encrypted

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"onoma/daemon"
	"onoma/dns"
	"onoma/resolver/upstream"
	"onoma/test/peers"
	"onoma/transport"
)

func question(t *testing.T, name string) []byte {
	m := dns.NewQuery(4711, dns.Question{Name: dns.MustName(name), Type: dns.TypeA, Class: dns.ClassIN}, false)
	m.EDNS = &dns.EDNS{UDPSize: 1232, DO: true}
	out, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// answered asks for www.enc.example and checks the answer.
func answered(t *testing.T, n *upstream.Network, to transport.Target) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	reply, err := n.Exchange(ctx, to, question(t, "www.enc.example."))
	m, parseErr := dns.ParseMessage(reply)
	if err != nil || parseErr != nil || m.ID != 4711 || len(m.Answer) == 0 {
		t.Errorf("%+v: %v, error %v", to, m, err)
	}
}

// The resolver's way to servers speaks every transport with a name that is verified, and with none.
func TestResolverSpeaksAllTransports(t *testing.T) {
	s := example(t)
	n := upstream.New(upstream.Config{Source4: s.ip, TLS: s.trust, Dialers: daemon.Dialers()})
	defer n.Close()
	for _, name := range []string{"ns.example", ""} {
		for range 3 {
			answered(t, n, transport.Target{Addr: s.plain})
			answered(t, n, transport.Target{Addr: s.plain, Proto: transport.TCP})
			answered(t, n, transport.Target{Addr: s.tls, Proto: transport.TLS, Name: name})
			answered(t, n, transport.Target{Addr: s.quic, Proto: transport.QUIC, Name: name})
			answered(t, n, transport.Target{Addr: s.https, Proto: transport.HTTPS, Name: name, Path: "/dns-query"})
		}
	}
	for _, to := range []transport.Target{{Addr: s.tls, Proto: transport.TLS}, {Addr: s.quic, Proto: transport.QUIC}, {Addr: s.https, Proto: transport.HTTPS, Path: "/dns-query"}} {
		to.Name = "other.example"
		if _, err := n.Exchange(t.Context(), to, question(t, "www.enc.example.")); err == nil {
			t.Errorf("over %v it was taken for %s", to.Proto, to.Name)
		}
	}
}

// becomesPrivate asks until a question is answered over an encrypted connection that nobody was told of (RFC 9539).
func becomesPrivate(t *testing.T, plain netip.AddrPort, port uint16) {
	t.Helper()
	n := upstream.New(upstream.Config{Opportunistic: true, OpportunisticPort: port, Dialers: daemon.Dialers()})
	defer n.Close()
	for end := time.Now().Add(patience); n.Stats().Private == 0; time.Sleep(10 * time.Millisecond) {
		if answered(t, n, transport.Target{Addr: plain}); time.Now().After(end) {
			t.Fatalf("questions are still asked in the open: %+v", n.Stats())
		}
	}
	for range 10 {
		answered(t, n, transport.Target{Addr: plain})
	}
	if got := n.Stats(); got.Private < 11 || got.Fallbacks > 0 {
		t.Errorf("%+v", got)
	}
}

func TestOpportunisticEncryption(t *testing.T) {
	s := example(t)
	t.Run("onoma over TLS", func(t *testing.T) { becomesPrivate(t, s.plain, s.tls.Port()) })
	t.Run("onoma over QUIC", func(t *testing.T) { becomesPrivate(t, s.plain, s.quic.Port()) })
	for _, p := range []*peers.Peer{peers.NSD, peers.BIND} {
		t.Run(p.Name, func(t *testing.T) {
			peers.Need(t, p.Binary)
			addr := p.Addr(t)
			secure := freePort(t, addr.Addr())
			cert, key := keyPair(t, s)
			p.Serve(t, addr, peers.Serving{Zones: peers.Zones{{Name: "enc.example.", File: zoneFile(t, exampleZone)}}, TLS: secure, Cert: cert, PEM: key})
			becomesPrivate(t, addr, secure.Port())
		})
	}
}

// freePort is one for TCP that nobody uses now.
func freePort(t *testing.T, at netip.Addr) netip.AddrPort {
	l, err := net.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// keyPair writes the server's certificate and key to files.
func keyPair(t *testing.T, s *server) (cert, key string) {
	pair := s.certify(t).Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
