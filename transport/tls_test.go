package transport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// testPair is a key and its own certificate, for home.
func testPair(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ns.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{home.AsSlice()}, DNSNames: []string{"ns.example"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// overTLS adds a TLS listener to cfg, and returns what a client needs.
func overTLS(t testing.TB, cfg *Config) *tls.Config {
	pair, roots := testPair(t)
	cfg.TLSAddrs = []netip.AddrPort{loopback(0)}
	cfg.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
	return &tls.Config{RootCAs: roots, ServerName: "ns.example", NextProtos: []string{"dot"}}
}

func dialTLS(t *testing.T, addr netip.AddrPort, cfg *tls.Config) *tls.Conn {
	t.Helper()
	return tlsOver(t, dial(t, TCP, addr), cfg)
}

func tlsOver(t *testing.T, raw net.Conn, cfg *tls.Config) *tls.Conn {
	t.Helper()
	c := tls.Client(raw, cfg)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

func sendTLS(t *testing.T, c *tls.Conn, msgs ...[]byte) {
	t.Helper()
	if _, err := c.Write(frame(msgs...)); err != nil {
		t.Fatal(err)
	}
}

func receiveTLS(t *testing.T, c *tls.Conn) []byte {
	t.Helper()
	m, err := readFrame(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Queries that come in a record each, many in one segment, are answered whole and in order.
func TestTLSPipelining(t *testing.T) {
	protos := make(chan Proto, 1)
	cfg := Config{Handler: WorkerFunc(func(dst []byte, q *Query) []byte {
		select {
		case protos <- q.Proto:
		default:
		}
		return flip(dst, q)
	})}
	client := overTLS(t, &cfg)
	s := start(t, cfg)
	c := dialTLS(t, s.TLSAddrs()[0], client)
	go func() {
		for i := range 500 {
			c.Write(frame(message(i, fmt.Sprint("query ", i))))
		}
	}()
	for i := range 500 {
		if m := receiveTLS(t, c); idOf(m) != i || textOf(m) != fmt.Sprint("query ", i) {
			t.Fatalf("answer %d is %q", i, m)
		}
	}
	if p := <-protos; p != TLS {
		t.Errorf("the handler was told %v", p)
	}
	s.Close()
	if st := s.Stats(); st.TLS.Queries != 500 || st.TLS.Answers != 500 || st.TCP.Queries != 0 || st.TLSConns.Handshakes != 1 || st.TLSConns.Open != 0 {
		t.Errorf("counters: %+v %+v", st.TLS, st.TLSConns)
	}
}

// bundle gathers what TLS writes, to be sent in one go.
type bundle struct {
	net.Conn
	held []byte
	hold bool
}

func (b *bundle) Write(p []byte) (int, error) {
	if b.hold {
		b.held = append(b.held, p...)
		return len(p), nil
	}
	return b.Conn.Write(p)
}

// Queries that arrived together cost one record and one write of answers, however many records they came in.
func TestTLSAnswersTogether(t *testing.T) {
	cfg := Config{Handler: flip}
	client := overTLS(t, &cfg)
	s := start(t, cfg)
	raw := &bundle{Conn: dial(t, TCP, s.TLSAddrs()[0])}
	c := tls.Client(raw, client)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	sendTLS(t, c, message(0, "settle"))
	receiveTLS(t, c)
	raw.hold = true
	for i := range 20 {
		sendTLS(t, c, message(i, "together"))
	}
	if _, err := raw.Conn.Write(raw.held); err != nil {
		t.Fatal(err)
	}
	// A Read of tls.Conn returns one record's content.
	buf := make([]byte, 16<<10)
	n, err := c.Read(buf)
	if want := 20 * len(frame(message(0, "together"))); n != want {
		t.Errorf("the first record has %d bytes (%v), want all %d", n, err, want)
	}
}

func TestTLSLargeMessages(t *testing.T) {
	cfg := Config{Handler: flip}
	client := overTLS(t, &cfg)
	s := start(t, cfg)
	c := dialTLS(t, s.TLSAddrs()[0], client)
	large := make([]byte, MaxMessage)
	large[500], large[MaxMessage-1] = 'x', 'y'
	go c.Write(frame(large, message(2, "small"), large))
	for i, want := range []int{MaxMessage, headerLen + 5, MaxMessage} {
		m := receiveTLS(t, c)
		if len(m) != want || i != 1 && (m[500] != 'x' || m[MaxMessage-1] != 'y') {
			t.Fatalf("answer %d has %d bytes, want %d", i, len(m), want)
		}
	}
}

// A client that closes its sending side after its last query gets the answers in flight, and the server's close_notify.
func TestTLSHalfClose(t *testing.T) {
	d := make(desk, 1)
	cfg := Config{Handler: d}
	client := overTLS(t, &cfg)
	s := start(t, cfg)
	c := dialTLS(t, s.TLSAddrs()[0], client)
	sendTLS(t, c, message(1, "later"), message(2, "now"))
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if idOf(receiveTLS(t, c)) != 2 {
		t.Error("the answer that was ready did not come first")
	}
	finish(t, d.next(t), "answer")
	if idOf(receiveTLS(t, c)) != 1 {
		t.Error("a wrong answer came")
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the end is %v, want close_notify", err)
	}
}

// However the server ends an idle connection, it takes leave.
func TestTLSGoodbye(t *testing.T) {
	for _, how := range []string{"idle", "evicted", "shutdown"} {
		t.Run(how, func(t *testing.T) {
			cfg := Config{Handler: flip}
			if how == "idle" {
				cfg.TLS.IdleTimeout = 50 * time.Millisecond
			}
			cfg.TLS.MaxConns = 1
			client := overTLS(t, &cfg)
			s := start(t, cfg)
			c := dialTLS(t, s.TLSAddrs()[0], client)
			sendTLS(t, c, message(1, "now"))
			receiveTLS(t, c)
			switch how {
			case "evicted":
				eventually(t, "it is idle", func() bool {
					s.tls.table.mu.Lock()
					defer s.tls.table.mu.Unlock()
					return s.tls.table.queue[waitingNext].first != nil
				})
				dial(t, TCP, s.TLSAddrs()[0])
			case "shutdown":
				go s.Shutdown(context.Background())
			}
			if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("the end is %v, want close_notify", err)
			}
		})
	}
}

// Who connects and does not finish a handshake is closed at the deadline, however slowly bytes trickle in.
func TestTLSHandshakeTimeout(t *testing.T) {
	cfg := Config{Handler: flip}
	cfg.TLS.HandshakeTimeout = 80 * time.Millisecond
	overTLS(t, &cfg)
	s := start(t, cfg)
	began := time.Now()
	quiet, trickling := dial(t, TCP, s.TLSAddrs()[0]), dial(t, TCP, s.TLSAddrs()[0])
	go func() {
		hello := append([]byte{22, 3, 1, 1, 0}, make([]byte, 256)...)
		for _, b := range hello {
			if _, err := trickling.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	closed(t, quiet)
	io.Copy(io.Discard, trickling)
	if took := time.Since(began); took < cfg.TLS.HandshakeTimeout || took > patience/2 {
		t.Errorf("closed after %v, want about %v", took, cfg.TLS.HandshakeTimeout)
	}
	eventually(t, "both are counted", func() bool { return s.Stats().TLSConns.Unencrypted == 2 })
}

// Plain DNS on the TLS port, an old version and a foreign ALPN are refused; no ALPN is not.
func TestTLSNegotiation(t *testing.T) {
	cfg := Config{Handler: flip}
	client := overTLS(t, &cfg)
	s := start(t, cfg)
	plain := dial(t, TCP, s.TLSAddrs()[0])
	send(t, plain, message(1, "in the clear"))
	closed(t, plain)
	for name, c := range map[string]struct {
		change func(*tls.Config)
		ok     bool
	}{
		"as it should":  {func(*tls.Config) {}, true},
		"no ALPN":       {func(c *tls.Config) { c.NextProtos = nil }, true},
		"foreign ALPN":  {func(c *tls.Config) { c.NextProtos = []string{"h2"} }, false},
		"one of two":    {func(c *tls.Config) { c.NextProtos = []string{"h2", "dot"} }, true},
		"TLS 1.2":       {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, true},
		"TLS 1.1":       {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, false},
		"other roots":   {func(c *tls.Config) { c.RootCAs = x509.NewCertPool() }, false},
		"without a SNI": {func(c *tls.Config) { c.ServerName = home.String() }, true},
	} {
		cc := client.Clone()
		c.change(cc)
		conn := tls.Client(dial(t, TCP, s.TLSAddrs()[0]), cc)
		if err := conn.Handshake(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		} else if c.ok {
			sendTLS(t, conn, message(7, name))
			if m := receiveTLS(t, conn); textOf(m) != name {
				t.Errorf("%s: got %q", name, m)
			}
		}
	}
}

// However many clients shake hands at once, only so many handshakes are computed at a time; those that send half of theirs
// stand in nobody's way.
func TestTLSHandshakeGate(t *testing.T) {
	cfg := Config{Handler: flip}
	client := overTLS(t, &cfg)
	var now, most atomic.Int64
	pair := cfg.TLSConfig.Certificates[0]
	cfg.TLSConfig = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		for n := now.Add(1); n > most.Load(); {
			most.CompareAndSwap(most.Load(), n)
		}
		time.Sleep(time.Millisecond)
		now.Add(-1)
		return &pair, nil
	}}
	s := start(t, cfg)
	for range 20 {
		dial(t, TCP, s.TLSAddrs()[0]).Write([]byte{22, 3, 1, 1, 0, 1})
	}
	var wg sync.WaitGroup
	for range 40 {
		c := tls.Client(dial(t, TCP, s.TLSAddrs()[0]), client)
		wg.Go(func() {
			if err := c.Handshake(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if limit := int64(cap(newGate())); most.Load() > limit || most.Load() == 0 {
		t.Errorf("%d handshakes were computed at once, want at most %d", most.Load(), limit)
	}
}

// A client that comes again resumes its session, in both versions.
func TestTLSResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cfg := Config{Handler: flip}
		client := overTLS(t, &cfg)
		client.MaxVersion, client.ClientSessionCache = version, tls.NewLRUClientSessionCache(4)
		s := start(t, cfg)
		for i := range 3 {
			c := dialTLS(t, s.TLSAddrs()[0], client)
			sendTLS(t, c, message(1, "x"))
			receiveTLS(t, c) // and with it the ticket
			if resumed := c.ConnectionState().DidResume; resumed != (i > 0) {
				t.Errorf("%s: connection %d resumed: %v", tls.VersionName(version), i, resumed)
			}
			c.Close()
		}
		if st := s.Stats().TLSConns; st.Resumed != 2 || st.Handshakes != 3 {
			t.Errorf("counters: %+v", st)
		}
	}
}

func TestTLSNeedsACertificate(t *testing.T) {
	_, err := Listen(Config{Handler: flip, TLSAddrs: []netip.AddrPort{loopback(0)}})
	if err == nil {
		t.Fatal("it listens without one")
	}
	pair, _ := testPair(t)
	s := start(t, Config{Handler: flip})
	_, err = Listen(Config{Handler: flip, TLSAddrs: s.Addrs(), TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}})
	var bind *BindError
	if !errors.As(err, &bind) || bind.Proto != TLS {
		t.Errorf("on a taken port: %v", err)
	}
}
