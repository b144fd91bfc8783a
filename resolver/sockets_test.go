package resolver

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/resolver/upstream"
	"onoma/transport"
)

// TestOverSockets runs the resolver as a server, with real servers to ask: all
// on loopback addresses and one port.
func TestOverSockets(t *testing.T) {
	root := fakenet.ParseZone(".", "@ NS a.root.\na.root. A 127.77.1.1\ncom. NS ns.com.\nns.com. A 127.77.1.2")
	lines := "@ NS ns\nns A 127.77.1.2\nwww 300 A 198.51.100.1\n"
	for i := range 40 {
		lines += "big 300 TXT \"" + strings.Repeat("x", 50+i) + "\"\n"
	}
	zones := fakenet.New(1)
	for addr, zone := range map[string]*fakenet.Zone{"127.77.1.1": root, "127.77.1.2": fakenet.ParseZone("com.", lines)} {
		zones.Serve(addr, zone).RTT = 0
	}
	answer := transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
		out, err := zones.Exchange(t.Context(), Target{Addr: q.Local, Proto: q.Proto}, q.Msg)
		if err != nil {
			return dst
		}
		return append(dst, out...)
	})
	port := serve(t, answer, netip.MustParseAddrPort("127.77.1.1:0"))[0].Port()
	serve(t, answer, netip.AddrPortFrom(netip.MustParseAddr("127.77.1.2"), port))

	r, err := New(Config{
		UpstreamPort: port, AllowLoopbackServers: true, Upstream: upstream.Config{Source4: netip.MustParseAddr("127.77.1.100")},
		Hints: []Hint{{Name: dns.MustName("a.root."), Addrs: []netip.Addr{netip.MustParseAddr("127.77.1.1")}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	at := serve(t, r, netip.MustParseAddrPort("127.77.1.53:0"))[0]
	var c transport.Client
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for _, proto := range []transport.Proto{transport.UDP, transport.TCP} {
				expect(t, "www", exchange(t, &c, proto, at, query("www.com.", dns.TypeA, 1232, false)), "NOERROR qr,rd,ra www.com. 300 A 198.51.100.1;")
			}
			expect(t, "big over UDP", exchange(t, &c, transport.UDP, at, query("big.com.", dns.TypeTXT, 1232, false)), "NOERROR qr,tc,rd,ra")
			if got := exchange(t, &c, transport.TCP, at, query("big.com.", dns.TypeTXT, 1232, false)); strings.Count(got, " TXT ") != 40 {
				t.Errorf("big over TCP: %.200s", got)
			}
		})
	}
	wg.Wait()
}

// serve runs a server until the test ends.
func serve(t *testing.T, h transport.Handler, addr netip.AddrPort) []netip.AddrPort {
	t.Helper()
	s, err := transport.Listen(transport.Config{Handler: h, Addrs: []netip.AddrPort{addr}})
	if err != nil {
		t.Skipf("no socket at %v: %v", addr, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Addrs()
}

// exchange asks a server, and shows the answer with its TTLs as they were at first.
func exchange(t *testing.T, c *transport.Client, proto transport.Proto, to netip.AddrPort, m *dns.Message) string {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	raw, err := m.Append(nil)
	if err != nil {
		return err.Error()
	}
	reply, err := c.Exchange(ctx, proto, to, raw, nil)
	if err != nil {
		return err.Error()
	}
	a, err := dns.ParseMessage(reply.Msg)
	if err != nil {
		return err.Error()
	}
	for i := range a.Answer {
		if ttl := &a.Answer[i].TTL; *ttl > 290 {
			*ttl = 300
		}
	}
	return text(a)
}
