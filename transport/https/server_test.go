package https

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/transport/certs"
)

const patience = 10 * time.Second

var loopback = netip.MustParseAddr("127.0.0.1")

// answerer answers every query with an address of TTL 300 and one of TTL 60, but for names that ask for something else.
var answerer = transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
	var parsed dns.Query
	if parsed.Parse(q.Msg) != nil {
		return append(append(dst, q.Msg[:2]...), 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	var b dns.Builder
	flags := dns.FlagQR
	first := q.Msg[13]
	switch first {
	case 'f':
		flags |= dns.Flags(dns.RCodeServFail)
	case 'd':
		return dst
	case 'p':
		panic("asked to")
	}
	b.Start(dst, dns.MaxMessageLen, parsed.ID, flags)
	b.Question(parsed.Name, parsed.Type, parsed.Class)
	switch first {
	case 'n':
		b.Record(dns.SectionAuthority, parsed.Name, dns.TypeSOA, dns.ClassIN, 3600, append(make([]byte, 2+16), 0, 0, 0, 77))
	case 'f':
	default:
		b.Record(dns.SectionAnswer, parsed.Name, dns.TypeA, dns.ClassIN, 300, []byte{192, 0, 2, 1})
		b.Record(dns.SectionAnswer, parsed.Name, dns.TypeA, dns.ClassIN, 60, []byte{192, 0, 2, 2})
	}
	return b.Finish()
})

func query(name string) []byte {
	msg, err := dns.NewQuery(0, dns.Question{Name: dns.MustName(name), Type: dns.TypeA, Class: dns.ClassIN}, false).Append(nil)
	if err != nil {
		panic(err)
	}
	return msg
}

func start(t *testing.T, cfg Config) (*Server, *tls.Config) {
	t.Helper()
	var err error
	if cfg.TLS, err = certs.SelfSigned([]string{"ns.example"}, []netip.Addr{loopback}); err != nil {
		t.Fatal(err)
	}
	if cfg.Endpoints == nil {
		cfg.Endpoints = []Endpoint{{Addr: netip.AddrPortFrom(loopback, 0)}}
	}
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
	})
	roots := x509.NewCertPool()
	roots.AddCert(cfg.TLS.Certificates[0].Leaf)
	return s, &tls.Config{RootCAs: roots, ServerName: "ns.example"}
}

// version is a way to ask.
type version struct {
	name   string
	client *Client
	proto  string
}

func versions(t *testing.T, s *Server, cfg *tls.Config) []version {
	url := "https://" + s.Addrs()[0].String() + DefaultPath
	old := NewClient(url, s.Addrs()[0], cfg, false)
	old.web.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	all := []version{
		{"HTTP/1.1", old, "HTTP/1.1"},
		{"HTTP/2", NewClient(url, s.Addrs()[0], cfg, false), "HTTP/2.0"},
		{"HTTP/3", NewClient(url, s.Addrs()[0], cfg, true), "HTTP/3.0"},
	}
	for _, v := range all {
		v.client.web.Timeout = patience
		t.Cleanup(v.client.Close)
	}
	return all
}

// fetched is a response, read.
type fetched struct {
	*http.Response
	body []byte
}

func fetch(t *testing.T, c *Client, method, suffix, contentType string, body []byte) fetched {
	t.Helper()
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+suffix, r)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fetched{resp, b}
}

func dnsVariable(msg []byte) string { return "?dns=" + base64.RawURLEncoding.EncodeToString(msg) }

// GET and POST get the same answer over every version of HTTP, and it says how long it may be kept.
func TestAnswers(t *testing.T) {
	seen := make(chan transport.Query, 10)
	s, cfg := start(t, Config{Handler: transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
		seen <- *q
		return answerer(dst, q)
	})})
	for _, v := range versions(t, s, cfg) {
		t.Run(v.name, func(t *testing.T) {
			post := fetch(t, v.client, "POST", "", mediaType, query("www.example."))
			get := fetch(t, v.client, "GET", dnsVariable(query("www.example.")), "", nil)
			for _, r := range []fetched{post, get} {
				if r.Proto != v.proto || r.StatusCode != 200 || r.Header.Get("Content-Type") != mediaType || r.Header.Get("Cache-Control") != "max-age=60" {
					t.Errorf("%s %s %v", r.Proto, r.Status, r.Header)
				}
				if alt := r.Header.Get("Alt-Svc"); v.name != "HTTP/3" && alt != fmt.Sprintf(`h3=":%d"; ma=86400`, s.Addrs()[0].Port()) {
					t.Errorf("Alt-Svc is %q", alt)
				}
				m, err := dns.ParseMessage(r.body)
				if err != nil || len(m.Answer) != 2 {
					t.Errorf("%v %v", m, err)
				}
				q := <-seen
				if q.Proto != transport.HTTPS || q.Client.Addr() != loopback || q.Client.Port() == 0 || q.Local != s.Addrs()[0] || q.Idle != 0 {
					t.Errorf("the handler was told %+v", q)
				}
			}
			if !bytes.Equal(post.body, get.body) {
				t.Error("GET and POST differ")
			}
			msg := query("exchange.example.")
			msg[0], msg[1] = 12, 34
			reply, err := v.client.Exchange(t.Context(), msg)
			if err != nil || reply[0] != 12 || reply[1] != 34 {
				t.Errorf("Exchange: %x %v", reply, err)
			}
			<-seen
		})
	}
}

// Each request that is no query gets the status that says why (RFC 8484 §4.2.1, RFC 9110 §15.5).
func TestStatuses(t *testing.T) {
	s, cfg := start(t, Config{Handler: answerer})
	good, response := query("www.example."), query("www.example.")
	response[2] |= 0x80
	for _, v := range versions(t, s, cfg) {
		for _, c := range []struct {
			method, suffix, contentType string
			body                        []byte
			status                      int
		}{
			{"GET", dnsVariable(good), "", nil, 200},
			{"GET", "?x=y&dns=" + dnsVariable(good)[5:] + "&z", "", nil, 200},
			{"GET", "", "", nil, 400},
			{"GET", "?dns=", "", nil, 400},
			{"GET", "?dns=AAAB*", "", nil, 400},
			{"GET", "?dns=%zz", "", nil, 400},
			{"GET", dnsVariable(good[:11]), "", nil, 400},
			{"GET", dnsVariable(response), "", nil, 400},
			{"POST", "", mediaType, good, 200},
			{"POST", "", mediaType + "; charset=x", good, 200},
			{"POST", "", "application/json", good, 415},
			{"POST", "", "", good, 415},
			{"POST", "", mediaType, nil, 400},
			{"POST", "", mediaType, response, 400},
			{"POST", "", mediaType, make([]byte, 65536), 413},
			{"POST", "", mediaType, make([]byte, 65535), 200},
			{"PUT", "", mediaType, good, 405},
			{"HEAD", "", "", nil, 405},
			{"GET", "/other" + dnsVariable(good), "", nil, 404},
			{"POST", "", mediaType, query("drop.example."), 503},
			{"POST", "", mediaType, query("panic.example."), 500},
		} {
			if r := fetch(t, v.client, c.method, c.suffix, c.contentType, c.body); r.StatusCode != c.status {
				t.Errorf("%s: %s %.40s with %d bytes of %q: %s, want %d", v.name, c.method, c.suffix, len(c.body), c.contentType, r.Status, c.status)
			} else if c.status == 405 && r.Header.Get("Allow") != "GET, POST" {
				t.Errorf("%s: 405 allows %q", v.name, r.Header.Get("Allow"))
			}
		}
	}
}

// Failures are not kept, negative answers for as long as their SOA says (RFC 2308 §5).
func TestCacheControl(t *testing.T) {
	s, cfg := start(t, Config{Handler: answerer})
	c := versions(t, s, cfg)[1].client
	for name, want := range map[string]string{"www.": "max-age=60", "nodata.": "max-age=77", "fail.": "no-store"} {
		if got := fetch(t, c, "GET", dnsVariable(query(name)), "", nil).Header.Get("Cache-Control"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// A query that is answered later keeps its request waiting, and one that gets no answer ends it.
func TestDetached(t *testing.T) {
	s, cfg := start(t, Config{Handler: transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
		p := q.Detach()
		go func() {
			defer p.Done()
			if p.Msg[13] == 'n' {
				return
			}
			reply := answerer(nil, &transport.Query{Msg: p.Msg})
			if err := p.Reply(reply); err != nil {
				t.Error(err)
			}
			if err := p.Reply(reply); err == nil {
				t.Error("a second answer is taken")
			}
		}()
		return dst
	})})
	for _, v := range versions(t, s, cfg) {
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				reply, err := v.client.Exchange(t.Context(), query(fmt.Sprintf("a%d.example.", i)))
				if m, perr := dns.ParseMessage(reply); err != nil || perr != nil || m.Question().Name != dns.MustName(fmt.Sprintf("a%d.example.", i)) {
					t.Errorf("%s: %v %v", v.name, err, perr)
				}
			})
		}
		wg.Wait()
		if r := fetch(t, v.client, "POST", "", mediaType, query("never.example.")); r.StatusCode != 503 {
			t.Errorf("%s: no answer gives %s", v.name, r.Status)
		}
	}
}

// A client gets so many connections and no more, and one that dawdles is closed.
func TestLimits(t *testing.T) {
	s, cfg := start(t, Config{Handler: answerer, Limits: Limits{
		MaxConnsPerClient: 2, HeaderTimeout: 100 * time.Millisecond, BodyTimeout: 100 * time.Millisecond,
	}})
	dial := func() *tls.Conn {
		nc, err := net.Dial("tcp", s.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		nc.SetDeadline(time.Now().Add(patience))
		return tls.Client(nc, cfg)
	}
	one, two, three := dial(), dial(), dial()
	if err := one.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := two.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := three.Handshake(); err == nil {
		t.Error("a third connection is taken")
	}
	fmt.Fprintf(one, "GET %s HTTP/1.1\r\nHost: x\r\nX-Slow: ", DefaultPath)
	fmt.Fprintf(two, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 100\r\n\r\nabc", DefaultPath, mediaType)
	for name, c := range map[string]*tls.Conn{"header": one, "body": two} {
		if _, err := io.Copy(io.Discard, c); isTimeout(err) {
			t.Errorf("half a %s is waited for", name)
		}
	}
	for end := time.Now().Add(patience); s.Stats().Conns.Open > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("places are not given back")
		}
	}
	if st := s.Stats(); st.Conns.Refused != 1 {
		t.Errorf("counters: %+v", st)
	}
	quiet, err := net.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer quiet.Close()
	quiet.SetDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, quiet); isTimeout(err) {
		t.Error("a handshake that does not begin is waited for")
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

func TestHeaderLimit(t *testing.T) {
	s, cfg := start(t, Config{Handler: answerer})
	for _, v := range versions(t, s, cfg) {
		req, err := http.NewRequestWithContext(t.Context(), "GET", v.client.url+dnsVariable(query("www.")), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Large", strings.Repeat("x", 1<<20))
		resp, err := v.client.web.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%s: a megabyte of header gets %s", v.name, resp.Status)
			}
		}
	}
}

// A proxy says whom it asks for, and is counted as that client.
func TestProxy(t *testing.T) {
	seen := make(chan transport.Query, 1)
	s, cfg := start(t, Config{ProxyFrom: transport.Proxies{netip.PrefixFrom(loopback, 32)}, Limits: Limits{MaxConnsPerClient: 1, HeaderTimeout: time.Second},
		Handler: transport.WorkerFunc(func(dst []byte, q *transport.Query) []byte {
			seen <- *q
			return answerer(dst, q)
		})})
	dial := func(header []byte) *tls.Conn {
		nc, err := net.Dial("tcp", s.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		nc.SetDeadline(time.Now().Add(patience))
		nc.Write(header)
		return tls.Client(nc, cfg)
	}
	header := append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"), 192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 1, 0xbb)
	c := dial(header)
	fmt.Fprintf(c, "GET %s%s HTTP/1.1\r\nHost: x\r\n\r\n", DefaultPath, dnsVariable(query("www.")))
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q %v", line, err)
	}
	if q := <-seen; q.Client.String() != "192.0.2.1:12345" || q.Local.String() != "198.51.100.2:443" {
		t.Errorf("the handler was told %v %v", q.Client, q.Local)
	}
	other := append([]byte(nil), header...)
	other[19] = 9
	if err := dial(other).Handshake(); err != nil {
		t.Errorf("another client of the proxy: %v", err)
	}
	for name, h := range map[string][]byte{"without a header": nil, "with a broken header": []byte("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n"), "as a client that has its connection": header} {
		if err := dial(h).Handshake(); err == nil {
			t.Errorf("a handshake succeeds %s", name)
		}
	}
}

// Paths can be chosen, and differ from endpoint to endpoint.
func TestPaths(t *testing.T) {
	s, cfg := start(t, Config{Handler: answerer, Endpoints: []Endpoint{
		{Addr: netip.AddrPortFrom(loopback, 0), Path: "/q"}, {Addr: netip.AddrPortFrom(loopback, 0), Path: "/"},
	}})
	for i, path := range []string{"/q", "/"} {
		c := NewClient("https://"+s.Addrs()[i].String()+path, s.Addrs()[i], cfg, false)
		defer c.Close()
		if _, err := c.Exchange(t.Context(), query("www.")); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"q", "/?dns=", "/{name}"} {
		cfg := Config{Handler: answerer, TLS: cfg, Endpoints: []Endpoint{{Addr: netip.AddrPortFrom(loopback, 0), Path: bad}}}
		if _, err := Listen(cfg); err == nil || !strings.Contains(err.Error(), "not a path") {
			t.Errorf("the path %q: %v", bad, err)
		}
	}
}
