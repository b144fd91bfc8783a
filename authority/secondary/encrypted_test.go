package secondary

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/authority"
	"onoma/transport"
	"onoma/transport/certs"
	"onoma/transport/quic"
	"onoma/zone"
)

// encrypted is a primary that answers over TLS and QUIC, and nobody in clear.
func encrypted(t *testing.T, v *zone.Version) (p *primary, dot, doq netip.AddrPort, cert *x509.Certificate) {
	t.Helper()
	p = startPrimary(t, authority.Options{}, v)
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	cfg, err := certs.SelfSigned([]string{"primary.example"}, []netip.Addr{loopback.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(cfg.Certificates[0].Certificate[0]); err != nil {
		t.Fatal(err)
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
	c, err := quic.Dial(ctx, p.Addr, p.TLS)
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

// TestInClearOnlyIfToldSo: a primary by TLS that cannot be reached so is asked in
// clear where the configuration says so, and else not at all.
func TestInClearOnlyIfToldSo(t *testing.T) {
	p := startPrimary(t, authority.Options{}, build(t, 1, 10)) // TCP and UDP alone
	for _, clear := range []bool{false, true} {
		before := p.Stats().UDP.Queries + p.Stats().TCP.Queries
		r := newRig(t, func(o *Options) { o.DialTime = 300 * time.Millisecond })
		r.zones.add(id, nil)
		r.Add(ZoneConfig{ID: id, Primaries: []Primary{{Addr: p.Addrs()[0], Proto: transport.TLS, TLS: &tls.Config{InsecureSkipVerify: true}, Clear: clear}}})
		run(t, r.Secondary)
		if clear {
			awaitSerial(t, r.Secondary, id, 1)
			continue
		}
		await(t, r.Secondary, id, "an error", func(s State) bool { return s.Err != "" })
		if n := p.Stats().UDP.Queries + p.Stats().TCP.Queries; n != before {
			t.Errorf("the primary was asked %d questions in clear", n-before)
		}
	}
}
