package authority

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

var (
	insideKey  = dns.TSIGKey{Name: dns.MustName("inside.key."), Algorithm: dns.HMACSHA256, Secret: []byte("the secret of those inside, 32 o")}
	partnerKey = dns.TSIGKey{Name: dns.MustName("partner.key."), Algorithm: dns.HMACSHA256, Secret: []byte("the secret of partners, 32 octet")}
)

// viewZone is example. with a text that tells which one it is.
func viewZone(t testing.TB, text string) *zone.Zone {
	t.Helper()
	return load(t, "example.", fmt.Sprintf("@ 60 SOA ns h 1 7200 900 1209600 300\n@ 60 NS ns\nns 60 A 192.0.2.1\nwho 60 TXT %q\n", text))
}

// testViews are three servers of example.: for those inside, for partners, and for the rest.
func testViews(t testing.TB) *Views {
	t.Helper()
	o := Options{Keys: keysOf(insideKey, partnerKey), Transfers: TransferOptions{Allow: allow(t, "key:inside.key.", "key:partner.key.")}}
	return NewViews(serve(t, o, viewZone(t, "rest")),
		View{Name: "inside", Match: allow(t, "10.0.0.0/8", "key:inside.key."), Server: serve(t, o, viewZone(t, "inside"))},
		View{Name: "partner", Match: allow(t, "127.0.0.0/8+key:partner.key."), Server: serve(t, o, viewZone(t, "partner"))},
		View{Name: "lab", To: []netip.Prefix{netip.MustParsePrefix("127.5.0.0/16")}, Server: serve(t, o, viewZone(t, "lab"))},
		View{Name: "nobody", Match: ACL{}, Server: New(Options{})},
	)
}

func signed(t testing.TB, msg []byte, key dns.TSIGKey) []byte {
	t.Helper()
	out, _, err := dns.SignTSIG(msg, key, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// text returns that of a TXT record.
func text(r dns.Record) string { return strings.Trim(strings.Fields(r.String())[4], `"`) }

func TestViewsAreChosen(t *testing.T) {
	w := testViews(t).NewWorker()
	q := query(t, "who.example. TXT edns")
	wrong := partnerKey
	wrong.Secret = []byte("not the secret of partners at all")
	for _, c := range []struct {
		what, client, local string
		msg                 []byte
		want                string
	}{
		{"by address", "10.1.2.3:4", "192.0.2.1:53", q, "inside"},
		{"by mapped address", "[::ffff:10.1.2.3]:4", "192.0.2.1:53", q, "inside"},
		{"by key", "192.0.2.9:4", "192.0.2.1:53", signed(t, q, insideKey), "inside"},
		{"by key, written otherwise", "192.0.2.9:4", "192.0.2.1:53", signed(t, q, dns.TSIGKey{Name: dns.MustName("INSIDE.Key."), Algorithm: insideKey.Algorithm, Secret: insideKey.Secret}), "inside"},
		{"by address and key", "127.0.0.1:4", "192.0.2.1:53", signed(t, q, partnerKey), "partner"},
		{"by key from elsewhere", "192.0.2.9:4", "192.0.2.1:53", signed(t, q, partnerKey), "rest"},
		{"first of two", "10.0.0.1:4", "192.0.2.1:53", signed(t, q, partnerKey), "inside"},
		{"by what was asked", "192.0.2.9:4", "127.5.0.9:53", q, "lab"},
		{"none", "127.0.0.1:4", "192.0.2.1:53", q, "rest"},
		{"key that is wrong", "127.0.0.1:4", "192.0.2.1:53", signed(t, q, wrong), "NOTAUTH"},
	} {
		tq := transport.NewQuery(c.msg, netip.MustParseAddrPort(c.client), netip.MustParseAddrPort(c.local), transport.UDP, nil)
		m, err := dns.ParseMessage(w.Answer(nil, tq))
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		got := m.RCode.String()
		if len(m.Answer) > 0 {
			got = text(m.Answer[0])
		}
		if got != c.want {
			t.Errorf("%s: answered by %s, want %s", c.what, got, c.want)
		}
	}
}

func TestViewsAreReplaced(t *testing.T) {
	o := Options{}
	a, b := serve(t, o, viewZone(t, "a")), serve(t, o, viewZone(t, "b"))
	v := NewViews(a)
	w := v.NewWorker()
	answer := func() string {
		t.Helper()
		tq := transport.NewQuery(query(t, "who.example. TXT"), clientAddr, serverAddr, transport.UDP, nil)
		w.(transport.Preparer).Prepare([][]byte{tq.Msg})
		m, err := dns.ParseMessage(w.Answer(nil, tq))
		if err != nil || len(m.Answer) != 1 {
			t.Fatalf("answer %v, %v", m, err)
		}
		return text(m.Answer[0])
	}
	var got []string
	for _, set := range []func(){func() {}, func() { v.Set(b, View{Match: allow(t, "192.0.2.0/24"), Server: a}) }, func() { v.Set(b, View{Server: a}, View{Server: a}) }, func() { v.Set(b) }} {
		set()
		got = append(got, answer())
	}
	if d := cmp.Diff([]string{"a", "b", "a", "b"}, got); d != "" {
		t.Errorf("answers (-want +got):\n%s", d)
	}
}

func TestViewsDoNotAllocate(t *testing.T) {
	w := testViews(t).NewWorker()
	buf := make([]byte, 0, 4096)
	for _, client := range []string{"10.0.0.1:4", "127.0.0.1:4", "[2001:db8::1]:4", "[fe80::1%eth0]:4"} {
		tq := transport.NewQuery(query(t, "who.example. TXT edns"), netip.MustParseAddrPort(client), serverAddr, transport.UDP, nil)
		batch := [][]byte{tq.Msg, tq.Msg}
		if n := testing.AllocsPerRun(50, func() { w.(transport.Preparer).Prepare(batch); w.Answer(buf, tq) }); n != 0 {
			t.Errorf("%s: %v allocations, want none", client, n)
		}
	}
	vw, msg := w.(*viewWorker), signed(t, query(t, "who.example. TXT edns"), insideKey)
	tq := transport.NewQuery(msg, clientAddr, serverAddr, transport.UDP, nil)
	if n := testing.AllocsPerRun(50, func() { vw.pick(tq) }); n != 0 {
		t.Errorf("choosing by key: %v allocations, want none", n)
	}
}

// TestViewsByDig has dig ask over sockets, with and without keys, and transfer
// the zone of the view that its key is for.
func TestViewsByDig(t *testing.T) {
	dig, err := exec.LookPath("dig")
	if err != nil {
		t.Skip("dig is not installed (Debian: bind9-dnsutils)")
	}
	s, err := transport.Listen(transport.Config{Handler: testViews(t), Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	defer func() { cancel(); <-done }()
	_, port, _ := net.SplitHostPort(s.Addrs()[0].String())
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(dig, append([]string{"@127.0.0.1", "-p", port, "+tries=2", "+time=2"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("dig %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	y := func(k dns.TSIGKey) string {
		return "hmac-sha256:" + k.Name.String() + ":" + base64.StdEncoding.EncodeToString(k.Secret)
	}
	got := []string{
		run("+short", "who.example", "TXT"),
		run("+short", "-y", y(insideKey), "who.example", "TXT"),
		run("+short", "-y", y(partnerKey), "who.example", "TXT"),
	}
	if d := cmp.Diff([]string{`"rest"`, `"inside"`, `"partner"`}, got); d != "" {
		t.Errorf("answers (-want +got):\n%s", d)
	}
	for key, want := range map[*dns.TSIGKey]string{&insideKey: `"inside"`, &partnerKey: `"partner"`} {
		if out := run("-y", y(*key), "example", "AXFR"); !strings.Contains(out, want) || strings.Count(out, "TXT") != 1 {
			t.Errorf("transfer with %s has no %s:\n%s", key.Name, want, out)
		}
	}
	if out := run("example", "AXFR"); !strings.Contains(out, "Transfer failed") {
		t.Errorf("transfer without a key:\n%s", out)
	}
}

func FuzzViews(f *testing.F) {
	v := testViews(f)
	f.Add(query(f, "who.example. TXT edns"))
	f.Add(signed(f, query(f, "who.example. TXT"), insideKey))
	f.Add(append(query(f, "who.example. TXT edns"), 0xC0, 12, 0, 250))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) < dns.HeaderLen {
			return
		}
		w := v.NewWorker().(*viewWorker)
		key := w.signedBy(msg)
		// What verifies has been seen: the slow way is to verify it.
		if got, err := dns.VerifyTSIG(append([]byte(nil), msg...), dns.Keys(insideKey, partnerKey), time.Now()); err == nil && got.Key.Name.Fold().Wire() != string(key) {
			t.Errorf("signed by %s, chosen by %q", got.Key.Name, key)
		}
		w.Answer(nil, transport.NewQuery(msg, clientAddr, serverAddr, transport.TCP, func([]byte) error { return nil }))
	})
}
