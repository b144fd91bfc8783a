package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// query is a question of its own ID.
func query(t testing.TB, name string) []byte {
	t.Helper()
	m := dns.NewQuery(0x1234, dns.Question{Name: dns.MustName(name), Type: dns.TypeA, Class: dns.ClassIN}, false)
	out, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// answerTo is a reply to a query, with something behind it.
func answerTo(query []byte, more string) []byte {
	reply := append(slices.Clone(query), more...)
	reply[2] |= 0x80
	return reply
}

// udpServer answers each datagram with what answer returns, one by one.
func udpServer(t testing.TB, addr string, answer func(q []byte, from netip.AddrPort) [][]byte) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			for _, reply := range answer(slices.Clone(buf[:n]), from) {
				conn.WriteToUDPAddrPort(reply, from)
			}
		}
	})
	t.Cleanup(func() { conn.Close(); wg.Wait() })
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func network(t testing.TB, cfg Config) *Network {
	n := New(cfg)
	t.Cleanup(func() { n.Close() })
	return n
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func kindOf(err error) transport.Kind {
	var x *transport.ExchangeError
	if !errors.As(err, &x) {
		return transport.Failed
	}
	return x.Kind
}

// Each question comes from a port of its own, though sockets are few.
func TestPortsAreFresh(t *testing.T) {
	var mu sync.Mutex
	ports := map[uint16]int{}
	answer := func(q []byte, from netip.AddrPort) [][]byte {
		mu.Lock()
		ports[from.Port()]++
		mu.Unlock()
		return [][]byte{answerTo(q, "")}
	}
	for _, addr := range []string{"127.14.1.1:0", "[::1]:0"} {
		mu.Lock()
		clear(ports)
		mu.Unlock()
		at := udpServer(t, addr, answer)
		n := network(t, Config{})
		const questions = 200
		for range questions {
			if _, err := n.Exchange(within(t, time.Second), transport.Target{Addr: at}, query(t, "a.test.")); err != nil {
				t.Fatal(err)
			}
		}
		mu.Lock()
		if len(ports) < questions*9/10 { // by chance one comes twice now and then
			t.Errorf("%s: %d questions came from %d ports only", addr, questions, len(ports))
		}
		mu.Unlock()
		if open := n.udp[0].open + n.udp[1].open; open > 1 {
			t.Errorf("%s: %d sockets for one question after another", addr, open)
		}
	}
}

// The source address is the one that was given.
func TestSourceAddress(t *testing.T) {
	sources := make(chan netip.Addr, 1)
	at := udpServer(t, "127.14.1.2:0", func(q []byte, from netip.AddrPort) [][]byte {
		sources <- from.Addr()
		return [][]byte{answerTo(q, "")}
	})
	n := network(t, Config{Source4: netip.MustParseAddr("127.14.9.9")})
	for range 3 {
		if _, err := n.Exchange(within(t, time.Second), transport.Target{Addr: at}, query(t, "a.test.")); err != nil {
			t.Fatal(err)
		}
		if got := <-sources; got != n.cfg.Source4 {
			t.Errorf("asked from %v", got)
		}
	}
}

// One reply that does not match ends an exchange at once; junk does not.
func TestRepliesThatDoNotMatch(t *testing.T) {
	otherID := func(q []byte) []byte { r := answerTo(q, ""); r[0]++; return r }
	otherName := func(q []byte) []byte { r := answerTo(q, ""); r[13]++; return r }
	for name, c := range map[string]struct {
		replies func(q []byte) [][]byte
		want    transport.Kind
		good    bool
	}{
		"another ID":       {func(q []byte) [][]byte { return [][]byte{otherID(q), answerTo(q, "")} }, transport.Spoofed, false},
		"another question": {func(q []byte) [][]byte { return [][]byte{otherName(q), answerTo(q, "")} }, transport.Spoofed, false},
		"junk first":       {func(q []byte) [][]byte { return [][]byte{{1, 2, 3}, {}, q, answerTo(q, "")} }, 0, true},
		"junk alone":       {func(q []byte) [][]byte { return [][]byte{{1, 2, 3}, q} }, transport.Timeout, false},
		"nothing":          {func(q []byte) [][]byte { return nil }, transport.Timeout, false},
		"in upper case": {func(q []byte) [][]byte {
			return [][]byte{answerTo([]byte(strings.ReplaceAll(string(q), "test", "TEST")), "")}
		}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			at := udpServer(t, "127.14.1.3:0", func(q []byte, _ netip.AddrPort) [][]byte { return c.replies(q) })
			start := time.Now()
			reply, err := network(t, Config{}).Exchange(within(t, 150*time.Millisecond), transport.Target{Addr: at}, query(t, "a.test."))
			switch {
			case c.good && (err != nil || len(reply) < headerLen):
				t.Errorf("no reply: %v", err)
			case !c.good && kindOf(err) != c.want:
				t.Errorf("error %v, expected that it %v", err, c.want)
			case c.want == transport.Spoofed && time.Since(start) > 100*time.Millisecond:
				t.Errorf("it took %v to notice", time.Since(start))
			}
		})
	}
}

// A reply that is larger than anybody was told to send is not used, and TCP is tried.
func TestOversizeIsTruncated(t *testing.T) {
	at := udpServer(t, "127.14.1.4:0", func(q []byte, _ netip.AddrPort) [][]byte { return [][]byte{answerTo(q, strings.Repeat("x", 5000))} })
	reply, err := network(t, Config{}).Exchange(within(t, time.Second), transport.Target{Addr: at}, query(t, "a.test."))
	if h, ok := dns.ParseHeader(reply); err != nil || !ok || !h.Flags.Has(dns.FlagTC) || len(reply) != headerLen {
		t.Errorf("%x, error %v; expected a header with TC", reply, err)
	}
}

// Where nobody listens, that is known at once, and the next question is not told of it.
func TestRefused(t *testing.T) {
	n := network(t, Config{})
	gone := udpServer(t, "127.14.1.5:0", func(q []byte, _ netip.AddrPort) [][]byte { return [][]byte{answerTo(q, "")} })
	nobody := netip.AddrPortFrom(gone.Addr(), 9)
	for range 3 {
		if _, err := n.Exchange(within(t, time.Second), transport.Target{Addr: nobody}, query(t, "a.test.")); kindOf(err) != transport.Refused {
			t.Errorf("error %v, expected that it is refused", err)
		}
		if _, err := n.Exchange(within(t, time.Second), transport.Target{Addr: gone}, query(t, "a.test.")); err != nil {
			t.Error(err)
		}
	}
}

// Who gives up is let go, and a late reply is nobody's.
func TestCancelled(t *testing.T) {
	asked := make(chan struct{}, 1)
	at := udpServer(t, "127.14.1.6:0", func([]byte, netip.AddrPort) [][]byte { asked <- struct{}{}; return nil })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	_, err := network(t, Config{}).Exchange(ctx, transport.Target{Addr: at}, query(t, "a.test."))
	if kindOf(err) != transport.Canceled {
		t.Errorf("error %v, expected that it was cancelled", err)
	}
}

// Sockets are bounded: questions wait for one, those that give up leave the queue.
func TestSocketsAreBounded(t *testing.T) {
	at := udpServer(t, "127.14.1.7:0", func(q []byte, _ netip.AddrPort) [][]byte {
		if q[13] == 'x' {
			return nil
		}
		return [][]byte{answerTo(q, "")}
	})
	n := network(t, Config{Sockets: 4})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			name, want := "a.test.", transport.Kind(0)
			ctx := within(t, 5*time.Second)
			if i%10 == 0 {
				name, want = "x.test.", transport.Timeout
				ctx = within(t, 20*time.Millisecond)
			}
			if _, err := n.Exchange(ctx, transport.Target{Addr: at}, query(t, name)); kindOf(err) != want {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
	if d := &n.udp[0]; d.open > 4 || d.open != len(d.idle) || len(d.queue) != 0 {
		t.Errorf("%d sockets, %d idle, %d wait", d.open, len(d.idle), len(d.queue))
	}
}

// A reply costs no more than its own octets and what watches the context.
func BenchmarkUDP(b *testing.B) {
	at := udpServer(b, "127.14.1.8:0", func(q []byte, _ netip.AddrPort) [][]byte { return [][]byte{answerTo(q, "")} })
	n, q := network(b, Config{}), query(b, "a.test.")
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := n.Exchange(ctx, transport.Target{Addr: at}, q); err != nil {
			b.Fatal(err)
		}
	}
}
