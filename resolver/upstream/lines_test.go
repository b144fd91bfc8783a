package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// streamServer talks DNS over TCP as talk does with each connection.
type streamServer struct {
	at          netip.AddrPort
	connections atomic.Int32
	resumed     atomic.Int32
	authorities *x509.CertPool
}

func serveStreams(t testing.TB, secure bool, talk func(c net.Conn)) *streamServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.14.2.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &streamServer{at: l.Addr().(*net.TCPAddr).AddrPort(), authorities: x509.NewCertPool()}
	web := httptest.NewUnstartedServer(nil) // for its certificate, which is for example.com
	web.StartTLS()
	t.Cleanup(web.Close)
	s.authorities.AddCert(web.Certificate())
	cfg := &tls.Config{Certificates: web.TLS.Certificates, NextProtos: []string{"dot"}}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.connections.Add(1)
			mu.Lock()
			all = append(all, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				if !secure {
					talk(c)
					return
				}
				sc := tls.Server(c, cfg)
				if sc.Handshake() == nil {
					if sc.ConnectionState().DidResume {
						s.resumed.Add(1)
					}
					talk(sc)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range all {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return s
}

func send(c io.Writer, msg []byte) {
	c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
}

// echo answers everything at once.
func echo(c net.Conn) {
	for {
		q, err := readMessage(c)
		if err != nil {
			return
		}
		send(c, answerTo(q, ""))
	}
}

// askAll asks so many questions at once and returns how many got their own reply.
func askAll(t *testing.T, n *Network, to transport.Target, questions int) int {
	t.Helper()
	var good atomic.Int32
	var wg sync.WaitGroup
	for i := range questions {
		wg.Go(func() {
			name := string(rune('a'+i%26)) + ".test."
			q := query(t, name)
			reply, err := n.Exchange(within(t, 2*time.Second), to, q)
			m, parseErr := dns.ParseMessage(reply)
			if err != nil || parseErr != nil || m.ID != 0x1234 || m.Question().Name.String() != name {
				t.Errorf("%s: %v, error %v", name, m, err)
				return
			}
			good.Add(1)
		})
	}
	wg.Wait()
	return int(good.Load())
}

// Many questions share a connection, and replies may come in any order.
func TestPipelining(t *testing.T) {
	const questions = 40
	s := serveStreams(t, false, func(c net.Conn) {
		var held [][]byte
		for range questions {
			q, err := readMessage(c)
			if err != nil {
				return
			}
			held = append(held, q)
		}
		for i := range held {
			send(c, []byte{1, 2, 3}) // junk, which is nobody's
			send(c, answerTo(held[len(held)-1-i], ""))
		}
		echo(c)
	})
	n := network(t, Config{})
	to := transport.Target{Addr: s.at, Proto: transport.TCP}
	if askAll(t, n, to, questions) != questions || s.connections.Load() != 1 {
		t.Errorf("%d connections for %d questions", s.connections.Load(), questions)
	}
	askAll(t, n, to, 5)
	if s.connections.Load() != 1 {
		t.Error("the connection is not kept")
	}
}

// A server that closes after each reply, as some do, costs connections, not answers.
func TestServerThatCloses(t *testing.T) {
	s := serveStreams(t, false, func(c net.Conn) {
		if q, err := readMessage(c); err == nil {
			send(c, answerTo(q, ""))
		}
	})
	n := network(t, Config{})
	for range 5 {
		askAll(t, n, transport.Target{Addr: s.at, Proto: transport.TCP}, 3)
	}
	eventually(t, func() bool { n.line.mu.Lock(); defer n.line.mu.Unlock(); return n.line.open <= 1 })
}

// Connections end when they were idle for long enough.
func TestIdleConnectionsEnd(t *testing.T) {
	ended := make(chan struct{}, 10)
	s := serveStreams(t, false, func(c net.Conn) { echo(c); ended <- struct{}{} })
	n := network(t, Config{Idle: 30 * time.Millisecond})
	askAll(t, n, transport.Target{Addr: s.at, Proto: transport.TCP}, 1)
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the connection stands")
	}
}

// There are never more connections than allowed: idle ones give way, others do not.
func TestConnectionsAreBounded(t *testing.T) {
	idle := serveStreams(t, false, echo)
	busy := serveStreams(t, false, func(c net.Conn) { io.Copy(io.Discard, c) })
	n := network(t, Config{Connections: 1})
	askAll(t, n, transport.Target{Addr: idle.at, Proto: transport.TCP}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { n.Exchange(ctx, transport.Target{Addr: busy.at, Proto: transport.TCP}, query(t, "a.test.")) })
	eventually(t, func() bool { return busy.connections.Load() == 1 })
	if _, err := n.Exchange(within(t, time.Second), transport.Target{Addr: idle.at, Proto: transport.TCP}, query(t, "a.test.")); err == nil {
		t.Error("there was a connection for everybody")
	}
	cancel()
	wg.Wait()
}

// A connection that says nothing any more is not used again.
func TestMuteConnection(t *testing.T) {
	var first atomic.Bool
	s := serveStreams(t, false, func(c net.Conn) {
		if first.CompareAndSwap(false, true) {
			io.Copy(io.Discard, c)
			return
		}
		echo(c)
	})
	n := network(t, Config{})
	to := transport.Target{Addr: s.at, Proto: transport.TCP}
	for range 2 {
		if _, err := n.Exchange(within(t, 30*time.Millisecond), to, query(t, "a.test.")); kindOf(err) != transport.Timeout {
			t.Errorf("error %v, expected a time-out", err)
		}
	}
	askAll(t, n, to, 1)
}

// Whom nobody verified does not answer for a name, and a name that is not in the certificate gets no answer.
func TestStrictAndOpportunistic(t *testing.T) {
	s := serveStreams(t, true, echo)
	n := network(t, Config{TLS: &tls.Config{RootCAs: s.authorities}})
	askAll(t, n, transport.Target{Addr: s.at, Proto: transport.TLS}, 3)
	askAll(t, n, transport.Target{Addr: s.at, Proto: transport.TLS, Name: "example.com"}, 3)
	if got := s.connections.Load(); got != 2 {
		t.Errorf("%d connections, expected one that was verified and one that was not", got)
	}
	if s.resumed.Load() != 0 {
		t.Error("a session that nobody verified was resumed for a name")
	}
	if _, err := n.Exchange(within(t, time.Second), transport.Target{Addr: s.at, Proto: transport.TLS, Name: "other.test"}, query(t, "a.test.")); err == nil {
		t.Error("another name was accepted")
	}
}

// The second connection to a server resumes the session of the first.
func TestSessionsAreResumed(t *testing.T) {
	for _, name := range []string{"", "example.com"} {
		s := serveStreams(t, true, func(c net.Conn) {
			if q, err := readMessage(c); err == nil {
				send(c, answerTo(q, ""))
			}
		})
		n := network(t, Config{TLS: &tls.Config{RootCAs: s.authorities}})
		for range 3 {
			askAll(t, n, transport.Target{Addr: s.at, Proto: transport.TLS, Name: name}, 1)
		}
		if s.resumed.Load() == 0 {
			t.Errorf("%q: %d connections, none resumed", name, s.connections.Load())
		}
	}
}

// fakeConn is a client of a transport that comes from outside.
type fakeConn struct{ asked, closed *atomic.Int32 }

func (c fakeConn) Exchange(_ context.Context, q []byte) ([]byte, error) {
	c.asked.Add(1)
	return answerTo(q, ""), nil
}
func (c fakeConn) Close() { c.closed.Add(1) }

// The transports that are given are shared and ended like the others.
func TestGivenTransports(t *testing.T) {
	var dialed, asked, closed atomic.Int32
	var url string
	at := netip.MustParseAddrPort("192.0.2.1:443")
	n := New(Config{Dialers: Dialers{
		QUIC: func(_ context.Context, _ netip.Addr, _ netip.AddrPort, cfg *tls.Config) (Conn, error) {
			dialed.Add(1)
			if cfg.ServerName != "dns.test" || cfg.InsecureSkipVerify {
				t.Errorf("trusts %q, %v", cfg.ServerName, cfg.InsecureSkipVerify)
			}
			return fakeConn{&asked, &closed}, nil
		},
		HTTPS: func(u string, _ netip.AddrPort, _ *tls.Config, _ bool) (Conn, error) {
			dialed.Add(1)
			url = u
			return fakeConn{&asked, &closed}, nil
		},
	}})
	askAll(t, n, transport.Target{Addr: at, Proto: transport.QUIC, Name: "dns.test"}, 10)
	askAll(t, n, transport.Target{Addr: at, Proto: transport.HTTPS, Name: "dns.test", Path: "/dns-query"}, 10)
	if dialed.Load() != 2 || asked.Load() != 20 || url != "https://dns.test:443/dns-query" {
		t.Errorf("%d connections, %d questions, URL %s", dialed.Load(), asked.Load(), url)
	}
	n.Close()
	eventually(t, func() bool { return closed.Load() == 2 })
	if _, err := network(t, Config{}).Exchange(within(t, time.Second), transport.Target{Addr: at, Proto: transport.QUIC}, query(t, "a.test.")); err == nil {
		t.Error("QUIC was spoken without a client for it")
	}
}

func eventually(t *testing.T, f func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}
