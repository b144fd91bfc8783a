package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// question is a whole DNS query for a name of one label under "example", type A.
func question(id int, label string) []byte {
	m := message(id, "")
	m[5] = 1
	m = append(m, byte(len(label)))
	m = append(m, label...)
	return append(m, "\x07example\x00\x00\x01\x00\x01"...)
}

// answerTo is the reply to a query, with a text behind the question.
func answerTo(q []byte, text string) []byte {
	m := append(append([]byte{}, q...), text...)
	m[2] |= 0x80
	return m
}

// udpServer answers each packet with the packets that f makes of it, from an address and socket that f may choose.
func udpServer(t *testing.T, f func(reply func([]byte), query []byte)) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback(0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, MaxMessage)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			f(func(m []byte) { conn.WriteToUDPAddrPort(m, from) }, buf[:n])
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestExchange(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		ap := netip.MustParseAddrPort(addr)
		if ap.Addr().Is6() && !haveIPv6(t) {
			continue
		}
		seen := make(chan string, 1)
		s := start(t, Config{Addrs: []netip.AddrPort{ap}, Handler: WorkerFunc(func(dst []byte, q *Query) []byte {
			seen <- fmt.Sprint(q.Client, q.Proto)
			return flip(dst, q)
		})})
		for _, p := range []Proto{UDP, TCP} {
			for _, buf := range [][]byte{nil, make([]byte, 512)} {
				q := question(7, "www")
				r, err := new(Client).Exchange(testContext(t), p, s.Addrs()[0], q, buf)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(answerTo(q, ""), r.Msg); diff != "" {
					t.Errorf("reply over %v (-want +got):\n%s", p, diff)
				}
				if buf != nil && &r.Msg[0] != &buf[0] {
					t.Errorf("over %v the buffer was not used", p)
				}
				if r.RTT <= 0 || r.RTT > patience {
					t.Errorf("RTT over %v is %v", p, r.RTT)
				}
				if got, want := <-seen, fmt.Sprint(r.Local, p); got != want {
					t.Errorf("asked from %s, the reply says %s", got, want)
				}
			}
		}
	}
}

func TestExchangeFromLocal(t *testing.T) {
	s := start(t, Config{Handler: flip})
	c := &Client{Local: netip.MustParseAddr("127.0.0.77")}
	for _, p := range []Proto{UDP, TCP} {
		r, err := c.Exchange(testContext(t), p, s.Addrs()[0], question(1, "www"), nil)
		if err != nil || r.Local.Addr() != c.Local {
			t.Errorf("asked over %v from %v (%v), want %v", p, r.Local, err, c.Local)
		}
	}
}

// Replies that do not match are passed over and counted; the one that matches is taken, whatever the case of its name.
func TestMismatchedRepliesAreIgnored(t *testing.T) {
	q := question(0x1234, "Www")
	mangle := func(i int, x byte) []byte {
		m := answerTo(q, "forged")
		m[i] ^= x
		return m
	}
	server := udpServer(t, func(reply func([]byte), query []byte) {
		reply(nil)
		reply(answerTo(q, "")[:headerLen-1])
		reply(query)                      // QR is clear
		reply(mangle(0, 1))               // ID
		reply(mangle(1, 0x80))            // ID
		reply(mangle(2, 0x28))            // opcode
		reply(mangle(headerLen+1, 1))     // name
		reply(mangle(len(q)-3, 1))        // type
		reply(mangle(len(q)-1, 2))        // class
		reply(mangle(5, 1))               // no question, and not an error
		reply(answerTo(q, "")[:len(q)-1]) // question cut short
		reply(answerTo(question(0x1234, "wwW"), "true"))
	})
	r, err := new(Client).Exchange(testContext(t), UDP, server, q, nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(r.Msg[len(q):]) != "true" {
		t.Errorf("the reply is %q", r.Msg)
	}
	if diff := cmp.Diff(Ignored{Malformed: 3, ID: 2, Question: 6}, r.Ignored); diff != "" {
		t.Errorf("ignored (-want +got):\n%s", diff)
	}

	_, err = (&Client{MaxIgnored: 2}).Exchange(testContext(t), UDP, server, q, nil)
	wantKind(t, err, Spoofed)
	if !strings.Contains(err.Error(), "3 replies did not match") {
		t.Errorf("the error does not say how many: %v", err)
	}
}

// Packets from elsewhere do not reach the socket, however well they match.
func TestRepliesFromElsewhereAreIgnored(t *testing.T) {
	q := question(1, "www")
	elsewhere, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback(0)))
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	var client atomic.Pointer[netip.AddrPort]
	c := &Client{rand: func() uint16 {
		p := randomPort()
		ap := loopback(p)
		client.Store(&ap)
		return p
	}}
	server := udpServer(t, func(reply func([]byte), _ []byte) {
		elsewhere.WriteToUDPAddrPort(answerTo(q, "forged"), *client.Load())
		reply(answerTo(q, "true"))
	})
	r, err := c.Exchange(testContext(t), UDP, server, q, nil)
	if err != nil || string(r.Msg[len(q):]) != "true" {
		t.Errorf("the reply is %q (%v)", r.Msg, err)
	}
}

// A bare header with an error code is a reply; one that claims success is not.
func TestErrorWithoutQuestion(t *testing.T) {
	q := question(1, "www")
	header := func(rcode byte) []byte { return []byte{0, 1, 0x80, rcode, 0, 0, 0, 0, 0, 0, 0, 0} }
	for rcode, want := range map[byte]Comparison{0: OtherQuestion, 1: Matches, 2: Matches, 3: OtherQuestion, 4: Matches, 5: Matches, 9: OtherQuestion} {
		if got := Match(q, header(rcode)); got != want {
			t.Errorf("a bare header with rcode %d is %v, want %v", rcode, got, want)
		}
	}
}

func wantKind(t *testing.T, err error, want Kind) {
	t.Helper()
	var e *ExchangeError
	if !errors.As(err, &e) || e.Kind != want {
		t.Errorf("the error is %v, want kind %v", err, want)
	}
}

func TestExchangeErrors(t *testing.T) {
	silentUDP := udpServer(t, func(func([]byte), []byte) {})
	silentTCP, err := net.Listen("tcp4", loopback(0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer silentTCP.Close()
	rude, err := net.Listen("tcp4", loopback(0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer rude.Close()
	go func() {
		for {
			c, err := rude.Accept()
			if err != nil {
				return
			}
			readFrame(c, nil)
			c.Write([]byte{0, 50, 1, 2, 3})
			c.Close()
		}
	}()
	closedPort := unusedPort(t)
	listener := func(l net.Listener) netip.AddrPort { return l.Addr().(*net.TCPAddr).AddrPort() }
	abroad := &Client{Local: netip.MustParseAddr("192.0.2.1")}
	q := question(1, "www")
	for _, c := range []struct {
		name   string
		client *Client
		proto  Proto
		server netip.AddrPort
		query  []byte
		want   Kind
	}{
		{"nobody listens", &Client{}, UDP, closedPort, q, Refused},
		{"nobody listens", &Client{}, TCP, closedPort, q, Refused},
		{"silence", &Client{Timeout: 30 * time.Millisecond}, UDP, silentUDP, q, Timeout},
		{"silence", &Client{Timeout: 30 * time.Millisecond}, TCP, listener(silentTCP), q, Timeout},
		{"half a reply", &Client{}, TCP, listener(rude), q, Broken},
		{"a source address that is not ours", abroad, UDP, silentUDP, q, Unreachable},
		{"a source address that is not ours", abroad, TCP, listener(silentTCP), q, Unreachable},
		{"no route", &Client{Local: netip.MustParseAddr("127.0.0.1")}, UDP, netip.MustParseAddrPort("192.0.2.1:53"), q, Unreachable},
		{"two IP versions", abroad, UDP, netip.MustParseAddrPort("[::1]:53"), q, Failed},
		{"no query", &Client{}, UDP, silentUDP, q[:5], Failed},
		{"no port", &Client{}, UDP, loopback(0), q, Failed},
		{"no such transport", &Client{}, Proto(9), silentUDP, q, Failed},
	} {
		t.Run(fmt.Sprint(c.name, " ", c.proto), func(t *testing.T) {
			_, err := c.client.Exchange(context.Background(), c.proto, c.server, c.query, nil)
			wantKind(t, err, c.want)
		})
	}
}

// unusedPort is one where nothing listens, UDP or TCP.
func unusedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	s, err := Listen(Config{Handler: flip, Addrs: []netip.AddrPort{loopback(0)}})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	return s.Addrs()[0]
}

func TestExchangeCanBeCancelled(t *testing.T) {
	silent := udpServer(t, func(func([]byte), []byte) {})
	l, err := net.Listen("tcp4", loopback(0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for p, server := range map[Proto]netip.AddrPort{UDP: silent, TCP: l.Addr().(*net.TCPAddr).AddrPort()} {
		ctx, cancel := context.WithCancel(testContext(t))
		timer := time.AfterFunc(20*time.Millisecond, cancel)
		_, err := new(Client).Exchange(ctx, p, server, question(1, "www"), nil)
		timer.Stop()
		wantKind(t, err, Canceled)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the cause is lost: %v", err)
		}
		_, err = new(Client).Exchange(ctx, p, server, question(1, "www"), nil)
		wantKind(t, err, Canceled)
	}
}

// Each question comes from a port of its own, drawn at random; one that is taken is drawn again.
func TestRandomPorts(t *testing.T) {
	s := start(t, Config{Handler: flip})
	ports := map[uint16]bool{}
	const n = 50
	for range n {
		r, err := new(Client).Exchange(testContext(t), UDP, s.Addrs()[0], question(1, "www"), nil)
		if err != nil {
			t.Fatal(err)
		}
		ports[r.Local.Port()] = true
	}
	if len(ports) < n-3 {
		t.Errorf("%d questions came from %d ports", n, len(ports))
	}
	taken, free := s.Addrs()[0].Port(), unusedPort(t).Port()
	draws := []uint16{taken, taken, free}
	c := &Client{rand: func() uint16 {
		p := draws[0]
		draws = draws[1:]
		return p
	}}
	r, err := c.Exchange(testContext(t), UDP, s.Addrs()[0], question(1, "www"), nil)
	if err != nil || r.Local.Port() != free {
		t.Errorf("asked from port %d (%v), want %d", r.Local.Port(), err, free)
	}
	c.rand = func() uint16 { return taken }
	if _, err := c.Exchange(testContext(t), UDP, s.Addrs()[0], question(1, "www"), nil); err != nil {
		t.Errorf("with every draw taken: %v", err)
	}
}

// A kept connection serves the next question; one that the server has closed meanwhile is replaced without a word.
func TestTCPReuse(t *testing.T) {
	s := start(t, Config{Handler: flip, TCP: TCPLimits{MaxConns: 1}})
	c := &Client{Reuse: 1, IdleTimeout: patience}
	ask := func() {
		t.Helper()
		r, err := c.Exchange(testContext(t), TCP, s.Addrs()[0], question(1, "www"), nil)
		if err != nil || len(r.Msg) != len(question(1, "www")) {
			t.Fatalf("the reply is %q (%v)", r.Msg, err)
		}
	}
	ask()
	ask()
	if n := s.Stats().Conns.Accepted; n != 1 {
		t.Errorf("%d connections for two questions", n)
	}
	eventually(t, "the server sees it idle", func() bool { return idleConns(s) == 1 })
	intruder := dial(t, TCP, s.Addrs()[0]) // the only place is taken from the client
	eventually(t, "it is evicted", func() bool { return s.Stats().Conns.Evicted == 1 })
	eventually(t, "the intruder is idle", func() bool { return idleConns(s) == 1 })
	ask()
	closed(t, intruder)
	c.CloseIdle()
	eventually(t, "all are closed", func() bool { return s.Stats().Conns.Open == 0 })

	c.IdleTimeout = 20 * time.Millisecond
	ask()
	eventually(t, "the kept one is closed in time", func() bool { return s.Stats().Conns.Open == 0 })
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) != 0 {
		t.Errorf("%d servers have kept connections", len(c.idle))
	}
}

// No more connections are kept than Client.Reuse says, and none where it says nothing.
func TestTCPReuseIsBounded(t *testing.T) {
	d := make(desk, 3)
	s := start(t, Config{Handler: d})
	for _, reuse := range []int{0, 2} {
		c := &Client{Reuse: reuse, IdleTimeout: patience}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := c.Exchange(testContext(t), TCP, s.Addrs()[0], question(1, "www"), nil); err != nil {
					t.Error(err)
				}
			})
		}
		all := []*Pending{d.next(t), d.next(t), d.next(t)}
		for _, p := range all {
			p.Reply(answerTo(p.Msg, ""))
			p.Done()
		}
		wg.Wait()
		eventually(t, fmt.Sprint(reuse, " are kept"), func() bool { return s.Stats().Conns.Open == uint64(reuse) })
		c.CloseIdle()
		eventually(t, "none is kept", func() bool { return s.Stats().Conns.Open == 0 })
	}
}

func TestKindOfDeadline(t *testing.T) {
	e := &ExchangeError{Kind: KindOf(os.ErrDeadlineExceeded)}
	var n interface{ Timeout() bool }
	if !errors.As(error(e), &n) || !n.Timeout() {
		t.Error("a deadline is not a time-out")
	}
}

func FuzzMatch(f *testing.F) {
	q := question(1, "www")
	f.Add(q, answerTo(q, "x"))
	f.Add(q, answerTo(q, "x")[:20])
	f.Add(q[:14], answerTo(q[:14], ""))
	f.Add(append(q, 0xc0, 12), answerTo(append(q, 0xc0, 12), ""))
	f.Add(message(1, "\xff\xff\xff\xff"), message(1, "\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, query, msg []byte) {
		if len(query) < headerLen {
			return
		}
		if Match(query, msg) == Matches && (len(msg) < headerLen || msg[0] != query[0] || msg[1] != query[1] || msg[2]&0x80 == 0) {
			t.Errorf("%x is taken for the reply to %x", msg, query)
		}
		query[2] &= 0x7f
		if Match(query, query) == Matches {
			t.Errorf("%x is taken for the reply to itself", query)
		}
		if questionsEnd(query) > 0 && Match(query, answerTo(query, "")) != Matches {
			t.Errorf("the echo of %x is not taken for its reply", query)
		}
	})
}

func BenchmarkExchange(b *testing.B) {
	s, err := Listen(Config{Handler: flip, Addrs: []netip.AddrPort{loopback(0)}})
	if err != nil {
		b.Fatal(err)
	}
	go s.Serve(b.Context())
	defer s.Close()
	for _, bm := range []struct {
		name   string
		proto  Proto
		client *Client
	}{{"udp", UDP, &Client{}}, {"tcp", TCP, &Client{}}, {"tcp reused", TCP, &Client{Reuse: 1}}} {
		b.Run(bm.name, func(b *testing.B) {
			q, buf := question(1, "www"), make([]byte, 512)
			ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
			defer cancel()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bm.client.Exchange(ctx, bm.proto, s.Addrs()[0], q, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
