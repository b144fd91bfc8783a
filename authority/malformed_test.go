package authority

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/transport/cookie"
	"onoma/transport/rrl"
)

// TestMalformedEDNS has an OPT record or option out of form in each row, and the
// reaction that its RFC asks for: FORMERR, or an answer as if it were not there.
func TestMalformedEDNS(t *testing.T) {
	s := serve(t, Options{NSID: []byte("n"), Cookies: cookie.NewJar(cookie.RandomSecrets())}, load(t, "example.", mixed))
	const (
		question = "03777777 076578616d706c65 00 0001 0001"
		header   = "0007 0000 0001 0000 0000 0001"
		rest     = "0029 04d0 00000000" // of an OPT record, behind its name
	)
	zeros := func(n int) string { return strings.Repeat("00", n) }
	opt := func(options string) string {
		options = strings.ReplaceAll(options, " ", "")
		return header + question + "00" + rest + fmt.Sprintf("%04x", len(options)/2) + options
	}
	option := func(code dns.OptionCode, data string) string {
		data = strings.ReplaceAll(data, " ", "")
		return opt(fmt.Sprintf("%04x %04x", uint16(code), len(data)/2) + data)
	}
	const formErr, noError = dns.RCodeFormErr, dns.RCodeNoError
	rows := []struct {
		name, rfc, msg string
		proto          transport.Proto
		want           dns.RCode
	}{
		{"cookie of no octets", "RFC 7873 §5.2.2", option(dns.OptionCookie, ""), transport.UDP, formErr},
		{"cookie of 7", "RFC 7873 §5.2.2", option(dns.OptionCookie, zeros(7)), transport.UDP, formErr},
		{"cookie of 9", "RFC 7873 §5.2.2", option(dns.OptionCookie, zeros(9)), transport.UDP, formErr},
		{"cookie of 15", "RFC 7873 §5.2.2", option(dns.OptionCookie, zeros(15)), transport.TCP, formErr},
		{"cookie of 41", "RFC 7873 §5.2.2", option(dns.OptionCookie, zeros(41)), transport.TLS, formErr},
		{"cookie of 16, not one of ours", "RFC 7873 §5.2.4", option(dns.OptionCookie, zeros(16)), transport.UDP, noError},
		{"cookie of 40, not one of ours", "RFC 7873 §5.2.4", option(dns.OptionCookie, zeros(40)), transport.UDP, noError},
		{"second cookie of 3", "RFC 7873 §5.2", opt("000a 0008" + clientCookie + "000a 0003 000000"), transport.UDP, noError},
		{"NSID with data", "RFC 5001 §2.1", option(dns.OptionNSID, "616263"), transport.UDP, noError},
		{"keepalive with a time", "RFC 7828 §3.2.1", option(dns.OptionKeepalive, "0064"), transport.TCP, formErr},
		{"keepalive of 3", "RFC 7828 §3.1", option(dns.OptionKeepalive, "000000"), transport.TLS, formErr},
		{"keepalive of 3 over UDP", "RFC 7828 §3.3.1", option(dns.OptionKeepalive, "000000"), transport.UDP, noError},
		{"padding that is not zero", "RFC 7830 §3", option(dns.OptionPadding, "ffff"), transport.TLS, noError},
		{"padding over UDP", "RFC 7830 §6", option(dns.OptionPadding, zeros(50)), transport.UDP, noError},
		{"ZONEVERSION with data", "RFC 9660 §3.1", option(dns.OptionZoneVersion, "0200 00000001"), transport.UDP, formErr},
		{"ZONEVERSION of 1", "RFC 9660 §3.1", option(dns.OptionZoneVersion, "02"), transport.UDP, formErr},
		{"EXPIRE with data", "RFC 7314 §3", option(dns.OptionExpire, "00000001"), transport.UDP, noError},
		{"EXPIRE of 3", "RFC 7314 §3", option(dns.OptionExpire, "000000"), transport.UDP, noError},
		{"client subnet of an unknown family", "RFC 6891 §6.1.2, RFC 7871 §7.2.1", option(dns.OptionECS, "0003 08 00 0a"), transport.UDP, noError},
		{"client subnet of 33 bits", "RFC 6891 §6.1.2, RFC 7871 §7.2.1", option(dns.OptionECS, "0001 21 00 0a00000000"), transport.UDP, noError},
		{"client subnet with bits behind it", "RFC 6891 §6.1.2, RFC 7871 §7.2.1", option(dns.OptionECS, "0001 08 00 0aff"), transport.UDP, noError},
		{"client subnet of 1 octet", "RFC 6891 §6.1.2, RFC 7871 §7.2.1", option(dns.OptionECS, "00"), transport.UDP, noError},
		{"report channel in a query", "RFC 9567 §6.1", option(dns.OptionReportChannel, "0161 00"), transport.UDP, noError},
		{"report channel without a name", "RFC 9567 §6.1", option(dns.OptionReportChannel, "3f"), transport.UDP, noError},
		{"key tags of 3 octets", "RFC 8145 §4.1", option(dns.OptionKeyTag, "000001"), transport.UDP, noError},
		{"algorithms understood", "RFC 6975 §5", option(dns.OptionDAU, "0d0f"), transport.UDP, noError},
		{"chain from no name", "RFC 7901 §5.4", option(dns.OptionChain, "ff"), transport.UDP, noError},
		{"extended error in a query", "RFC 8914 §2", option(dns.OptionEDE, ""), transport.UDP, noError},
		{"unknown option", "RFC 6891 §6.1.2", option(65001, "0102"), transport.UDP, noError},
		{"reserved option 0", "RFC 6891 §6.1.2", option(0, ""), transport.UDP, noError},
		{"option longer than its record", "RFC 6891 §6.1.2", opt("000a 0009" + clientCookie), transport.UDP, formErr},
		{"option head cut short", "RFC 6891 §6.1.2", opt("000a 00"), transport.UDP, formErr},
		{"two OPT records", "RFC 6891 §6.1.1", "0007 0000 0001 0000 0000 0002" + question + "00" + rest + "0000 00" + rest + "0000", transport.UDP, formErr},
		{"OPT in the answer section", "RFC 6891 §6.1.1", "0007 0000 0001 0001 0000 0000" + question + "00" + rest + "0000", transport.UDP, formErr},
		{"OPT in the authority section", "RFC 6891 §6.1.1", "0007 0000 0001 0000 0001 0000" + question + "00" + rest + "0000", transport.UDP, formErr},
		{"OPT of a name", "RFC 6891 §6.1.2", header + question + "016100" + rest + "0000", transport.UDP, formErr},
		{"version 1 with a malformed cookie", "RFC 6891 §6.1.3", header + question + "00 0029 04d0 00010000 0005 000a 0001 00", transport.UDP, dns.RCodeBadVers},
		{"flags nobody knows", "RFC 6891 §6.1.4", header + question + "00 0029 04d0 00007fff 0000", transport.UDP, noError},
		{"UDP size 0", "RFC 6891 §6.2.3", header + question + "00 0029 0000 00000000 0000", transport.UDP, noError},
	}
	for _, row := range rows {
		m := talkWire(t, s.NewWorker(), mustHex(t, row.msg), row.proto, "192.0.2.9", today)
		switch {
		case m == nil || m.EDNS == nil:
			t.Errorf("%s (%s): no answer with EDNS: %v", row.name, row.rfc, m)
		case m.RCode != row.want:
			t.Errorf("%s: %s, %s wants %s", row.name, m.RCode, row.rfc, row.want)
		case m.RCode == noError && len(m.Answer) != 1:
			t.Errorf("%s: %d records, expected the answer", row.name, len(m.Answer))
		case m.RCode != noError && len(m.Answer)+len(m.Authority)+len(m.Additional) > 0:
			t.Errorf("%s: %s with records", row.name, m.RCode)
		}
	}
	t.Logf("%d rows", len(rows))
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
