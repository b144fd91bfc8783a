package transport

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUDPAnswers(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			ap := netip.MustParseAddrPort(addr)
			if ap.Addr().Is6() && !haveIPv6(t) {
				t.Skip("this machine has no IPv6 loopback")
			}
			loopVariants(t, func(t *testing.T, cfg Config) {
				seen := make(chan string, 1)
				cfg.Handler = WorkerFunc(func(dst []byte, q *Query) []byte {
					seen <- fmt.Sprint(q.Client, q.Local, q.Proto)
					return flip(dst, q)
				})
				cfg.Addrs = []netip.AddrPort{ap}
				s := start(t, cfg)
				c := dial(t, UDP, s.Addrs()[0])
				send(t, c, message(7, "question"))
				m := receive(t, c)
				if idOf(m) != 7 || textOf(m) != "question" || m[2] != 0x80 {
					t.Errorf("answer is %x", m)
				}
				client := c.LocalAddr().(*net.UDPAddr).AddrPort()
				if got, want := <-seen, fmt.Sprint(client, s.Addrs()[0], UDP); got != want {
					t.Errorf("the handler saw %v, want %v", got, want)
				}
			})
		})
	}
}

// Everyone gets their own answers, whatever shares a batch with them.
func TestUDPManyClients(t *testing.T) {
	loopVariants(t, func(t *testing.T, cfg Config) {
		cfg.Handler, cfg.Threads = flip, 2
		s := start(t, cfg)
		const clients, rounds, window = 40, 25, 4
		var wg sync.WaitGroup
		for n := range clients {
			c := dial(t, UDP, s.Addrs()[0])
			wg.Go(func() {
				buf := make([]byte, 512)
				for r := range rounds {
					for w := range window {
						c.Write(message(r*window+w, fmt.Sprint("client ", n)))
					}
					got := map[int]bool{}
					for range window {
						k, err := c.Read(buf)
						if err != nil {
							t.Error(err)
							return
						}
						if text := textOf(buf[:k]); text != fmt.Sprint("client ", n) {
							t.Errorf("client %d got an answer to %q", n, text)
						}
						got[idOf(buf[:k])/window] = true
					}
					if len(got) != 1 || !got[r] {
						t.Errorf("round %d got answers to rounds %v", r, got)
					}
				}
			})
		}
		wg.Wait()
		s.Close()
		if st := s.Stats(); st.UDP.Queries != clients*rounds*window || st.KernelDrops != 0 {
			t.Errorf("%d queries and %d drops counted, %d were sent", st.UDP.Queries, st.KernelDrops, clients*rounds*window)
		}
	})
}

// Packets that wait when the loop begins are answered, with answers of all lengths, also such as outgrow a batch's buffer,
// and a panic among them costs one answer. Their order is the loop's choice: answers for one client are sent together.
func TestUDPBatch(t *testing.T) {
	loopVariants(t, func(t *testing.T, cfg Config) {
		workers := 0
		cfg.Handler = handlerFunc(func() Worker {
			workers++ // one loop, so one goroutine
			return WorkerFunc(func(dst []byte, q *Query) []byte {
				switch id := idOf(q.Msg); {
				case id == 11:
					panic("eleven")
				case id == 12:
					return dst
				case id < 150 && id%10 == 0:
					return append(flip(dst, q), bytes.Repeat([]byte{byte(id)}, 50*id)...)
				}
				return flip(dst, q)
			})
		})
		s := listen(t, cfg)
		c := dial(t, UDP, s.Addrs()[0])
		if err := c.(*net.UDPConn).SetReadBuffer(1 << 20); err != nil {
			t.Fatal(err)
		}
		const n = 260 // more than a batch
		for i := range n {
			send(t, c, message(i, "x"))
		}
		served := serve(t, s)
		var bytesOut uint64
		seen := make(map[int]bool)
		for range n - 2 {
			m := receive(t, c)
			id := idOf(m)
			want := "x"
			if id < 150 && id%10 == 0 {
				want += strings.Repeat(string([]byte{byte(id)}), 50*id)
			}
			if seen[id] || id == 11 || id == 12 || textOf(m) != want {
				t.Fatalf("answer %d (seen before: %v) has %d bytes, want %d", id, seen[id], len(m), headerLen+len(want))
			}
			seen[id] = true
			bytesOut += uint64(len(m))
		}
		s.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve returned %v", err)
		}
		want := Counts{Queries: n, Answers: n - 2, BytesIn: n * 13, BytesOut: bytesOut, Panics: 1}
		if diff := cmp.Diff(want, s.Stats().UDP); diff != "" {
			t.Errorf("counters (-want +got):\n%s", diff)
		}
		if workers != 2 {
			t.Errorf("%d workers were made, want a second one after the panic", workers)
		}
	})
}

type handlerFunc func() Worker

func (f handlerFunc) NewWorker() Worker { return f() }

// What is not a query is not answered, whatever it is.
func TestUDPGarbage(t *testing.T) {
	loopVariants(t, func(t *testing.T, cfg Config) {
		cfg.Handler = WorkerFunc(func(dst []byte, q *Query) []byte {
			if idOf(q.Msg) == 3 {
				return append(dst, make([]byte, 70000)...)
			}
			return flip(dst, q)
		})
		s := start(t, cfg)
		c := dial(t, UDP, s.Addrs()[0])
		response := message(1, "a response")
		response[2] |= 0x80
		send(t, c, nil, []byte{1}, make([]byte, headerLen-1), response, make([]byte, udpSlot+1), make([]byte, 60000), message(3, "too large"))
		send(t, c, make([]byte, udpSlot), message(9, "good"))
		if m := receive(t, c); len(m) != udpSlot {
			t.Errorf("the longest query possible got an answer of %d bytes", len(m))
		}
		if m := receive(t, c); idOf(m) != 9 {
			t.Errorf("got an answer to query %d", idOf(m))
		}
		s.Close()
		st := s.Stats().UDP
		want := Counts{Queries: 3, Answers: 2, BytesIn: st.BytesIn, BytesOut: st.BytesOut, Short: 3, Responses: 1, Oversize: 3}
		if diff := cmp.Diff(want, st); diff != "" {
			t.Errorf("counters (-want +got):\n%s", diff)
		}
	})
}

func TestUDPPortZero(t *testing.T) {
	st := &seat{}
	zero := netip.MustParseAddrPort("192.0.2.1:0")
	if st.answerable(message(1, ""), zero, false) || st.tally[nPortZero] != 1 {
		t.Error("a query from port 0 is taken for one that can be answered")
	}
}

// A socket bound to all addresses answers from the one that was asked: a connected client would hear nothing else.
func TestUDPWildcard(t *testing.T) {
	cases := map[string][]string{"0.0.0.0:0": {"127.0.0.1", "127.0.0.2", "127.9.8.7"}, "[::]:0": {"::1"}}
	for wildcard, asked := range cases {
		t.Run(wildcard, func(t *testing.T) {
			ap := netip.MustParseAddrPort(wildcard)
			if ap.Addr().Is6() && !haveIPv6(t) {
				t.Skip("this machine has no IPv6 loopback")
			}
			loopVariants(t, func(t *testing.T, cfg Config) {
				d := make(desk, 1)
				cfg.Handler = wildcardDesk{d}
				cfg.Addrs = []netip.AddrPort{ap}
				s := start(t, cfg)
				for i, a := range asked {
					to := netip.AddrPortFrom(netip.MustParseAddr(a), s.Addrs()[0].Port())
					c := dial(t, UDP, to)
					send(t, c, message(i, "now"))
					if m := receive(t, c); textOf(m) != to.String() {
						t.Errorf("asked %v, the handler was told %s", to, textOf(m))
					}
					send(t, c, message(i, "later"))
					p := d.next(t)
					if p.Local != to {
						t.Errorf("asked %v, the detached query says %v", to, p.Local)
					}
					finish(t, p, "detached")
					if m := receive(t, c); textOf(m) != "detached" {
						t.Errorf("detached answer is %q", textOf(m))
					}
				}
			})
		})
	}
}

// wildcardDesk answers with the address that was asked, or later.
type wildcardDesk struct{ desk }

func (w wildcardDesk) NewWorker() Worker { return w }

func (w wildcardDesk) Answer(dst []byte, q *Query) []byte {
	if bytes.HasPrefix(q.Msg[headerLen:], []byte("now")) {
		return append(append(dst, q.Msg[:headerLen]...), q.Local.String()...)
	}
	return w.desk.Answer(dst, q)
}

// Detached queries own their copy, are answered in any order and from any goroutine, and more than once if need be.
func TestUDPDetach(t *testing.T) {
	loopVariants(t, func(t *testing.T, cfg Config) {
		d := make(desk, 10)
		cfg.Handler = d
		s := start(t, cfg)
		c := dial(t, UDP, s.Addrs()[0])
		send(t, c, message(1, "first"), message(2, "second"), message(3, "now"))
		if m := receive(t, c); idOf(m) != 3 {
			t.Errorf("the immediate answer came with ID %d", idOf(m))
		}
		one, two := d.next(t), d.next(t)
		if textOf(one.Msg) != "first" || textOf(two.Msg) != "second" || one.Client != c.LocalAddr().(*net.UDPAddr).AddrPort() {
			t.Errorf("detached: %q of %v and %q", one.Msg, one.Client, two.Msg)
		}
		finish(t, two, "2a", "2b")
		finish(t, one, "1")
		for _, want := range []string{"2a", "2b", "1"} {
			if m := receive(t, c); textOf(m) != want {
				t.Errorf("got %q, want %q", textOf(m), want)
			}
		}
		s.Close()
		if st := s.Stats().UDP; st.Queries != 3 || st.Answers != 4 {
			t.Errorf("%d queries and %d answers counted, want 3 and 4", st.Queries, st.Answers)
		}
		if err := one.Reply(message(1, "")); err == nil {
			t.Error("a reply after Done was sent")
		}
	})
}

func TestInProcessQuery(t *testing.T) {
	var got []string
	q := NewQuery(message(1, "x"), netip.AddrPort{}, netip.AddrPort{}, TCP, func(m []byte) error {
		got = append(got, textOf(m))
		return nil
	})
	p := q.Detach()
	q.Msg[headerLen] = 'y'
	if textOf(p.Msg) != "x" || p.Proto != TCP {
		t.Errorf("detached %q over %v", textOf(p.Msg), p.Proto)
	}
	finish(t, p, "a", "b")
	if diff := cmp.Diff([]string{"a", "b"}, got); diff != "" {
		t.Error(diff)
	}
	bare := &Query{Msg: message(1, "")}
	finish(t, bare.Detach(), "nobody listens")
}
