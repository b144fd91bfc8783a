package authority

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// TestPanicIsOneClients: a transfer that panics is the end of that transfer, and of
// nothing else.
func TestPanicIsOneClients(t *testing.T) {
	ended := make(chan TransferReport, 1)
	s := serve(t, Options{Transfers: TransferOptions{
		Allow: allow(t, clientAddr.Addr().String()), Ended: func(r TransferReport) { ended <- r },
	}}, largeZone(t, 1, 10))
	msg, proto := message(t, strings.Fields("example. AXFR tcp"))
	var got []*dns.Message
	calls := 0
	s.NewWorker().Answer(nil, transport.NewQuery(msg, clientAddr, serverAddr, proto, func(m []byte) error {
		if calls++; calls == 1 {
			panic("the client's connection is strange")
		}
		got = parsed(t, [][]byte{m}, nil)
		return nil
	}))
	if r := <-ended; r.Err == nil || rcodeOf(t, got) != "SERVFAIL" {
		t.Errorf("the client has got %v, and the transfer ended with %v", got, r.Err)
	}
	if got := fetch(t, s, msg, proto, nil); got[0].RCode != dns.RCodeNoError || len(got[0].Answer) < 10 {
		t.Errorf("the next client has got %v", got)
	}
	if got := s.TransferStats(); got.Failed != 1 || got.Kinds[Whole] != 1 || got.Records == 0 || s.Transfers() != (TransferCounts{}) {
		t.Errorf("counted %+v, expected one that has failed and one that has not", got)
	}
}

// TestNotifiedHook: what a NOTIFY says reaches who takes it, and the verdict is the
// answer, at once.
func TestNotifiedHook(t *testing.T) {
	var seen []Notice
	verdict := NoticeTaken
	s := New(Options{View: "inside", Keys: keysOf(transferKey), Notified: func(n Notice) NoticeVerdict {
		seen = append(seen, n)
		return verdict
	}})
	ask := func(records ...dns.Record) *dns.Message {
		m := dns.NewQuery(7, dns.Question{Name: dns.MustName("Example."), Type: dns.TypeSOA, Class: dns.ClassIN}, false)
		m.Flags = m.Flags.WithOpcode(dns.OpcodeNotify) | dns.FlagAA
		m.Answer = records
		msg, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		client := netip.MustParseAddrPort("192.0.2.9:4000")
		got, err := dns.ParseMessage(s.NewWorker().Answer(nil, transport.NewQuery(msg, client, client, transport.UDP, nil)))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	r := ask(dns.MustRecord("example. 1 IN SOA a. b. 77 2 3 4 5"))
	if r.RCode != dns.RCodeNoError || !r.Flags.Has(dns.FlagAA) || r.Flags.Opcode() != dns.OpcodeNotify || len(r.Answer) != 0 {
		t.Errorf("a NOTIFY that is taken is answered %v", r)
	}
	ask()
	ask(dns.MustRecord("other. 1 IN SOA a. b. 77 2 3 4 5"))
	if len(seen) != 3 || seen[0].Serial != 77 || !seen[0].HasSerial || seen[1].HasSerial || seen[2].HasSerial ||
		seen[0].View != "inside" || !seen[0].Zone.Equal(dns.MustName("example.")) || seen[0].From.Addr() != netip.MustParseAddr("192.0.2.9") {
		t.Errorf("told of %+v", seen)
	}
	verdict = NoticeRefused
	if r := ask(); r.RCode != dns.RCodeRefused {
		t.Errorf("a NOTIFY that is refused is answered %s", r.RCode)
	}
	verdict = NoticeUnknown
	if r := ask(); r.RCode != dns.RCodeNotAuth {
		t.Errorf("a NOTIFY for a zone that is not here is answered %s", r.RCode)
	}
}

// TestExpireOfASecondary: RFC 7314 §4.2: what is left, not what the SOA record has.
func TestExpireOfASecondary(t *testing.T) {
	z := largeZone(t, 1, 1)
	for _, left := range []time.Duration{-1, 90 * time.Second} {
		s := New(Options{Expires: func(_ string, name dns.Name) (time.Duration, bool) {
			return left, left >= 0 && name.Equal(z.Origin())
		}})
		s.AddZone(z)
		m := dns.NewQuery(7, dns.Question{Name: z.Origin(), Type: dns.TypeSOA, Class: dns.ClassIN}, false)
		m.EDNS = &dns.EDNS{UDPSize: 1232, Options: []dns.Option{{Code: dns.OptionExpire}}}
		msg, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		client := netip.MustParseAddrPort("192.0.2.9:4000")
		r, err := dns.ParseMessage(s.NewWorker().Answer(nil, transport.NewQuery(msg, client, client, transport.UDP, nil)))
		if err != nil {
			t.Fatal(err)
		}
		o, _ := r.EDNS.Option(dns.OptionExpire)
		want := uint32(1) // of the SOA record
		if left >= 0 {
			want = 90
		}
		if got, _, _ := o.Expire(); got != want {
			t.Errorf("EXPIRE is %d, expected %d", got, want)
		}
	}
}
