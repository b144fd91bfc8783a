package authority

import (
	"net/netip"
	"testing"

	"onoma/dns"
	"onoma/transport"
)

// TestChildNotified: NOTIFY for CDS and CSYNC (RFC 9859) reaches who keeps delegations, and
// nobody else; its verdict is the answer.
func TestChildNotified(t *testing.T) {
	var seen []Notice
	verdict := NoticeTaken
	s := New(Options{
		View:          "inside",
		Notified:      func(n Notice) NoticeVerdict { t.Errorf("a secondary is told of %+v", n); return NoticeUnknown },
		ChildNotified: func(n Notice) NoticeVerdict { seen = append(seen, n); return verdict },
	})
	ask := func(s *Server, qtype dns.Type, class dns.Class) dns.RCode {
		t.Helper()
		m := dns.NewQuery(7, dns.Question{Name: dns.MustName("Child.Example."), Type: qtype, Class: class}, false)
		m.Flags = m.Flags.WithOpcode(dns.OpcodeNotify) | dns.FlagAA
		msg, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		client := netip.MustParseAddrPort("192.0.2.9:4000")
		got, err := dns.ParseMessage(s.NewWorker().Answer(nil, transport.NewQuery(msg, client, client, transport.UDP, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Answer) > 0 || got.Flags.Opcode() != dns.OpcodeNotify {
			t.Errorf("answered %v", got)
		}
		return got.RCode
	}
	for _, c := range []struct {
		verdict NoticeVerdict
		qtype   dns.Type
		want    dns.RCode
	}{
		{NoticeTaken, dns.TypeCDS, dns.RCodeNoError},
		{NoticeTaken, dns.TypeCSYNC, dns.RCodeNoError},
		{NoticeRefused, dns.TypeCDS, dns.RCodeRefused},
		{NoticeUnknown, dns.TypeCSYNC, dns.RCodeNotAuth},
	} {
		seen, verdict = nil, c.verdict
		if got := ask(s, c.qtype, dns.ClassIN); got != c.want {
			t.Errorf("NOTIFY(%s) is answered %s, expected %s", c.qtype, got, c.want)
		}
		if len(seen) != 1 || seen[0].Type != c.qtype || !seen[0].Zone.Equal(dns.MustName("child.example.")) || seen[0].View != "inside" {
			t.Errorf("told of %+v", seen)
		}
	}
	seen = nil
	if got := ask(s, dns.TypeA, dns.ClassIN); got != dns.RCodeNotImp {
		t.Errorf("NOTIFY(A) is answered %s", got)
	}
	if got := ask(New(Options{}), dns.TypeCDS, dns.ClassIN); got != dns.RCodeNotImp {
		t.Errorf("NOTIFY(CDS) to who keeps no delegations is answered %s", got)
	}
	if len(seen) > 0 {
		t.Errorf("told of %+v", seen)
	}
}
