package xdp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/test/wire"
	"onoma/transport"
)

// modes are those that a veth pair has.
var modes = []Mode{Native, Generic}

func TestKdigGetsAnswers(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			w := newWire(t)
			s := w.listen(t, Config{Mode: mode, Sockets: transport.Config{Handler: echo(0)}})
			for _, a := range []string{wire.Server4, wire.Server6} {
				out := w.Output(t, "knot-dnsutils", "kdig", "+retry=0", "+timeout=2", "@"+a, "example.com")
				if !strings.Contains(out, "From "+a+"@53(UDP)") {
					t.Errorf("no answer from %s over UDP:\n%s", a, out)
				}
			}
			if st := s.Stats(); st.Answers != 2 || st.Sockets.UDP.Queries != 0 {
				t.Errorf("XDP answered %d, the sockets %d; want 2 and 0", st.Answers, st.Sockets.UDP.Queries)
			}
		})
	}
}

// TestLargeAnswersBecomeTCP has a client that takes TC for what it is: the answer beyond the MTU comes over TCP.
func TestLargeAnswersBecomeTCP(t *testing.T) {
	w := newWire(t)
	large := transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte { return largeAnswer(dst, q.Msg, 20) })
	s := w.listen(t, Config{Sockets: transport.Config{Handler: large}})
	for _, a := range []string{wire.Server4, wire.Server6} {
		out := w.Output(t, "knot-dnsutils", "kdig", "+retry=0", "+timeout=2", "+bufsize=4096", "@"+a, "example.com", "TXT")
		if !strings.Contains(out, "From "+a+"@53(TCP)") || !strings.Contains(out, "ANSWER: 20;") {
			t.Errorf("the answer from %s is not the whole over TCP:\n%s", a, out)
		}
		out = w.Output(t, "knot-dnsutils", "kdig", "+ignore", "+retry=0", "+timeout=2", "+bufsize=4096", "@"+a, "example.com", "TXT")
		for _, want := range []string{"Flags: qr tc", "QUERY: 1; ANSWER: 0; AUTHORITY: 0; ADDITIONAL: 1", "EDNS PSEUDOSECTION", "example.com."} {
			if !strings.Contains(out, want) {
				t.Errorf("the truncated answer from %s lacks %q:\n%s", a, want, out)
			}
		}
	}
	if st := s.Stats(); st.Truncated != 4 {
		t.Errorf("%d answers truncated, want 4", st.Truncated)
	}
}

// largeAnswer repeats a query's question and OPT record, with n TXT records of 200 bytes between.
func largeAnswer(dst, query []byte, n int) []byte {
	question, opt := outline(query)
	dst = append(dst, query[:question]...)
	dst[2] |= 0x80
	for range n {
		dst = append(dst, 0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 201, 200)
		dst = append(dst, bytes.Repeat([]byte{'x'}, 200)...)
	}
	binary.BigEndian.PutUint16(dst[6:], uint16(n))
	return append(dst, opt...)
}

// TestTheRestGoesToTheKernel shows that ping, TCP, other ports and fragments are served as if there were no XDP.
func TestTheRestGoesToTheKernel(t *testing.T) {
	w := newWire(t)
	s := w.listen(t, Config{Sockets: transport.Config{Handler: echo(0)}})
	for _, a := range []string{wire.Server4, wire.Server6} {
		w.Output(t, "iputils-ping", "ping", "-c1", "-W2", a)
		if out := w.Output(t, "knot-dnsutils", "kdig", "+tcp", "+retry=0", "+timeout=2", "@"+a, "example.com"); !strings.Contains(out, "(TCP)") {
			t.Errorf("no answer over TCP:\n%s", out)
		}
		// A query that is longer than the MTU comes in fragments, which only the kernel puts together.
		out := w.Output(t, "knot-dnsutils", "kdig", "+retry=0", "+timeout=2", "+padding=2000", "+bufsize=4096", "+notcp", "@"+a, "example.com")
		if !strings.Contains(out, "(UDP)") {
			t.Errorf("no answer to a query in fragments:\n%s", out)
		}
	}
	st := s.Stats()
	if st.Queries != 0 || st.Sockets.TCP.Answers != 2 || st.Sockets.UDP.Answers != 2 {
		t.Errorf("XDP saw %d queries, want 0; TCP answered %d and UDP %d, want 2 each", st.Queries, st.Sockets.TCP.Answers, st.Sockets.UDP.Answers)
	}
}

// query builds a query on the wire.
func (p *tap) query(is6 bool, msg []byte) builder {
	b := simple(wire.Client4+":4000", wire.Server4+":53", msg)
	if is6 {
		b = simple("["+wire.Client6+"]:4000", "["+wire.Server6+"]:53", msg)
	}
	copy(b.dst[:], p.server)
	copy(b.src[:], p.client)
	return b
}

// answer waits for a UDP answer to b, and returns it as it was read.
func (p *tap) answer(t *testing.T, b builder, patience time.Duration) *packet {
	t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); {
		var got packet
		if f := p.receive(t, 100*time.Millisecond); f != nil && got.parse(f, b.from.Port()) == fine {
			return &got
		}
	}
	return nil
}

func TestTagsComeBack(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			w := newWire(t)
			w.listen(t, Config{Mode: mode, Sockets: transport.Config{Handler: echo(0)}})
			p := w.tap(t)
			for _, is6 := range []bool{false, true} {
				for _, tags := range [][]uint32{nil, {0x81006005}, {0x88a80005, 0x81000006}} {
					b := p.query(is6, dnsMsg)
					b.tags = tags
					p.send(t, b.frame())
					got := p.answer(t, b, 2*time.Second)
					if got == nil {
						t.Fatalf("IPv6 %v, tags %x: no answer", is6, tags)
					}
					if want := b.frame()[12:got.ip]; !bytes.Equal(got.frame[12:got.ip], want) {
						t.Errorf("IPv6 %v: tags %x, want %x", is6, got.frame[12:got.ip], want)
					}
				}
			}
		})
	}
}

// TestWhatIsWrongIsDropped sends frames with a fault each; none is answered, each is counted as what it is, and a right one
// behind them is answered.
func TestWhatIsWrongIsDropped(t *testing.T) {
	w := newWire(t)
	s := w.listen(t, Config{Sockets: transport.Config{Handler: echo(0)}})
	p := w.tap(t)
	flip := func(f []byte, at int) []byte { f[at] ^= 0x10; return f }
	for _, is6 := range []bool{false, true} {
		whole := p.query(is6, dnsMsg)
		p.send(t, flip(whole.frame(), len(whole.frame())-1)) // the message
		p.send(t, p.query(is6, dnsMsg[:11]).frame())
		reply := bytes.Clone(dnsMsg)
		reply[2] |= 0x80
		p.send(t, p.query(is6, reply).frame())
		zero := whole
		zero.from = netip.AddrPortFrom(whole.from.Addr(), 0)
		p.send(t, zero.frame())
		martian := whole
		martian.from = netip.MustParseAddrPort(map[bool]string{false: "127.0.0.1:4000", true: "[::1]:4000"}[is6])
		p.send(t, martian.frame())
	}
	p.send(t, flip(p.query(false, dnsMsg).frame(), etherLen+8)) // TTL, which IPv4's checksum covers
	none := p.query(true, dnsMsg)
	none.noSum = true
	p.send(t, none.frame())
	last := p.query(false, append(bytes.Clone(dnsMsg[:12]), 0, 0, 2, 0, 1))
	p.send(t, last.frame())
	got := p.answer(t, last, 2*time.Second)
	if got == nil || len(got.msg) != 17 {
		t.Fatal("no answer to the right query behind the wrong ones")
	}
	st := s.Stats()
	want := Counts{BadChecksum: 4, BadSource: 2}
	want.Queries, want.Answers, want.Short, want.Responses, want.PortZero = 1, 1, 2, 2, 2
	want.BytesIn, want.BytesOut = 17, 17
	if diff := cmp.Diff(want, st.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// TestGarbage throws damaged frames at the program and the loop, which must live on.
func TestGarbage(t *testing.T) {
	w := newWire(t)
	w.listen(t, Config{Sockets: transport.Config{Handler: echo(0)}})
	p := w.tap(t)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 3000 {
		f := p.query(i%2 == 0, dnsMsg).frame()
		for range r.IntN(4) {
			f[12+r.IntN(len(f)-12)] = byte(r.Uint32())
		}
		if r.IntN(3) == 0 {
			f = f[:etherLen+r.IntN(len(f)-etherLen)]
		}
		p.send(t, f)
	}
	out := w.Output(t, "knot-dnsutils", "kdig", "+retry=3", "+timeout=2", "@"+wire.Server4, "example.com")
	if !strings.Contains(out, "(UDP)") {
		t.Errorf("no answer after garbage:\n%s", out)
	}
}

// TestDetachedAnswersLeaveByTheSocket answers from another goroutine, after Answer has returned.
func TestDetachedAnswersLeaveByTheSocket(t *testing.T) {
	w := newWire(t)
	s := w.listen(t, Config{Sockets: transport.Config{Handler: transport.WorkerFunc(
		func(dst []byte, q *transport.Query) []byte {
			p := q.Detach()
			go func() {
				defer p.Done()
				p.Msg[2] |= 0x80
				p.Reply(p.Msg)
			}()
			return dst
		})}})
	for _, a := range []string{wire.Server4, wire.Server6} {
		out := w.Output(t, "knot-dnsutils", "kdig", "+retry=0", "+timeout=2", "@"+a, "example.com")
		if !strings.Contains(out, "From "+a+"@53(UDP)") {
			t.Errorf("no answer from %s:\n%s", a, out)
		}
	}
	if st := s.Stats(); st.Queries != 2 || st.Answers != 0 || st.Sockets.UDP.Answers != 2 {
		t.Errorf("XDP saw %d queries and answered %d, the sockets answered %d; want 2, 0 and 2", st.Queries, st.Answers, st.Sockets.UDP.Answers)
	}
}

func TestPanicCostsOneQuery(t *testing.T) {
	w := newWire(t)
	s := w.listen(t, Config{Sockets: transport.Config{Handler: transport.WorkerFunc(
		func(dst []byte, q *transport.Query) []byte {
			if q.Client.Port() == 666 {
				panic("as the test wants")
			}
			return echo(0).NewWorker().Answer(dst, q)
		})}})
	p := w.tap(t)
	bad, good := p.query(false, dnsMsg), p.query(false, dnsMsg)
	bad.from = netip.AddrPortFrom(bad.from.Addr(), 666)
	for range 3 {
		p.send(t, bad.frame())
	}
	p.send(t, good.frame())
	if p.answer(t, good, 2*time.Second) == nil {
		t.Error("no answer to the query behind the panics")
	}
	if st := s.Stats(); st.Panics != 3 || st.Answers != 1 {
		t.Errorf("%d panics and %d answers, want 3 and 1", st.Panics, st.Answers)
	}
}

// TestEndDetaches starts one server after the other: the first must have left the interface.
func TestEndDetaches(t *testing.T) {
	w := newWire(t)
	attached := func() string { return w.IP(t, w.Server, "link show", wire.ServerDev) }
	for range 3 {
		var s *Server
		w.In(t, w.Server, func() (err error) {
			s, err = Listen(Config{Interface: wire.ServerDev, Strict: true, Sockets: transport.Config{Handler: echo(0)}})
			return err
		})
		if !strings.Contains(attached(), "prog/xdp") {
			t.Fatal("no program on the interface while serving")
		}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		go func() { served <- s.Serve(ctx) }()
		cancel()
		if err := <-served; err != nil {
			t.Fatal(err)
		}
		if strings.Contains(attached(), "prog/xdp") {
			t.Fatal("the program is still on the interface")
		}
	}
}

func TestSecondProgramIsRefused(t *testing.T) {
	w := newWire(t)
	w.listen(t, Config{Sockets: transport.Config{Handler: echo(0)}})
	w.In(t, w.Server, func() error {
		cfg := Config{Interface: wire.ServerDev, Port: 54, Strict: true, Sockets: transport.Config{Handler: echo(0)}}
		_, err := Listen(cfg)
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "another program is attached") {
			t.Errorf("error %v", err)
		}
		return nil
	})
	// Without Strict it serves all the same.
	var s *Server
	w.In(t, w.Server, func() (err error) {
		s, err = Listen(Config{Interface: wire.ServerDev, Port: 54, Sockets: transport.Config{Handler: echo(0)}})
		return err
	})
	if s.Lack() == nil {
		t.Error("there should be no XDP")
	}
	go s.Serve(t.Context())
	out := w.Output(t, "knot-dnsutils", "kdig", "+retry=1", "+timeout=2", "-p", "54", "@"+wire.Server4, "example.com")
	if !strings.Contains(out, "(UDP)") {
		t.Errorf("no answer over sockets:\n%s", out)
	}
	s.Close()
}

// TestEveryQueueIsServed asks from many ports, whose packets the card spreads over its queues.
func TestEveryQueueIsServed(t *testing.T) {
	w := newWireQueues(t, 2)
	s := w.listen(t, Config{Sockets: transport.Config{Handler: echo(0), Pin: true}})
	const asked = 40
	w.In(t, w.Client, func() error {
		for range asked {
			conn, err := net.Dial("udp", net.JoinHostPort(wire.Server4, "53"))
			if err != nil {
				return err
			}
			defer conn.Close()
			buf := make([]byte, 512)
			for range 3 {
				_, _ = conn.Write(dnsMsg)
				_ = conn.SetReadDeadline(time.Now().Add(time.Second))
				if _, err = conn.Read(buf); err == nil {
					break
				}
			}
			if err != nil {
				return fmt.Errorf("no answer to port %v: %w", conn.LocalAddr(), err)
			}
		}
		return nil
	})
	st := s.Stats()
	if len(st.Loops) != 2 || st.Loops[0].Answers == 0 || st.Loops[1].Answers == 0 || st.Answers < asked {
		t.Errorf("loops: %+v", st.Loops)
	}
}

// TestInterfaceGone ends the server with an error: one that looks alive and hears nothing is worse.
func TestInterfaceGone(t *testing.T) {
	w := newWire(t)
	var s *Server
	w.In(t, w.Server, func() (err error) {
		s, err = Listen(Config{Interface: wire.ServerDev, Strict: true, Sockets: transport.Config{Handler: echo(0)}})
		return err
	})
	served := make(chan error, 1)
	go func() { served <- s.Serve(t.Context()) }()
	w.IP(t, w.Server, "link del", wire.ServerDev)
	select {
	case err := <-served:
		if err == nil || !strings.Contains(err.Error(), "gone") {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("still serving")
		s.Close()
	}
}
