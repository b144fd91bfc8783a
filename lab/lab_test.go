package lab

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/inspect"
)

// start runs a lab in dir, in a block and on a port of its own, until the test ends.
func start(t *testing.T, dir string) *Lab {
	t.Helper()
	l, err := startIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("ending the lab: %v", err)
		}
	})
	return l
}

func startIn(dir string) (l *Lab, err error) {
	for range 10 {
		cfg := Config{Dir: dir, Port: uint16(20000 + rand.IntN(10000)), Octet: testOctet(dir)}
		if l, err = Start(context.Background(), cfg); err == nil {
			return l, nil
		}
	}
	return nil, err
}

// testOctet keeps labs of one directory, whose zone files have the addresses, in one block.
func testOctet(dir string) byte {
	sum := 0
	for _, c := range []byte(dir) {
		sum = (sum*31 + int(c)) % 150
	}
	return byte(100 + sum)
}

// ask sends one question to an address of the lab.
func (l *Lab) ask(t *testing.T, server netip.Addr, recurse bool, name, typ string) *inspect.Reply {
	t.Helper()
	tt, ok := dns.ParseType(typ)
	if !ok {
		t.Fatalf("no type %q", typ)
	}
	q := l.query(&inspect.Network{}, netip.AddrPortFrom(server, l.port), dns.Question{Name: dns.MustName(name), Type: tt, Class: dns.ClassIN})
	q.Recurse, q.Timeout = recurse, 10*time.Second
	r, err := q.Ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// resolve asks the lab's resolver and returns the response code and the data of
// the answer's records.
func (l *Lab) resolve(t *testing.T, name, typ string) string {
	t.Helper()
	m := l.ask(t, l.State().Resolver.Addr(), true, name, typ).Message
	var data []string
	for _, r := range m.Answer {
		data = append(data, r.Type.String()+" "+r.Data.Text(r.Type))
	}
	slices.Sort(data)
	if m.RCode == dns.RCodeNoError {
		return strings.Join(data, ", ")
	}
	return strings.Join(append([]string{m.RCode.String()}, data...), ", ")
}

func TestResolverWalksTheLab(t *testing.T) {
	t.Parallel()
	l := shared(t)
	for _, c := range []struct{ name, typ, want string }{
		{"www.thedns.guru", "A", "A 203.0.113.42, CNAME thedns.guru."},
		{"thedns.guru", "MX", "MX 10 mail.thedns.guru."},
		{"www.palettepalapp.com", "A", "A 198.18.7.10, A 198.18.7.11, A 198.18.7.12, A 198.18.7.13, CNAME d111111abcdef8.cloudfront.net."},
		{"_0123456789abcdef0123456789abcdef.palettepalapp.com", "CNAME", "CNAME _fedcba9876543210fedcba9876543210.acm-validations.aws."},
		{"papyrus.org", "MX", "MX 10 mx1.hermes-mail.com., MX 20 mx2.hermes-mail.com."},
		{"ink._domainkey.papyrus.org", "TXT", `TXT "v=DKIM1; k=ed25519; p=JU9NJDKEVrffTbNG0Pn0boR/0DawWmSl29bGPR8U6Xs="`},
		{"10.25.18.198.in-addr.arpa", "PTR", "PTR mx1.hermes-mail.com."},
		{"api.amphora.dev", "A", "A 198.18.2.31"},
		{"www.xn--hxajg2ck.com", "A", "A 198.18.1.20, CNAME xn--hxajg2ck.com."},
		{"www.half-lame.org", "A", "A 198.18.1.40, CNAME half-lame.org."},
		{"bull.crete.labyrinth.guru", "TXT", `TXT "you found it"`},
		{"nobody.labyrinth.guru", "TXT", `TXT "you are lost"`},
		{"wine.cellar.labyrinth.guru", "A", "A 198.18.1.53"},
		{"cellar.labyrinth.guru", "TXT", ""},
		{"www.knossos.labyrinth.guru", "AAAA", "AAAA 2001:db8:1::30, CNAME amphora.dev., CNAME www.amphora.dev., DNAME amphora.dev."},
		{"thread.labyrinth.guru", "A", "NXDOMAIN, CNAME nowhere.dev."},
		{"m.root-servers.net", "A", "A " + l.block.addr(0, 13).String()},
		{"nobody.guru", "A", "NXDOMAIN"},
		{"nothing.arpa", "A", "NXDOMAIN"},
		{"lame-duck.net", "A", "SERVFAIL"},
		{"ghost-town.app", "A", "SERVFAIL"},
		{"theseus.labyrinth.guru", "A", "SERVFAIL"},
	} {
		if got := l.resolve(t, c.name, c.typ); got != c.want {
			t.Errorf("%s %s is %q, expected %q", c.name, c.typ, got, c.want)
		}
	}
}

func TestLongAnswerComesOverTCP(t *testing.T) {
	t.Parallel()
	l := shared(t)
	r := l.ask(t, l.State().Resolver.Addr(), true, "scroll.labyrinth.guru", "TXT")
	if !r.Truncated || len(r.Message.Answer) != 4 {
		t.Errorf("truncated %v, %d records: expected a truncated reply and then 4 records", r.Truncated, len(r.Message.Answer))
	}
}

// TestWalkByHand goes from the root to an answer as a person with dig would:
// referral, glue, next question.
func TestWalkByHand(t *testing.T) {
	t.Parallel()
	l := shared(t)
	server, path := l.State().Roots["k"], []string{}
	for range 5 {
		m := l.ask(t, server, false, "www.example.com", "A").Message
		if len(m.Answer) > 0 {
			path = append(path, m.Answer[len(m.Answer)-1].String())
			break
		}
		if len(m.Authority) == 0 || len(m.Additional) == 0 {
			t.Fatalf("after %q %s leads nowhere: %+v", path, server, m)
		}
		path = append(path, m.Authority[0].Name.String())
		server, _ = m.Additional[0].Data.Addr(m.Additional[0].Type)
	}
	want := []string{"com.", "example.com.", "example.com.\t30\tIN\tA\t198.18.3.10"}
	if diff := cmp.Diff(want, path); diff != "" {
		t.Errorf("the way from the root (-want +got):\n%s", diff)
	}
}

// TestServersAnswerForTheirOwnZonesOnly asks every server for each zone of the lab.
func TestServersAnswerForTheirOwnZonesOnly(t *testing.T) {
	t.Parallel()
	l := shared(t)
	for _, op := range l.operators {
		for _, other := range l.operators {
			if other.role == op.role && op.name > other.name {
				continue // one direction is enough
			}
			for _, z := range other.zoneNames() {
				m := l.ask(t, op.addrs[len(op.addrs)-1], false, z.String(), "SOA").Message
				if has := hasType(m.Answer, dns.TypeSOA); has != op.hosts(z) {
					t.Errorf("%s answers for %s: %v, has the zone: %v (%s)", op.name, z, has, op.hosts(z), m.RCode)
				}
			}
		}
	}
}

func TestStateFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := start(t, dir)
	text, err := os.ReadFile(filepath.Join(dir, "lab.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatal(err)
	}
	var have []string
	for k := range keys {
		have = append(have, k)
	}
	slices.Sort(have)
	want := []string{"authorities", "console", "port", "resolver", "root_hints", "roots", "tlds", "trust_anchor"}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("keys of lab.json (-want +got):\n%s", diff)
	}
	s, err := ReadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Roots) != 13 || len(s.TLDs) != 6 || len(s.TLDs["guru"]) != 2 {
		t.Errorf("%d roots, %d TLDs, guru at %v", len(s.Roots), len(s.TLDs), s.TLDs["guru"])
	}
	if got := s.Authorities["thedns.guru"]; !slices.Equal(got, []netip.Addr{l.block.addr(2, 7), l.block.addr(2, 8)}) {
		t.Errorf("thedns.guru is at %v", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadState(dir); err == nil || !strings.Contains(err.Error(), "no lab is running") {
		t.Errorf("after the end lab.json gives %v", err)
	}
}

func TestNothingLeavesLoopback(t *testing.T) {
	t.Parallel()
	l := shared(t)
	// .de is delegated to real servers with real addresses.
	r := l.ask(t, l.State().Resolver.Addr(), true, "www.denic.de", "A")
	if r.Message.RCode != dns.RCodeServFail || r.Elapsed > 5*time.Second {
		t.Errorf("%s after %s, expected a quick SERVFAIL", r.Message.RCode, r.Elapsed)
	}
	if ede := r.Message.EDNS.EDE(); len(ede) == 0 || ede[0].Code != dns.EDENoReachableAuthority {
		t.Errorf("extended errors %v, expected No Reachable Authority", ede)
	}
	for _, a := range []string{"198.41.0.4", "10.0.0.1", "2001:503:ba3e::2:30", "::1", "0.0.0.0"} {
		if l.network.Allows(netip.MustParseAddr(a)) {
			t.Errorf("the resolver's network reaches %s", a)
		}
	}
}

func TestSecondLabIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := start(t, dir)
	_, err := Start(t.Context(), Config{Dir: dir, Port: l.port, Octet: byte(l.block)})
	if err == nil || !strings.Contains(err.Error(), "another lab is running in "+dir) {
		t.Errorf("in the same directory: %v", err)
	}
	if _, err := ReadState(dir); err != nil {
		t.Errorf("the first lab's addresses are gone: %v", err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "lab.json"), []byte("{}"), 0o644); err != nil { // of a lab that was killed
		t.Fatal(err)
	}
	_, err = Start(t.Context(), Config{Dir: other, Port: l.port, Octet: byte(l.block)})
	if err == nil || !strings.Contains(err.Error(), "another lab or server is in the way") {
		t.Errorf("on the same addresses: %v", err)
	}
	if _, err := ReadState(other); err == nil {
		t.Error("lab.json says that the second lab runs")
	}
	if got := l.resolve(t, "www.thedns.guru", "A"); !strings.Contains(got, "203.0.113.42") {
		t.Errorf("the first lab now answers %q", got)
	}
}

// TestCloseLeavesNothing wants no goroutine of ours behind. It is not parallel:
// other labs would be seen.
func TestCloseLeavesNothing(t *testing.T) {
	l := start(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	l.Subscribe(ctx)
	l.resolve(t, "www.thedns.guru", "A")
	cancel()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		var stacks strings.Builder
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 1); err != nil {
			t.Fatal(err)
		}
		left := slices.DeleteFunc(strings.Split(stacks.String(), "\n\n"), func(g string) bool {
			return !strings.Contains(g, "onoma/") || strings.Contains(g, "testing.tRunner")
		})
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still running:\n%s", strings.Join(left, "\n\n"))
		}
		time.Sleep(time.Millisecond)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	var l *Lab
	for err := error(os.ErrInvalid); err != nil; {
		if l, err = Start(ctx, Config{Dir: dir, Port: uint16(20000 + rand.IntN(10000)), Octet: testOctet(dir)}); err != nil && t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := l.Wait(); err != nil {
		t.Errorf("Wait says %v", err)
	}
	if _, err := ReadState(dir); err == nil {
		t.Error("lab.json is still there")
	}
}

func sorted(names []dns.Name) []dns.Name {
	slices.SortFunc(names, dns.Name.Compare)
	return names
}

// TestControlIsForTheLabsPeople: the page's API is not open to other sites or to floods.
func TestControlIsForTheLabsPeople(t *testing.T) {
	t.Parallel()
	l := shared(t)
	for _, c := range []struct {
		what, typ, host, body string
		want                  int
	}{
		{"a form of another site", "application/x-www-form-urlencoded", "", "{}", http.StatusUnsupportedMediaType},
		{"another site's name", "application/json", "evil.example", "{}", http.StatusForbidden},
		{"no JSON", "application/json", "", "name=x.guru", http.StatusBadRequest},
		{"unknown fields", "application/json", "", `{"nam": "x.guru"}`, http.StatusBadRequest},
		{"a flood", "application/json", "", `{"name": "` + strings.Repeat("x", 1<<20) + `"}`, http.StatusRequestEntityTooLarge},
		{"nonsense", "application/json", "", `{"name": "x.guru"}`, http.StatusUnprocessableEntity},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.State().Console+"api/register", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", c.typ)
		req.Host = c.host
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s: status %d, expected %d", c.what, res.StatusCode, c.want)
		}
	}
}
