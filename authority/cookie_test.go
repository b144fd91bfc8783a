package authority

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/transport/cookie"
	"onoma/transport/rrl"
)

const today = int64(1_700_000_000e9)

// talk sends the query of words to s as if it came from client at the time now.
func talk(t testing.TB, s *Server, words, client string, now int64) *dns.Message {
	t.Helper()
	msg, proto := message(t, strings.Fields(words))
	return talkWire(t, s.NewWorker(), msg, proto, client, now)
}

// talkWire returns nil where there is no answer.
func talkWire(t testing.TB, w transport.Worker, msg []byte, proto transport.Proto, client string, now int64) *dns.Message {
	t.Helper()
	tq := transport.NewQuery(msg, netip.AddrPortFrom(netip.MustParseAddr(client), 4000), serverAddr, proto, nil)
	tq.Now = now
	out := w.Answer(nil, tq)
	if len(out) == 0 {
		return nil
	}
	m, err := dns.ParseMessage(out)
	if err != nil {
		t.Fatalf("the answer does not parse: %v\n%x", err, out)
	}
	return m
}

// given is the cookie in a response, as hex.
func given(m *dns.Message) string {
	if o, ok := m.EDNS.Option(dns.OptionCookie); ok {
		return hex.EncodeToString(o.Data)
	}
	return ""
}

const clientCookie = "2464c4abcf10c957"

// TestCookies plays RFC 7873 §5.2 against a server that asks for none, and one
// that requires them.
func TestCookies(t *testing.T) {
	jar := cookie.NewJar(cookie.NewSecrets(cookie.Secret{1}))
	zone := load(t, "example.", mixed)
	easy := serve(t, Options{Cookies: jar}, zone)
	strict := serve(t, Options{Cookies: jar, RequireCookies: true}, zone)
	none := serve(t, Options{}, zone)
	const client, minute = "2001:db8::7", int64(time.Minute)
	good := given(talk(t, easy, "www.example. A option=10:"+clientCookie, client, today))
	if len(good) != 48 || !strings.HasPrefix(good, clientCookie) {
		t.Fatalf("the first answer has cookie %q, expected 24 octets with the client's first", good)
	}
	for _, c := range []struct {
		name, words, client string
		now                 int64
		rcode, strict       dns.RCode
		cookie              string // "" none, "same", "new"
	}{
		{"§5.2.1 none", "www.example. A edns", client, today, 0, 0, ""},
		{"§5.2.1 no OPT", "www.example. A", client, today, 0, 0, ""},
		{"§5.2.3 the client's alone", "www.example. A option=10:" + clientCookie, client, today + 1e9, 0, dns.RCodeBadCookie, "new"},
		{"§5.2.4 of another address", "www.example. A option=10:" + good, "2001:db8::8", today, 0, dns.RCodeBadCookie, "new"},
		{"§5.2.4 of another client cookie", "www.example. A option=10:ff" + good[2:], client, today, 0, dns.RCodeBadCookie, "new"},
		{"§5.2.4 of another length", "www.example. A option=10:" + good + "00", client, today + 1e9, 0, dns.RCodeBadCookie, "new"},
		{"§5.2.4 too old", "www.example. A option=10:" + good, client, today + 61*minute, 0, dns.RCodeBadCookie, "new"},
		{"§5.2.4 from the future", "www.example. A option=10:" + good, client, today - 6*minute, 0, dns.RCodeBadCookie, "new"},
		{"§5.2.5 good", "www.example. A option=10:" + good, client, today + minute, 0, 0, "same"},
		{"§5.2.5 half an hour old", "www.example. A option=10:" + good, client, today + 31*minute, 0, 0, "new"},
		{"§5.2 the first of two counts", "www.example. A option=10:" + good + " option=10:00", client, today, 0, 0, "same"},
		{"of a name that is not there", "nx.example. A option=10:" + good, client, today, dns.RCodeNXDomain, dns.RCodeNXDomain, "same"},
		{"refused", "elsewhere. A option=10:" + good, client, today, dns.RCodeRefused, dns.RCodeRefused, "same"},
		{"of version 1", "www.example. A vers=1 option=10:" + good, client, today, dns.RCodeBadVers, dns.RCodeBadVers, "same"},
		{"over TCP the client's alone", "www.example. A tcp option=10:" + clientCookie, client, today + 1e9, 0, 0, "new"},
	} {
		for kind, s := range map[string]*Server{"easy": easy, "strict": strict} {
			want := c.rcode
			if kind == "strict" {
				want = c.strict
			}
			m := talk(t, s, c.words, c.client, c.now)
			if m.RCode != want {
				t.Errorf("%s, %s: %s, expected %s", c.name, kind, m.RCode, want)
			}
			if want == dns.RCodeBadCookie && len(m.Answer)+len(m.Authority) > 0 {
				t.Errorf("%s, %s: BADCOOKIE with records", c.name, kind)
			}
			got := "new"
			switch g := given(m); {
			case g == "":
				got = ""
			case g == good:
				got = "same"
			case jar.Check(mustHex(t, g), netip.MustParseAddr(c.client), cookie.Seconds(c.now)) != cookie.Good:
				got = "useless"
			}
			if got != c.cookie {
				t.Errorf("%s, %s: cookie %q, expected %q", c.name, kind, got, c.cookie)
			}
		}
		if m := talk(t, none, c.words, c.client, c.now); m.RCode != c.rcode || given(m) != "" {
			t.Errorf("%s, without cookies: %s, %q", c.name, m.RCode, given(m))
		}
	}
}

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestQueryForACookie: RFC 7873 §5.4.
func TestQueryForACookie(t *testing.T) {
	jar := cookie.NewJar(cookie.RandomSecrets())
	s := serve(t, Options{Cookies: jar}, load(t, "example.", mixed))
	none := serve(t, Options{}, load(t, "example.", mixed))
	const client = "192.0.2.1"
	ask := func(s *Server, options string) *dns.Message {
		n := len(options) / 2
		msg := mustHex(t, "0007 0000 0000 0000 0000 0001"+fmt.Sprintf("00 0029 04d0 00000000 %04x", n)+options)
		return talkWire(t, s.NewWorker(), msg, transport.UDP, client, today)
	}
	m := ask(s, "000a0008"+clientCookie)
	good := given(m)
	if m.RCode != dns.RCodeNoError || len(good) != 48 || len(m.Questions)+len(m.Answer)+len(m.Authority) > 0 {
		t.Errorf("the client's cookie alone: %s with cookie %q", m.RCode, good)
	}
	if m := ask(s, "000a0018"+good); m.RCode != dns.RCodeNoError || given(m) != good {
		t.Errorf("a good cookie: %s with cookie %q", m.RCode, given(m))
	}
	if m := ask(s, "000a0018"+clientCookie+good[18:]+"00"); m.RCode != dns.RCodeBadCookie || len(given(m)) != 48 {
		t.Errorf("a bad cookie: %s with cookie %q", m.RCode, given(m))
	}
	for what, m := range map[string]*dns.Message{"without a cookie": ask(s, ""), "of 4 octets": ask(s, "000a000424640000"), "to who knows none": ask(none, "000a0008"+clientCookie)} {
		if m.RCode != dns.RCodeFormErr || given(m) != "" {
			t.Errorf("%s: %s with cookie %q, expected FORMERR", what, m.RCode, given(m))
		}
	}
}

// TestLimitedAnswers: each kind of answer is limited apart, names that are made
// up are alike, and a cookie or a connection is let through.
func TestLimitedAnswers(t *testing.T) {
	const rate, client = 5, "192.0.2.77"
	jar := cookie.NewJar(cookie.RandomSecrets())
	zone := load(t, "example.", mixed)
	fresh := func(slip, stream int) *Server {
		l, err := rrl.New(rrl.Options{Rate: rate, Slip: slip, Stream: stream})
		if err != nil {
			t.Fatal(err)
		}
		return serve(t, Options{Cookies: jar, Limiter: l, MaxUDP: 4096}, zone)
	}
	for class, words := range map[rrl.Class][]string{
		rrl.Positive: {"www.example. A", "%d.wild.example. TXT", "wWw.example. A", "%d.calias.example. A", "alias2.example. A", "big.example. ANY edns", "%d.turn.example. CNAME", "far.example. A"},
		rrl.NXDomain: {"%d.example. A", "%d.ns1.example. A do"},
		rrl.NoData:   {"www.example. TYPE%d", "%d.wild.example. A"},
		rrl.Referral: {"%d.sub.example. A", "sub.example. NS"},
		rrl.Failure:  {"%d.test. A", "www.example. A vers=1", "www.example. AXFR", "version.bind. TXT class=CH"},
	} {
		for _, q := range words {
			s := fresh(2, 0)
			full, cut, none := 0, 0, 0
			for i := range rate + 20 {
				text := q
				if strings.Contains(q, "%d") {
					text = fmt.Sprintf(q, 500+i)
				}
				switch m := talk(t, s, text, client, today); {
				case m == nil:
					none++
				case m.Flags.Has(dns.FlagTC) && len(m.Answer)+len(m.Authority)+len(m.Additional) == 0 && m.RCode == 0:
					cut++
				default:
					full++
				}
			}
			if full != rate || cut != 10 || none != 10 {
				t.Errorf("%s: %d answers, %d truncated, %d dropped; expected %d, 10, 10", q, full, cut, none, rate)
			}
			if st := s.Stats(); st.Limited[class] != 20 || st.Slipped != 10 || len(st.Limited) != 1 || st.Queries != rate+10 {
				t.Errorf("%s: counted %v limited, %d slipped, %d answered", q, st.Limited, st.Slipped, st.Queries)
			}
		}
	}

	s := fresh(1, 0)
	good := given(talk(t, s, "nx.example. A option=10:"+clientCookie, client, today))
	for range 50 {
		if m := talk(t, s, "www.example. A option=10:"+good, client, today); m == nil || m.RCode != 0 || m.Flags.Has(dns.FlagTC) {
			t.Fatal("a client with a good cookie is limited")
		}
		if m := talk(t, s, "www.example. A tcp", client, today); m == nil || m.RCode != 0 {
			t.Fatal("TCP is limited by the rate of UDP")
		}
	}
	for range rate {
		talk(t, s, "www.example. A", client, today)
	}
	if m := talk(t, s, "www.example. A option=10:"+clientCookie, client, today); m == nil || m.RCode != dns.RCodeBadCookie || m.Flags.Has(dns.FlagTC) || len(given(m)) != 48 {
		t.Error("a limited client that knows cookies is not given one by BADCOOKIE")
	}

	s = fresh(1, 7)
	for i := range 10 {
		want := dns.RCodeNoError
		if i >= 7 {
			want = dns.RCodeRefused
		}
		if m := talk(t, s, "www.example. A tls edns", client, today); m == nil || m.RCode != want || want == dns.RCodeRefused && (len(m.Answer) > 0 || m.EDNS.EDE()[0].Code != dns.EDERateLimited) {
			t.Errorf("answer %d over TLS: %v, expected %s", i, m, want)
		}
	}
}

// TestAmplification: what a forged client's network gets for what it seems to
// have sent, with the limit on.
func TestAmplification(t *testing.T) {
	l, err := rrl.New(rrl.Options{Rate: 10, Slip: 2})
	if err != nil {
		t.Fatal(err)
	}
	zone := loadSigned(t, "example.", mixed, chainNSEC3)
	limited := serve(t, Options{Limiter: l, Cookies: cookie.NewJar(cookie.RandomSecrets())}, zone)
	open := serve(t, Options{}, zone)
	for _, q := range []string{"big.example. TXT do size=4096", "example. ANY do size=4096", "nx.example. A do size=4096", "big.example. TXT do size=4096 option=10:" + clientCookie} {
		msg := query(t, q)
		factor := func(s *Server) float64 {
			w, out := s.NewWorker(), 0
			const queries = 10_000 // in ten seconds
			for i := range queries {
				tq := transport.NewQuery(msg, netip.MustParseAddrPort(fmt.Sprintf("198.51.100.%d:53", i%256)), serverAddr, transport.UDP, nil)
				tq.Now = today + int64(i)*1e6
				out += len(w.Answer(nil, tq))
			}
			return float64(out) / float64(queries*len(msg))
		}
		free, held := factor(open), factor(limited)
		t.Logf("%-60s %6.2f times without the limit, %5.2f with it", q, free, held)
		if held > 1 {
			t.Errorf("%s: amplified %.2f times in spite of the limit", q, held)
		}
		if free < 5 && !strings.Contains(q, "ANY") {
			t.Errorf("%s: amplified %.2f times without the limit: this proves nothing", q, free)
		}
	}
}

// TestMannersDoNotAllocate: cookies, limits and all options.
func TestMannersDoNotAllocate(t *testing.T) {
	l, err := rrl.New(rrl.Options{Rate: 5, Slip: 2, Stream: 5, Log: func(rrl.Event) {}})
	if err != nil {
		t.Fatal(err)
	}
	jar := cookie.NewJar(cookie.RandomSecrets())
	s := serve(t, Options{NSID: []byte("a"), Cookies: jar, Limiter: l, ReportAgent: dns.MustName("agent.test.")}, load(t, "example.", mixed))
	good := given(talk(t, s, "www.example. A option=10:"+clientCookie, clientAddr.Addr().String(), today))
	w, buf := s.NewWorker(), make([]byte, 0, 4096)
	for _, q := range []string{
		"www.example. A edns", "www.example. A option=10:" + clientCookie, "www.example. A option=10:" + good, "www.example. A option=10:00",
		"example. SOA tls nsid option=9 option=10:" + good + " option=11 option=12 option=19", "nx.example. A tcp option=19", "alias.example. A option=19",
	} {
		msg, proto := message(t, strings.Fields(q))
		tq := transport.NewQuery(msg, clientAddr, serverAddr, proto, nil)
		tq.Now, tq.Idle = today, time.Second
		if n := testing.AllocsPerRun(50, func() { w.Answer(buf, tq) }); n != 0 {
			t.Errorf("%s: %v allocations, want none", q, n)
		}
	}
}

// BenchmarkManners measures one and the same answer without, and with each of them.
func BenchmarkManners(b *testing.B) {
	jar := cookie.NewJar(cookie.RandomSecrets())
	zone := load(b, "example.", mixed)
	l, err := rrl.New(rrl.Options{Rate: rrl.MaxRate, Slip: 2})
	if err != nil {
		b.Fatal(err)
	}
	good := given(talk(b, serve(b, Options{Cookies: jar}, zone), "www.example. A option=10:"+clientCookie, clientAddr.Addr().String(), today))
	for _, c := range []struct {
		name, words string
		o           Options
	}{
		{"None", "www.example. A edns", Options{}},
		{"NewCookie", "www.example. A option=10:" + clientCookie, Options{Cookies: jar}},
		{"GoodCookie", "www.example. A option=10:" + good, Options{Cookies: jar}},
		{"Limit", "www.example. A edns", Options{Cookies: jar, Limiter: l}},
		{"LimitGoodCookie", "www.example. A option=10:" + good, Options{Cookies: jar, Limiter: l}},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := serve(b, c.o, zone).NewWorker()
			tq := transport.NewQuery(query(b, c.words), clientAddr, serverAddr, transport.UDP, nil)
			tq.Now = today
			buf := make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				tq.Now += 1000
				w.Answer(buf, tq)
			}
		})
	}
}
