package secondary

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/transport"
	"onoma/transport/certs"
	"onoma/transport/quic"
	"onoma/zone"
)

// encrypted is a primary that answers over TLS and QUIC, and nobody in clear.
func encrypted(t *testing.T, v *zone.Version) (p *primary, dot, doq netip.AddrPort, cert *x509.Certificate) {
	t.Helper()
	return encryptedFor(t, v, authority.Options{}, nil)
}

// encryptedFor is encrypted, and verifies the certificates of clients if it is told by what.
func encryptedFor(t *testing.T, v *zone.Version, o authority.Options, clients *x509.CertPool) (p *primary, dot, doq netip.AddrPort, cert *x509.Certificate) {
	t.Helper()
	p = startPrimary(t, o, v)
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	cfg, err := certs.SelfSigned([]string{"primary.example"}, []netip.Addr{loopback.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(cfg.Certificates[0].Certificate[0]); err != nil {
		t.Fatal(err)
	}
	if clients != nil {
		cfg.ClientAuth, cfg.ClientCAs = tls.VerifyClientCertIfGiven, clients
	}
	s, err := transport.Listen(transport.Config{TLSAddrs: []netip.AddrPort{loopback}, TLSConfig: cfg, Handler: p.auth})
	if err != nil {
		t.Fatal(err)
	}
	q, err := quic.Listen(quic.Config{Addrs: []netip.AddrPort{loopback}, TLS: cfg, Handler: p.auth})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ctx) })
	wg.Go(func() { _ = q.Serve(ctx) })
	t.Cleanup(func() {
		cancel()
		s.Close()
		wg.Wait()
	})
	return p, s.TLSAddrs()[0], q.Addrs()[0], cert
}

func dialQUIC(ctx context.Context, p Primary) (Link, error) {
	c, err := quic.Dial(ctx, p.From, p.Addr, p.TLS)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// TestEncrypted: the whole zone and differences over TLS and QUIC, from a primary
// that is trusted in each of the ways; and nothing from one that is not, above all
// not in clear.
func TestEncrypted(t *testing.T) {
	v := build(t, 1, 2000)
	p, dot, doq, cert := encrypted(t, v)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	random := rand.New(rand.NewPCG(5, 6))
	for _, tc := range []struct {
		name  string
		trust Trust
		err   string
	}{
		{"opportunistic", Trust{}, ""},
		{"name", Trust{Name: "primary.example", Roots: roots}, ""},
		{"address", Trust{Roots: roots}, ""},
		{"pin", Trust{Pins: [][32]byte{{1}, PinOf(cert)}}, ""},
		{"another name", Trust{Name: "other.example", Roots: roots}, "other.example"},
		{"another authority", Trust{Name: "primary.example", Roots: x509.NewCertPool()}, "unknown authority"},
		{"another pin", Trust{Pins: [][32]byte{{1}}}, "pinned"},
	} {
		for _, to := range []Primary{{Addr: dot, Proto: transport.TLS}, {Addr: doq, Proto: transport.QUIC}} {
			t.Run(tc.name+"/"+to.Proto.String(), func(t *testing.T) {
				to.TLS = tc.trust.Config()
				r := newRig(t, func(o *Options) { o.DialQUIC = dialQUIC })
				r.zones.add(id, nil)
				r.Add(ZoneConfig{ID: id, Primaries: []Primary{to}})
				run(t, r.Secondary)
				if tc.err != "" {
					st := await(t, r.Secondary, id, "an error", func(s State) bool { return s.Err != "" })
					if st.HasZone || !strings.Contains(st.Err, tc.err) {
						t.Errorf("the error is %q, expected %q", st.Err, tc.err)
					}
					return
				}
				awaitSerial(t, r.Secondary, id, p.zones[id].Current().Serial())
				v := p.change(t, func(e *zone.Editor) error { return scramble(e, random) })
				r.Refresh(id)
				awaitSerial(t, r.Secondary, id, v.Serial())
				same(t, v, r.current())
				if reports := r.reports(); len(reports) != 2 || reports[1].Kind != authority.Incremental {
					t.Errorf("reported %+v, expected the whole zone and a difference", reports)
				}
			})
		}
	}
}

// TestFrom: a zone is fetched from the address that its primary gives it to, over
// all transports.
func TestFrom(t *testing.T) {
	from := netip.MustParseAddr("127.0.0.7")
	v := build(t, 1, 10)
	allowed := authority.ACL{{Prefix: netip.PrefixFrom(from, 32)}}
	p, dot, doq, _ := encryptedFor(t, v, authority.Options{Transfers: authority.TransferOptions{Allow: allowed}}, nil)
	for _, to := range []Primary{{Addr: p.Addrs()[0], Proto: transport.TCP}, {Addr: dot, Proto: transport.TLS}, {Addr: doq, Proto: transport.QUIC}} {
		t.Run(to.Proto.String(), func(t *testing.T) {
			to.TLS, to.From = Trust{}.Config(), from
			r := newRig(t, func(o *Options) { o.DialQUIC = dialQUIC })
			r.zones.add(id, nil)
			r.Add(ZoneConfig{ID: id, Primaries: []Primary{to}})
			run(t, r.Secondary)
			awaitSerial(t, r.Secondary, id, 1)
			same(t, v, r.current())
		})
	}
}

// TestMutual: the primary gives the zone to who shows the right certificate (RFC
// 9103 §9.3.3), over TLS and QUIC.
func TestMutual(t *testing.T) {
	ours, cert := clientCertificate(t, "secondary.example")
	clients := x509.NewCertPool()
	clients.AddCert(cert)
	v := build(t, 1, 200)
	for allowed, want := range map[string]bool{"tls:secondary.example": true, "tls:other.example": false, "127.0.0.0/8+tls:Secondary.Example": true} {
		who, err := authority.ParseWho(allowed)
		if err != nil {
			t.Fatal(err)
		}
		_, dot, doq, _ := encryptedFor(t, v, authority.Options{Transfers: authority.TransferOptions{Allow: authority.ACL{who}}}, clients)
		for _, to := range []Primary{{Addr: dot, Proto: transport.TLS}, {Addr: doq, Proto: transport.QUIC}} {
			for _, shown := range []*tls.Certificate{nil, ours} {
				to.TLS = Trust{Certificate: shown}.Config()
				r := newRig(t, func(o *Options) { o.DialQUIC = dialQUIC })
				r.zones.add(id, nil)
				r.Add(ZoneConfig{ID: id, Primaries: []Primary{to}})
				run(t, r.Secondary)
				if want && shown != nil {
					awaitSerial(t, r.Secondary, id, 1)
					continue
				}
				st := await(t, r.Secondary, id, "an error", func(s State) bool { return s.Err != "" })
				if !strings.Contains(st.Err, "REFUSED") {
					t.Errorf("%s over %s, certificate shown %v: %q, expected REFUSED", allowed, to.Proto, shown != nil, st.Err)
				}
			}
		}
	}
}

// clientCertificate makes one that nobody has vouched for.
func clientCertificate(t *testing.T, name string) (*tls.Certificate, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, cert
}

// TestPadded: over TLS, how long messages are tells little (RFC 9103 §6.4).
func TestPadded(t *testing.T) {
	v := build(t, 1, 3000)
	_, dot, _, _ := encrypted(t, v)
	r := newRig(t, nil)
	r.zones.add(id, nil)
	x := &exchange{s: r.Secondary, primary: Primary{Addr: dot, Proto: transport.TLS, TLS: Trust{}.Config()}}
	q := newQuery(dns.Question{Name: origin, Type: dns.TypeAXFR, Class: dns.ClassIN}, true)
	if err := x.open(t.Context(), q, true); err != nil {
		t.Fatal(err)
	}
	defer x.close()
	in := incoming{question: q.Questions[0], id: x.id, limits: Limits{}.filled(), sink: newWholeZone(origin)}
	for in.state != stateDone {
		msg, err := x.next()
		if err != nil {
			t.Fatal(err)
		}
		if err := in.message(msg); err != nil {
			t.Fatal(err)
		}
		if len(msg)%468 != 0 && len(msg) != 16<<10 {
			t.Errorf("message %d has %d octets, expected a multiple of 468", in.messages, len(msg))
		}
	}
	if query, _ := x.prepare(q, transport.TLS); len(query)%128 != 0 || in.messages < 3 {
		t.Errorf("a query of %d octets, expected a multiple of 128; %d messages", len(query), in.messages)
	}
}

// TestNeverInClear: a primary by TLS that cannot be reached so is not asked at all.
func TestNeverInClear(t *testing.T) {
	p := startPrimary(t, authority.Options{}, build(t, 1, 10)) // TCP and UDP alone
	r := newRig(t, func(o *Options) { o.DialTime = 300 * time.Millisecond })
	r.zones.add(id, nil)
	r.Add(ZoneConfig{ID: id, Primaries: []Primary{{Addr: p.Addrs()[0], Proto: transport.TLS, TLS: &tls.Config{InsecureSkipVerify: true}}}})
	run(t, r.Secondary)
	await(t, r.Secondary, id, "an error", func(s State) bool { return s.Err != "" })
	if n := p.Stats().UDP.Queries + p.Stats().TCP.Queries; n != 0 {
		t.Errorf("the primary was asked %d questions in clear", n)
	}
}
