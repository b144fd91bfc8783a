package resolver

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
)

// world is a small internet with a Resolver in it, and a client at 127.0.0.1.
type world struct {
	*fakenet.Net
	t          *testing.T
	r          *Resolver
	worker     transport.Worker
	client     netip.AddrPort
	proto      transport.Proto
	root, leaf *signedZone // inSignedWorld
}

const rootZone = `
	@ 518400 NS a.root-servers.net.
	a.root-servers.net. 518400 A 192.0.2.1
	com. 172800 NS a.gtld-servers.net.
	a.gtld-servers.net. 172800 A 192.0.2.2`

const comZone = `
	@ NS a.gtld-servers.net.
	example.com. NS ns.example.com.
	ns.example.com. A 192.0.2.3`

// inWorld runs test in a bubble with fake time. The internet has a root, com
// and example.com, whose zone holds the lines of example.
func inWorld(t *testing.T, cfg Config, example string, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{Net: fakenet.New(1), t: t, client: netip.MustParseAddrPort("127.0.0.1:5353")}
		w.Serve("192.0.2.1", fakenet.ParseZone(".", rootZone))
		w.Serve("192.0.2.2", fakenet.ParseZone("com.", comZone))
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\n"+example))
		cfg.Env = w.Net
		cfg.Hints = []Hint{{Name: dns.MustName("a.root-servers.net."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}
		cfg.CacheSize = 3 << 19
		if cfg.Log == nil {
			cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
		}
		r, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		w.r, w.worker = r, r.NewWorker()
		test(t, w)
		if err := w.r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// pack returns m in wire form.
func pack(t *testing.T, m *dns.Message) []byte {
	t.Helper()
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// query makes a query with RD and, with size not 0, EDNS.
func query(name string, typ dns.Type, size uint16, do bool) *dns.Message {
	m := dns.NewQuery(4711, dns.Question{Name: dns.MustName(name), Type: typ, Class: dns.ClassIN}, true)
	if size != 0 {
		m.EDNS = &dns.EDNS{UDPSize: size, DO: do}
	}
	return m
}

// start sends a query and returns a function that waits for the answer; nil
// means that none came within 30 seconds. An answer given at once is ready at once.
func (w *world) start(msg []byte) (wait func() []byte) {
	answers := make(chan []byte, 10)
	q := transport.NewQuery(msg, w.client, netip.MustParseAddrPort("127.0.0.1:53"), w.proto, func(m []byte) error {
		answers <- append([]byte(nil), m...)
		return nil
	})
	if out := w.worker.Answer(make([]byte, 0, 4096), q); len(out) > 0 {
		answers <- append([]byte(nil), out...)
	}
	return func() []byte {
		select {
		case m := <-answers:
			return m
		case <-time.After(30 * time.Second):
			return nil
		}
	}
}

// ask sends a query and returns the answer.
func (w *world) ask(m *dns.Message) *dns.Message {
	w.t.Helper()
	return w.parse(w.start(pack(w.t, m))())
}

func (w *world) parse(raw []byte) *dns.Message {
	w.t.Helper()
	if raw == nil {
		w.t.Fatal("no answer came")
	}
	a, err := dns.ParseMessage(raw)
	if err != nil {
		w.t.Fatalf("answer %x: %v", raw, err)
	}
	return a
}

// text shows a message: rcode, flags, then the sections and EDE.
func text(m *dns.Message) string {
	parts := []string{m.RCode.String(), strings.ReplaceAll(m.Flags.String(), " ", ",")}
	for s, records := range [][]dns.Record{m.Answer, m.Authority, m.Additional} {
		if len(records) > 0 && s > 0 {
			parts = append(parts, "|")
		}
		for _, r := range records {
			parts = append(parts, strings.Join(strings.Fields(strings.Replace(r.String(), "\tIN\t", " ", 1)), " ")+";")
		}
	}
	for _, e := range m.EDNS.EDE() {
		parts = append(parts, fmt.Sprintf("EDE%d:%s", e.Code, e.Text))
	}
	return strings.Join(parts, " ")
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s\n got: %s\nwant: %s", what, got, want)
	}
}

// asked returns how many packets were sent since the last call.
func (w *world) asked() int { return len(w.Sent()) }

// lines collects what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newQuery makes a query that is never detached.
func newQuery(msg []byte, client netip.AddrPort) *transport.Query {
	return transport.NewQuery(msg, client, netip.MustParseAddrPort("127.0.0.1:53"), transport.UDP, nil)
}

func mustAddrPort(addr string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), 5353)
}
