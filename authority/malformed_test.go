package authority

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/transport/cookie"
	"onoma/transport/rrl"
)

// TestMalformedEDNS has an OPT record or option out of form in each row of
// testdata/malformed/edns.txt, and the reaction that its RFC asks for.
func TestMalformedEDNS(t *testing.T) {
	s := serve(t, Options{NSID: []byte("n"), Cookies: cookie.NewJar(cookie.RandomSecrets())}, load(t, "example.", mixed))
	text, err := os.ReadFile("testdata/malformed/edns.txt")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		rows++
		row := strings.Split(strings.TrimSpace(line), " | ")
		name, rfc, proto, want := row[0], row[1], row[2], row[3]
		m := talkWire(t, s.NewWorker(), malformed(t, row[4]), protoNamed(t, proto), "192.0.2.9", today)
		switch {
		case m == nil || m.EDNS == nil:
			t.Errorf("%s (%s): no answer with EDNS: %v", name, rfc, m)
		case m.RCode.String() != want:
			t.Errorf("%s: %s, %s wants %s", name, m.RCode, rfc, want)
		case m.RCode == dns.RCodeNoError && len(m.Questions) != len(m.Answer):
			t.Errorf("%s: %d records, expected the answer", name, len(m.Answer))
		case m.RCode != dns.RCodeNoError && len(m.Answer)+len(m.Authority)+len(m.Additional) > 0:
			t.Errorf("%s: %s with records", name, m.RCode)
		}
	}
	if rows < 24 {
		t.Errorf("%d rows, expected at least 24", rows)
	}
}

// malformed makes the message of a row.
func malformed(t *testing.T, text string) []byte {
	t.Helper()
	const question = "03777777076578616d706c650000010001"
	kind, text, _ := strings.Cut(text, " ")
	if kind == "wire" {
		return mustHex(t, strings.ReplaceAll(text, "Q", question))
	}
	var opts []byte
	if kind == "option" {
		code, data, _ := strings.Cut(text, " ")
		opts = dns.AppendOption(nil, dns.OptionCode(number(t, code)), mustHex(t, data))
	} else {
		opts = mustHex(t, text)
	}
	return append(mustHex(t, "000700000001000000000001"+question+"00002904d000000000"+fmt.Sprintf("%04x", len(opts))), opts...)
}

func protoNamed(t *testing.T, name string) transport.Proto {
	t.Helper()
	for p := transport.UDP; p <= transport.HTTPS; p++ {
		if p.String() == name {
			return p
		}
	}
	t.Fatalf("no transport %s", name)
	return 0
}

// TestPaddedSizes: RFC 8467 §4.1 for questions and answers of many lengths.
func TestPaddedSizes(t *testing.T) {
	s := serve(t, Options{}, load(t, "example.", mixed))
	w := s.NewWorker()
	for n := range 60 {
		name := strings.Repeat("x", n+1) + ".wild.example."
		for _, q := range []string{name + " TXT tls option=12", name + " A tls option=12", "big.example. TXT tls option=12"} {
			msg, proto := message(t, strings.Fields(q))
			out := w.Answer(nil, transport.NewQuery(msg, clientAddr, serverAddr, proto, nil))
			if len(out)%468 != 0 || len(out) == 0 {
				t.Errorf("%s: %d octets, expected a multiple of 468", q, len(out))
			}
		}
	}
}

// TestPadAtTheEnd: next to the longest message, padding gives way.
func TestPadAtTheEnd(t *testing.T) {
	for free := range 1000 {
		opts := pad(nil, 65535-free, free)
		if len(opts) > free || free >= 4 && len(opts) < 4 {
			t.Fatalf("%d octets of padding where %d are free", len(opts), free)
		}
	}
}

// FuzzOptions: whatever options a query has, over any transport, there is a
// well-formed answer of a fair size, or none at all where the limit says so.
func FuzzOptions(f *testing.F) {
	l, err := rrl.New(rrl.Options{Rate: 5, Slip: 3, Stream: 9})
	if err != nil {
		f.Fatal(err)
	}
	jar := cookie.NewJar(cookie.NewSecrets(cookie.Secret{7}))
	s := serve(f, Options{NSID: bytes.Repeat([]byte("n"), maxNSID), Cookies: jar, Limiter: l, ReportAgent: dns.MustName("agent.test."), MaxUDP: 700},
		load(f, "example.", mixed), loadSigned(f, "signed.", mixed, chainNSEC3))
	w := s.NewWorker()
	good := jar.Append(nil, make([]byte, 8), clientAddr.Addr(), cookie.Seconds(today))
	f.Add("www.example.", uint16(1), dns.AppendOption(nil, dns.OptionCookie, good), uint8(0), int64(1))
	f.Add("nx.signed.", uint16(1), dns.AppendOption(dns.AppendOption(nil, dns.OptionPadding, nil), dns.OptionKeepalive, nil), uint8(2), int64(2))
	f.Add("example.", uint16(6), dns.AppendOption(dns.AppendOption(nil, dns.OptionZoneVersion, nil), dns.OptionExpire, []byte{1}), uint8(3), int64(-5))
	f.Add("alias.example.", uint16(255), []byte{0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 3, 0, 0}, uint8(1), int64(9))
	f.Fuzz(func(t *testing.T, name string, typ uint16, options []byte, proto uint8, delay int64) {
		n, err := dns.ParseName(name)
		if err != nil || len(options) > 0xFFFF {
			return
		}
		var b dns.Builder
		b.Start(nil, dns.MaxMessageLen, 7, 0)
		if !b.Question(n.Append(nil), dns.Type(typ), dns.ClassIN) || !b.OPT(1232, 0, 0, dns.EDNSFlagDO, options) {
			return
		}
		tq := transport.NewQuery(b.Finish(), clientAddr, serverAddr, transport.Proto(proto%5), nil)
		tq.Now, tq.Idle = today+delay%int64(time.Hour), time.Minute
		out := w.Answer(nil, tq)
		if len(out) == 0 {
			if tq.Proto != transport.UDP {
				t.Fatal("no answer over a connection")
			}
			return
		}
		m, err := dns.ParseMessage(out)
		if err != nil || m.EDNS == nil || tq.Proto == transport.UDP && len(out) > 700 {
			t.Fatalf("answer of %d octets: %v\n%x", len(out), err, out)
		}
		seen := map[dns.OptionCode]bool{}
		for _, o := range m.EDNS.Options {
			if seen[o.Code] || o.Check() != nil {
				t.Fatalf("option %s twice or malformed: %x", o.Code, o.Data)
			}
			seen[o.Code] = true
		}
	})
}
