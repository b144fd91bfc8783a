package quic

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"onoma/dns"
	"onoma/transport"
	"onoma/transport/certs"
)

const patience = 10 * time.Second

var loopback = netip.MustParseAddr("127.0.0.1")

// flip answers with the query, QR set.
var flip = transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
	dst = append(dst, q.Msg...)
	dst[2] |= 0x80
	return dst
})

// desk detaches queries, for the test to answer.
type desk chan *transport.Pending

func (d desk) NewWorker() transport.Worker { return d }

func (d desk) Answer(dst []byte, q *transport.Query) []byte {
	d <- q.Detach()
	return dst
}

// start serves until the test ends; the second result is what a client needs.
func start(t *testing.T, cfg Config) (*Server, *tls.Config) {
	t.Helper()
	var err error
	if cfg.TLS, err = certs.SelfSigned([]string{"ns.example"}, []netip.Addr{loopback}); err != nil {
		t.Fatal(err)
	}
	cfg.Addrs = []netip.AddrPort{netip.AddrPortFrom(loopback, 0)}
	s, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-served:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(patience):
			t.Error("the server does not end")
		}
		if open := s.Stats().Conns.Open; open != 0 {
			t.Errorf("%d connections are left", open)
		}
	})
	roots := x509.NewCertPool()
	roots.AddCert(cfg.TLS.Certificates[0].Leaf)
	return s, &tls.Config{RootCAs: roots, ServerName: "ns.example"}
}

func dial(t *testing.T, s *Server, cfg *tls.Config) *Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := Dial(ctx, netip.Addr{}, s.Addrs()[0], cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func query(text string) []byte {
	msg, err := dns.NewQuery(0, dns.Question{Name: dns.MustName(text), Type: dns.TypeA, Class: dns.ClassIN}, false).Append(nil)
	if err != nil {
		panic(err)
	}
	return msg
}

func exchange(t *testing.T, c *Conn, msg []byte) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	reply, err := c.Exchange(ctx, msg)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func frame(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// Many queries at once on one connection, short and long, each get their own answer.
func TestQueries(t *testing.T) {
	s, client := start(t, Config{Handler: flip})
	c := dial(t, s, client)
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			q := query(fmt.Sprintf("name%d.example.", i))
			binary.BigEndian.PutUint16(q, uint16(i))
			if i%10 == 0 {
				q = append(q, make([]byte, i*200)...)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			reply, err := c.Exchange(ctx, q)
			q[2] |= 0x80
			if err != nil || !bytes.Equal(reply, q) {
				t.Errorf("query %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if st := s.Stats(); st.Queries != 300 || st.Answers != 300 || st.Conns.Accepted != 1 || st.ProtocolErrors != 0 {
		t.Errorf("counters: %+v", st)
	}
}

func TestQueryTellsWhoAsks(t *testing.T) {
	seen := make(chan transport.Query, 1)
	s, client := start(t, Config{Handler: transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
		seen <- *q
		return flip(dst, q)
	})})
	exchange(t, dial(t, s, client), query("who.example."))
	q := <-seen
	if q.Proto != transport.QUIC || q.Idle != 0 || q.Now == 0 || q.Client.Addr() != loopback || q.Local != s.Addrs()[0] {
		t.Errorf("the handler was told %+v", q)
	}
}

// A zone transfer is many messages on one stream; the stream ends after the last.
func TestDetached(t *testing.T) {
	d := make(desk, 1)
	s, client := start(t, Config{Handler: d})
	c := dial(t, s, client)
	st, err := c.qc.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	st.Write(frame(query("zone.example.")))
	st.Close()
	p := <-d
	want := bytes.Repeat(frame(bytes.Repeat([]byte{1}, 60000)), 20)
	go func() {
		for range 20 {
			if err := p.Reply(bytes.Repeat([]byte{1}, 60000)); err != nil {
				t.Error(err)
			}
		}
		p.Done()
	}()
	st.SetReadDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(st); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes (%v), want %d", len(got), err, len(want))
	}
}

// What a client may not do ends its connection with DOQ_PROTOCOL_ERROR (RFC 9250 §4.3.3).
func TestProtocolErrors(t *testing.T) {
	s, client := start(t, Config{Handler: flip})
	good := query("good.example.")
	withID := query("id.example.")
	withID[1] = 1
	response := query("response.example.")
	response[2] |= 0x80
	keepalive := withKeepalive()
	for name, stream := range map[string][]byte{
		"nothing":         {},
		"half a length":   {0},
		"half a query":    frame(good)[:20],
		"two queries":     append(frame(good), frame(good)...),
		"one byte more":   append(frame(good), 0),
		"too much":        append(frame(good), make([]byte, 1<<17)...),
		"a short query":   frame(good[:11]),
		"an ID":           frame(withID),
		"a response":      frame(response),
		"keepalive":       frame(keepalive),
		"a query of zero": frame(nil),
	} {
		c := dial(t, s, client)
		st, err := c.qc.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			st.Write(stream)
			st.Close()
		}()
		select {
		case <-c.qc.Context().Done():
		case <-time.After(patience):
			t.Fatalf("%s: the connection stays open", name)
		}
		var app *quic.ApplicationError
		if err := context.Cause(c.qc.Context()); !errors.As(err, &app) || app.ErrorCode != codeProtocol || !app.Remote {
			t.Errorf("%s: the connection ended with %v", name, err)
		}
	}
	c := dial(t, s, client)
	if _, err := c.qc.OpenUniStream(); err == nil {
		t.Error("a unidirectional stream can be opened")
	}
}

func withKeepalive() []byte {
	var b dns.Builder
	b.Start(nil, 512, 0, 0)
	b.Question(dns.MustName("keepalive.example.").Append(nil), dns.TypeA, dns.ClassIN)
	b.OPT(1232, 0, 0, 0, dns.AppendOption(nil, dns.OptionKeepalive, nil))
	return b.Finish()
}

// The fate of a query that gets no answer is told by the stream's error, and the connection lives on.
func TestNoAnswer(t *testing.T) {
	s, client := start(t, Config{Handler: transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
		switch q.Msg[13] {
		case 'p':
			panic("bad")
		case 'd':
			return dst
		case 'n':
			q.Detach().Done()
			return dst
		}
		return flip(dst, q)
	})})
	c := dial(t, s, client)
	for name, want := range map[string]quic.StreamErrorCode{"panic.": codeInternal, "drop.": codeExcessiveLoad, "none.": codeInternal} {
		_, err := c.Exchange(t.Context(), query(name))
		var reset *quic.StreamError
		if !errors.As(err, &reset) || reset.ErrorCode != want {
			t.Errorf("%s ended with %v, want code %d", name, err, want)
		}
	}
	exchange(t, c, query("good."))
}

// A query that does not come to its end is given up, and its stream's place is free again.
func TestSlowStream(t *testing.T) {
	s, client := start(t, Config{Handler: flip, Limits: Limits{MessageTimeout: 50 * time.Millisecond, MaxStreams: 2}})
	c := dial(t, s, client)
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		st, err := c.qc.OpenStreamSync(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		st.Write([]byte{0, 50, 0})
		st.SetReadDeadline(time.Now().Add(patience))
		var reset *quic.StreamError
		if _, err := io.ReadAll(st); !errors.As(err, &reset) || reset.ErrorCode != codeExcessiveLoad {
			t.Errorf("the stream ended with %v", err)
		}
	}
	exchange(t, c, query("good."))
	eventually(t, "nothing is in flight", func() bool { return s.inFlight.n.Load() == 0 })
}

// Half queries beyond what may wait are turned away at once, and whole ones are not.
func TestHalfQueries(t *testing.T) {
	s, client := start(t, Config{Handler: flip, Limits: Limits{MessageTimeout: patience, MaxPartial: 2}})
	c := dial(t, s, client)
	for i := range 3 {
		st, err := c.qc.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		st.Write([]byte{0, 50, 0})
		if i < 2 {
			eventually(t, "it waits", func() bool { return s.partial.Load() == int64(i+1) })
			continue
		}
		st.SetReadDeadline(time.Now().Add(patience))
		var reset *quic.StreamError
		if _, err := io.ReadAll(st); !errors.As(err, &reset) || reset.ErrorCode != codeExcessiveLoad {
			t.Errorf("the third stream ended with %v", err)
		}
	}
	exchange(t, c, query("good."))
	c.qc.CloseWithError(0, "")
	eventually(t, "nothing waits", func() bool { return s.partial.Load() == 0 })
}

// A client that resumes may ask at once; what must not be replayed waits for the handshake, and is answered.
func TestEarlyData(t *testing.T) {
	s, client := start(t, Config{Handler: flip})
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	exchange(t, dial(t, s, client), query("first."))
	eventually(t, "a ticket came", func() bool { _, ok := client.ClientSessionCache.Get("ns.example"); return ok })
	update := query("update.")
	update[2] = 5 << 3
	for _, msg := range [][]byte{query("early."), update} {
		pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IP{127, 0, 0, 1}})
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		tr := &quic.Transport{Conn: pc}
		defer tr.Close()
		qc, err := tr.DialEarly(t.Context(), net.UDPAddrFromAddrPort(s.Addrs()[0]), tlsConfig(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		c := &Conn{qc: qc, tr: tr}
		exchange(t, c, msg)
		<-qc.HandshakeComplete()
		if !qc.ConnectionState().Used0RTT {
			t.Error("no early data was taken")
		}
		c.Close()
	}
	if s.Stats().Conns.Resumed == 0 {
		t.Error("no resumption was counted")
	}
}

// Clients over their limit are refused; when all places are taken, an idle connection gives way.
func TestConnLimits(t *testing.T) {
	s, client := start(t, Config{Handler: flip, Limits: Limits{MaxConns: 2}})
	first := dial(t, s, client)
	exchange(t, first, query("a."))
	second := dial(t, s, client)
	exchange(t, second, query("b."))
	eventually(t, "both are idle", func() bool { return s.inFlight.n.Load() == 0 })
	exchange(t, dial(t, s, client), query("c."))
	<-first.qc.Context().Done()
	if second.qc.Context().Err() != nil {
		t.Error("the one that was idle last had to go")
	}
	if st := s.Stats(); st.Conns.Evicted != 1 || st.Conns.Refused != 0 {
		t.Errorf("counters: %+v", st)
	}

	s, client = start(t, Config{Handler: flip, Limits: Limits{MaxConnsPerClient: 1}})
	c := dial(t, s, client)
	if _, err := Dial(t.Context(), netip.Addr{}, s.Addrs()[0], client); err == nil {
		t.Error("a second connection of one client is taken")
	}
	c.Close()
	eventually(t, "the place is free", func() bool { return s.Stats().Conns.Open == 0 })
	dial(t, s, client)
	if st := s.Stats(); st.Conns.Refused == 0 {
		t.Errorf("counters: %+v", st)
	}
}

// While many handshakes are open, a client has to show its address before it costs anything.
func TestRetry(t *testing.T) {
	s, client := start(t, Config{Handler: flip, Limits: Limits{RetryAbove: 1}})
	s.gate.handshaking.Add(1)
	if !s.gate.Pressed(nil) {
		t.Error("no pressure is seen")
	}
	exchange(t, dial(t, s, client), query("validated."))
	s.gate.handshaking.Add(-1)
	eventually(t, "handshakes are counted down", func() bool { return s.gate.handshaking.Load() == 0 })
}

// A shutdown lets an answer in flight out, and then says that no error has happened.
func TestShutdown(t *testing.T) {
	d := make(desk, 1)
	cfg := Config{Handler: d}
	var err error
	if cfg.TLS, err = certs.SelfSigned([]string{"ns.example"}, nil); err != nil {
		t.Fatal(err)
	}
	cfg.Addrs = []netip.AddrPort{netip.AddrPortFrom(loopback, 0)}
	s, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	c := dial(t, s, &tls.Config{InsecureSkipVerify: true})
	answered := make(chan error, 1)
	go func() {
		_, err := c.Exchange(t.Context(), query("late."))
		answered <- err
	}()
	p := <-d
	stop()
	if err := p.Reply(p.Msg); err != nil {
		t.Error(err)
	}
	p.Done()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	var app *quic.ApplicationError
	<-c.qc.Context().Done()
	if err := context.Cause(c.qc.Context()); !errors.As(err, &app) || app.ErrorCode != codeNoError {
		t.Errorf("the connection ended with %v", err)
	}
}

func FuzzStream(f *testing.F) {
	f.Add(frame(query("good.example.")))
	f.Add(frame(withKeepalive()))
	f.Add([]byte{0, 12, 0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		msg, err := parseQuery(b)
		if err != nil {
			return
		}
		if len(msg) < dns.HeaderLen || msg[0] != 0 || msg[1] != 0 || msg[2]&0x80 != 0 || !bytes.Equal(frame(msg), b) {
			t.Errorf("%x was taken for the query %x", b, msg)
		}
		replayable(msg)
	})
}
