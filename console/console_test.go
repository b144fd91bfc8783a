package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeLab is a lab without servers: it hands out what a test puts in.
type fakeLab struct {
	mu       sync.Mutex
	events   chan Event
	gone     chan struct{} // closed when the subscriber has left
	register Registration
	record   RecordChange
}

func newFakeLab() *fakeLab {
	return &fakeLab{events: make(chan Event, 64), gone: make(chan struct{})}
}

func (l *fakeLab) Topology() Topology {
	t := Topology{Port: 5300, Resolver: Server{"resolver.lab.", "127.53.0.53"}}
	for i := range 13 {
		t.Roots = append(t.Roots, Server{string(rune('a'+i)) + ".root-servers.net.", "127.53.0." + itoa(i+1)})
	}
	for i, tld := range []string{"com", "net", "org", "guru", "dev", "app"} {
		t.TLDs = append(t.TLDs, Operator{tld, []Server{
			{"a.nic." + tld + ".", "127.53.1." + itoa(2*i+1)}, {"b.nic." + tld + ".", "127.53.1." + itoa(2*i+2)},
		}, []string{tld + "."}, []string{"secure"}})
	}
	for i, p := range []string{"Acropolis Hosting", "Borealis DNS", "Cumulus CDN", "Dovecote Mail"} {
		t.Providers = append(t.Providers, Operator{p, []Server{
			{"ns1.p" + itoa(i) + ".net.", "127.53.2." + itoa(2*i+1)}, {"ns2.p" + itoa(i) + ".org.", "127.53.2." + itoa(2*i+2)},
		}, []string{"thedns.guru.", "palettepalapp.com.", "example.org.", "müller.dev.", "another-customer.com."}[i:], []string{"secure", "secure", "insecure", "bogus", ""}[i:]})
	}
	return t
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func (l *fakeLab) Subscribe(ctx context.Context) <-chan Event {
	go func() { <-ctx.Done(); close(l.gone) }()
	return l.events
}

func (l *fakeLab) Ask(_ context.Context, name, typ string) (Answer, error) {
	if name == "bad..name" {
		return Answer{}, errors.New(`"bad..name" is no name: empty label`)
	}
	for _, hop := range []struct{ role, name, addr, outcome, record string }{
		{RoleRoot, "c.root-servers.net.", "127.53.0.3", OutcomeReferral, "guru. NS a.nic.guru."},
		{RoleTLD, "a.nic.guru.", "127.53.1.7", OutcomeReferral, "thedns.guru. NS ns1.p0.net."},
		{RoleAuthority, "ns1.p0.net.", "127.53.2.1", OutcomeAnswer, "<b>" + name + "</b> A 203.0.113.42"},
	} {
		l.events <- Event{From: Endpoint{RoleResolver, "", "127.53.0.53"}, To: Endpoint{hop.role, hop.name, hop.addr},
			Name: name, Type: typ, Outcome: hop.outcome, RCode: "NOERROR", Records: []string{hop.record}, Micros: 210}
	}
	return Answer{RCode: "NOERROR", Records: []string{name + " 300 IN A 203.0.113.42"}, Errors: []string{}, Millis: 1.2}, nil
}

func (l *fakeLab) Register(_ context.Context, r Registration) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.register = r
	return "done: " + r.Name, nil
}

func (l *fakeLab) Record(_ context.Context, c RecordChange) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.record = c
	return "done: " + c.Name, nil
}

func (l *fakeLab) Security(_ context.Context, name string) (Security, error) {
	if name == "bad..name" {
		return Security{}, errors.New(`"bad..name" is no name: empty label`)
	}
	return Security{Zone: name, Status: "secure", DS: []string{"ED25519 1234"}}, nil
}

func (l *fakeLab) Chain(_ context.Context, name string) ([]byte, error) {
	if name == "bad..name" {
		return nil, errors.New(`"bad..name" is no name: empty label`)
	}
	return []byte("<svg><title>" + name + "</title></svg>"), nil
}

func post(t *testing.T, srv *httptest.Server, path, contentType, body string) (int, string) {
	t.Helper()
	r, err := srv.Client().Post(srv.URL+path, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestAPI(t *testing.T) {
	lab := newFakeLab()
	srv := httptest.NewServer(New(lab))
	defer srv.Close()
	tests := []struct {
		name, path, contentType, body string
		status                        int
		want                          string
	}{
		{"ask", "/api/ask", "application/json", `{"name":"x.guru","type":"A"}`, 200, "203.0.113.42"},
		{"ask, charset named", "/api/ask", "application/json; charset=utf-8", `{"name":"x.guru","type":"A"}`, 200, "203.0.113.42"},
		{"ask for no name", "/api/ask", "application/json", `{"name":"bad..name","type":"A"}`, 422, "empty label"},
		{"register", "/api/register", "application/json", `{"name":"new.guru","ns":["ns1.p0.net"]}`, 200, "done: new.guru"},
		{"record", "/api/record", "application/json", `{"name":"w.guru","type":"A","data":"192.0.2.1","ttl":60}`, 200, "done: w.guru"},
		{"unknown field", "/api/ask", "application/json", `{"nmae":"x"}`, 400, "nmae"},
		{"no JSON", "/api/ask", "application/json", `name=x`, 400, "reading the request"},
		{"a form of another site", "/api/register", "application/x-www-form-urlencoded", `name=x`, 415, "application/json"},
		{"a plain text of another site", "/api/register", "text/plain", `{"name":"x"}`, 415, "application/json"},
		{"too long", "/api/ask", "application/json", `{"name":"` + strings.Repeat("x", maxBody) + `"}`, 413, "too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body := post(t, srv, tt.path, tt.contentType, tt.body)
			if status != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("%d %s, want %d with %q", status, body, tt.status, tt.want)
			}
		})
	}
	if lab.register.NS[0] != "ns1.p0.net" || lab.record.TTL == nil || *lab.record.TTL != 60 {
		t.Errorf("the lab got %+v and %+v", lab.register, lab.record)
	}
}

// TestForeignHost: a name that somebody points at the loopback address must
// not give a page of theirs the lab's API.
func TestForeignHost(t *testing.T) {
	h := New(newFakeLab())
	for host, want := range map[string]int{
		"127.53.0.80": 200, "127.53.0.80:8053": 200, "localhost:80": 200, "[::1]:8053": 200,
		"evil.example": 403, "evil.example:8053": 403, "": 403, "localhost.evil.example": 403,
	} {
		r := httptest.NewRequest("GET", "/api/topology", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("host %q: %d, want %d", host, w.Code, want)
		}
	}
}

func TestEventStream(t *testing.T) {
	lab := newFakeLab()
	srv := httptest.NewServer(New(lab))
	defer srv.Close()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		lab.events <- Event{Seq: uint64(i + 1), Name: "line\nbreak.", Type: "A"}
	}
	sc := bufio.NewScanner(resp.Body)
	var got []Event
	for len(got) < 3 && sc.Scan() {
		if data, ok := strings.CutPrefix(sc.Text(), "data: "); ok {
			var e Event
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				t.Fatal(err)
			}
			got = append(got, e)
		}
	}
	if len(got) != 3 || got[2].Seq != 3 || got[0].Name != "line\nbreak." {
		t.Errorf("events %+v", got)
	}
	cancel()
	resp.Body.Close()
	select {
	case <-lab.gone:
	case <-time.After(10 * time.Second):
		t.Error("the subscription outlives the browser")
	}
}

func TestSecurity(t *testing.T) {
	srv := httptest.NewServer(New(newFakeLab()))
	defer srv.Close()
	for what, want := range map[string]struct{ kind, text string }{
		"security?zone=thedns.guru": {"application/json", `"status":"secure"`},
		"security?zone=bad..name":   {"application/json", "empty label"},
		"chain?name=thedns.guru":    {"image/svg+xml", "<title>thedns.guru</title>"},
		"chain?name=bad..name":      {"application/json", "empty label"},
	} {
		r, err := srv.Client().Get(srv.URL + "/api/" + what)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if kind := r.Header.Get("Content-Type"); err != nil || kind != want.kind || !strings.Contains(string(b), want.text) {
			t.Errorf("%s: %s, %s (%v), expected %s", what, kind, b, err, want)
		}
	}
}
