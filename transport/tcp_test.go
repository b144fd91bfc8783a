package transport

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// Queries of one write, and of a write for each byte, are answered in order, each answer whole.
func TestTCPPipelining(t *testing.T) {
	s := start(t, Config{Handler: flip})
	c := dial(t, TCP, s.Addrs()[0])
	var queries [][]byte
	for i := range 500 {
		queries = append(queries, message(i, fmt.Sprint("query ", i)))
	}
	send(t, c, queries...)
	for i := range 500 {
		if m := receive(t, c); idOf(m) != i || textOf(m) != fmt.Sprint("query ", i) {
			t.Fatalf("answer %d is %q", i, m)
		}
	}
	for _, b := range frame(message(1, "slowly"), message(2, "typed")) {
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := textOf(receive(t, c)), textOf(receive(t, c)); a != "slowly" || b != "typed" {
		t.Errorf("got %q and %q", a, b)
	}
	s.Close()
	st := s.Stats()
	if st.TCP.Queries != 502 || st.TCP.Answers != 502 || st.TCP.BytesIn != st.TCP.BytesOut || st.Conns.Accepted != 1 || st.Conns.Open != 0 {
		t.Errorf("counters: %+v %+v", st.TCP, st.Conns)
	}
}

func TestTCPLargeMessages(t *testing.T) {
	s := start(t, Config{Handler: flip})
	c := dial(t, TCP, s.Addrs()[0])
	large := make([]byte, MaxMessage)
	large[500], large[MaxMessage-1] = 'x', 'y'
	for range 3 {
		go c.Write(frame(large, message(2, "small"), large))
		for i, want := range []int{MaxMessage, headerLen + 5, MaxMessage} {
			m := receive(t, c)
			if len(m) != want || i != 1 && (m[500] != 'x' || m[MaxMessage-1] != 'y') {
				t.Fatalf("answer %d has %d bytes, want %d", i, len(m), want)
			}
		}
	}
}

// Length and message come in one segment (RFC 7766 §8), so that one read gets them.
func TestTCPAnswerIsOneWrite(t *testing.T) {
	d := make(desk, 1)
	s := start(t, Config{Handler: d})
	c := dial(t, TCP, s.Addrs()[0])
	buf := make([]byte, 512)
	for i := range 100 {
		send(t, c, message(i, "now"))
		if n, err := c.Read(buf); n != 2+headerLen+3 {
			t.Fatalf("one read got %d bytes (%v) of an immediate answer", n, err)
		}
		send(t, c, message(i, "later"))
		finish(t, d.next(t), "answer")
		if n, err := c.Read(buf); n != 2+headerLen+6 {
			t.Fatalf("one read got %d bytes (%v) of a detached answer", n, err)
		}
	}
}

// A slow answer does not hold up a fast one (RFC 7766 §6.2.1.1), and one query can have several answers.
func TestTCPOutOfOrder(t *testing.T) {
	d := make(desk, 3)
	s := start(t, Config{Handler: d})
	c := dial(t, TCP, s.Addrs()[0])
	send(t, c, message(1, "slow"), message(2, "slower"), message(3, "now"), message(4, "now"))
	if a, b := idOf(receive(t, c)), idOf(receive(t, c)); a != 3 || b != 4 {
		t.Errorf("first came the answers to %d and %d, want 3 and 4", a, b)
	}
	one, two := d.next(t), d.next(t)
	finish(t, two, "part 1", "part 2", "part 3")
	finish(t, one, "whole")
	for i := 1; i <= 3; i++ {
		if m := receive(t, c); idOf(m) != 2 || textOf(m) != fmt.Sprint("part ", i) {
			t.Errorf("part %d is %q", i, m)
		}
	}
	if m := receive(t, c); idOf(m) != 1 || textOf(m) != "whole" {
		t.Errorf("last came %q", m)
	}
}

// A client that closes its sending side after its last query still gets the answers.
func TestTCPHalfClose(t *testing.T) {
	d := make(desk, 1)
	s := start(t, Config{Handler: d})
	c := dial(t, TCP, s.Addrs()[0])
	send(t, c, message(1, "now"), message(2, "later"))
	c.(*net.TCPConn).CloseWrite()
	if idOf(receive(t, c)) != 1 {
		t.Error("a wrong answer came")
	}
	finish(t, d.next(t), "answer")
	if idOf(receive(t, c)) != 2 {
		t.Error("a wrong answer came")
	}
	if rest := closed(t, c); len(rest) > 0 {
		t.Errorf("after the last answer came %x", rest)
	}
}

// An idle connection is closed, neither early nor while an answer is in flight (RFC 7766 §6.2.3).
func TestTCPIdleTimeout(t *testing.T) {
	const idle = 150 * time.Millisecond
	d := make(desk, 1)
	s := start(t, Config{Handler: d, TCP: TCPLimits{IdleTimeout: idle}})
	c := dial(t, TCP, s.Addrs()[0])
	began := time.Now()
	send(t, c, message(1, "later"))
	p := d.next(t)
	time.Sleep(3 * idle)
	finish(t, p, "answer")
	if m := receive(t, c); textOf(m) != "answer" {
		t.Errorf("got %q", m)
	}
	if rest := closed(t, c); len(rest) > 0 {
		t.Errorf("before closing came %x", rest)
	}
	if took := time.Since(began); took < 4*idle {
		t.Errorf("closed after %v, before the connection had been idle for %v", took, idle)
	}
	eventually(t, "it is counted", func() bool { return s.Stats().Conns.Idle == 1 })
}

// Part of a message and then silence, or a byte now and then, ends at the deadline of the message.
func TestTCPHalfAMessage(t *testing.T) {
	const limit = 80 * time.Millisecond
	s := start(t, Config{Handler: flip, TCP: TCPLimits{MessageTimeout: limit}})
	for _, trickle := range []bool{false, true} {
		c := dial(t, TCP, s.Addrs()[0])
		began := time.Now()
		half := frame(message(1, "now"), make([]byte, 1000))
		half = half[:len(half)-500]
		if _, err := c.Write(half); err != nil {
			t.Fatal(err)
		}
		if trickle {
			go func() {
				for {
					if _, err := c.Write([]byte{0}); err != nil {
						return
					}
					time.Sleep(limit / 8)
				}
			}()
		}
		if textOf(receive(t, c)) != "now" {
			t.Error("the message before was not answered")
		}
		io.Copy(io.Discard, c)
		if took := time.Since(began); took < limit || took > patience/2 {
			t.Errorf("trickle=%v: closed after %v, want about %v", trickle, took, limit)
		}
	}
	eventually(t, "both are counted", func() bool { return s.Stats().Conns.Stalled == 2 })
}

// A client that does not read its answers loses the connection, whether the answers are immediate or detached, and holds no
// more than its bounded share of memory until then.
func TestTCPSlowReader(t *testing.T) {
	big := make([]byte, 60000)
	for name, handler := range map[string]Handler{
		"immediate": WorkerFunc(func(dst []byte, q *Query) []byte { return append(flip(dst, q), big...) }),
		"detached": WorkerFunc(func(dst []byte, q *Query) []byte {
			p := q.Detach()
			go func() {
				defer p.Done()
				for p.Reply(append(p.Msg, big...)) == nil {
				}
			}()
			return dst
		}),
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Config{Handler: handler, TCP: TCPLimits{WriteTimeout: 100 * time.Millisecond, MaxPipelined: 3}})
			c := dial(t, TCP, s.Addrs()[0])
			c.(*net.TCPConn).SetReadBuffer(4096)
			go c.Write(bytes.Repeat(frame(message(1, "give me much")), 2000))
			eventually(t, "the connection is given up", func() bool {
				if n := queued(s); n > outboxMax {
					t.Errorf("%d bytes are queued for one client", n)
				}
				st := s.Stats().Conns
				return st.Open == 0 && st.Stalled == 1
			})
		})
	}
}

// queued is the most that waits for one connection.
func queued(s *Server) (most int) {
	for _, c := range s.tcp.table.all() {
		c.mu.Lock()
		most = max(most, len(c.queue))
		c.mu.Unlock()
	}
	return most
}

// No more detached queries than the limit are in flight; the rest wait in the socket.
func TestTCPMaxPipelined(t *testing.T) {
	d := make(desk, 10)
	s := start(t, Config{Handler: d, TCP: TCPLimits{MaxPipelined: 2}})
	c := dial(t, TCP, s.Addrs()[0])
	send(t, c, message(0, "now"), message(1, ""), message(2, ""), message(3, ""), message(4, "now"))
	if idOf(receive(t, c)) != 0 {
		t.Error("the immediate answer waits for those in flight")
	}
	one, two := d.next(t), d.next(t)
	silent(t, c)
	if len(d) != 0 {
		t.Error("a third query is in flight")
	}
	finish(t, one, "x")
	three := d.next(t)
	finish(t, two, "x")
	finish(t, three, "x")
	got := map[int]bool{}
	for range 4 {
		got[idOf(receive(t, c))] = true
	}
	if len(got) != 4 {
		t.Errorf("answers came to %v only", got)
	}
}

// When all places are taken, the connection that has been idle longest gives way; one that is waiting for an answer does not.
func TestTCPConnLimit(t *testing.T) {
	d := make(desk, 1)
	s := start(t, Config{Handler: d, TCP: TCPLimits{MaxConns: 3}})
	ask := func(text string) net.Conn {
		c := dial(t, TCP, s.Addrs()[0])
		send(t, c, message(1, text))
		if text == "now" {
			receive(t, c)
		}
		return c
	}
	busy := ask("later")
	p := d.next(t)
	// An answer arrives a moment before its connection counts as idle again, so
	// each step waits for that: the order is what is tested.
	old := ask("now")
	eventually(t, "the first is idle", func() bool { return idleConns(s) == 1 })
	young := ask("now")
	eventually(t, "the second is idle", func() bool { return idleConns(s) == 2 })
	send(t, old, message(2, "now")) // the elder is now the one that was idle last
	receive(t, old)
	eventually(t, "both are idle", func() bool { return idleConns(s) == 2 })
	ask("now")
	closed(t, young)
	eventually(t, "the new one is idle", func() bool { return idleConns(s) == 2 })
	ask("now")
	closed(t, old)
	finish(t, p, "answer")
	if textOf(receive(t, busy)) != "answer" {
		t.Error("the busy connection got a wrong answer")
	}
	if st := s.Stats().Conns; st.Open != 3 || st.Evicted != 2 || st.Refused != 0 || st.Accepted != 5 {
		t.Errorf("counters: %+v", st)
	}
}

func idleConns(s *Server) (n int) {
	s.tcp.table.mu.Lock()
	defer s.tcp.table.mu.Unlock()
	for _, list := range s.tcp.table.queue[:busy] {
		for c := list.first; c != nil; c = c.links[ofAll].next {
			n++
		}
	}
	return n
}

// A client at its limit loses its own longest idle connection, and is refused when none is idle; others come in.
func TestTCPConnLimitPerClient(t *testing.T) {
	d := make(desk, 2)
	s := start(t, Config{Handler: d, TCP: TCPLimits{MaxConnsPerClient: 2}})
	greedy, other := netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.4")
	stranger := dialFrom(t, TCP, other, s.Addrs()[0])
	first, second := dialFrom(t, TCP, greedy, s.Addrs()[0]), dialFrom(t, TCP, greedy, s.Addrs()[0])
	eventually(t, "all are idle", func() bool { return idleConns(s) == 3 })
	third := dialFrom(t, TCP, greedy, s.Addrs()[0])
	closed(t, first)
	send(t, second, message(2, "later"))
	send(t, third, message(3, "later"))
	one, two := d.next(t), d.next(t)
	closed(t, dialFrom(t, TCP, greedy, s.Addrs()[0]))
	send(t, stranger, message(4, "now"))
	receive(t, stranger)
	finish(t, one, "x")
	finish(t, two, "x")
	receive(t, second)
	receive(t, third)
	if st := s.Stats().Conns; st.Open != 3 || st.Evicted != 1 || st.Refused != 1 {
		t.Errorf("counters: %+v", st)
	}
}

func TestClientKey(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::",
	} {
		if got := clientKey(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s is limited as %v, want %s", addr, got, want)
		}
	}
}

// A length that cannot be a message's ends the connection; a response in place of a query is passed over.
func TestTCPGarbage(t *testing.T) {
	s := start(t, Config{Handler: flip, TCP: TCPLimits{MaxMessage: 1000}})
	for _, garbage := range [][]byte{{0, 0}, frame(make([]byte, headerLen-1)), frame(make([]byte, 1001)), []byte("GET / HTTP/1.1\r\n\r\n")} {
		c := dial(t, TCP, s.Addrs()[0])
		c.Write(append(frame(message(1, "good")), garbage...))
		if textOf(receive(t, c)) != "good" {
			t.Error("the query before the garbage was not answered")
		}
		if rest := closed(t, c); len(rest) > 0 {
			t.Errorf("garbage was answered with %x", rest)
		}
	}
	c := dial(t, TCP, s.Addrs()[0])
	response := message(1, "response")
	response[2] |= 0x80
	send(t, c, response, message(2, "query"))
	if idOf(receive(t, c)) != 2 {
		t.Error("a response was answered")
	}
	s.Close()
	if st := s.Stats().TCP; st.Short != 4 || st.Responses != 1 || st.Queries != 5 {
		t.Errorf("counters: %+v", st)
	}
}

// A panic costs its query the answer, and no one else anything.
func TestTCPPanic(t *testing.T) {
	s := start(t, Config{Handler: WorkerFunc(func(dst []byte, q *Query) []byte {
		switch textOf(q.Msg) {
		case "bad":
			panic("bad")
		case "huge":
			return append(dst, make([]byte, MaxMessage+1)...)
		case "silent":
			return dst
		}
		return flip(dst, q)
	})})
	c := dial(t, TCP, s.Addrs()[0])
	send(t, c, message(1, "good"), message(2, "bad"), message(3, "good"), message(4, "huge"), message(5, "silent"), message(6, "good"))
	for _, want := range []int{1, 3, 6} {
		if got := idOf(receive(t, c)); got != want {
			t.Errorf("got the answer to %d, want %d", got, want)
		}
	}
	s.Close()
	if st := s.Stats().TCP; st.Panics != 1 || st.Oversize != 1 || st.Answers != 3 || st.Queries != 6 {
		t.Errorf("counters: %+v", st)
	}
}

func TestTCPv6(t *testing.T) {
	if !haveIPv6(t) {
		t.Skip("this machine has no IPv6 loopback")
	}
	s := start(t, Config{Handler: flip, Addrs: []netip.AddrPort{netip.MustParseAddrPort("[::1]:0"), netip.MustParseAddrPort("[::]:0")}})
	for _, a := range s.Addrs() {
		c := dial(t, TCP, netip.AddrPortFrom(netip.IPv6Loopback(), a.Port()))
		send(t, c, message(1, "six"))
		if textOf(receive(t, c)) != "six" {
			t.Error("a wrong answer came")
		}
		if v4, err := net.Dial("tcp4", loopback(a.Port()).String()); err == nil {
			v4.Close()
			t.Errorf("%v takes IPv4 as well", a)
		}
	}
}
