package model

import (
	"os"
	"testing"

	"github.com/miekg/dns"
)

// TestWildcardsOfRFC4592 asks the questions of RFC 4592 §2.2.1 and expects the answers that it gives.
func TestWildcardsOfRFC4592(t *testing.T) {
	const origin = "wild-rfc4592.test."
	text, err := os.Open("../interop/testdata/wild-rfc4592/wild-rfc4592.test.zone")
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	var records []dns.RR
	parser := dns.NewZoneParser(text, origin, "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		records = append(records, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	s := New(map[string][]dns.RR{origin: records})
	for _, c := range []struct {
		name     string
		typ      uint16
		rcode    int
		answers  int
		referral bool
	}{
		{"host3", dns.TypeMX, dns.RcodeSuccess, 1, false},                 // synthesised
		{"host3", dns.TypeA, dns.RcodeSuccess, 0, false},                  // no such type at the wildcard
		{"foo.bar", dns.TypeTXT, dns.RcodeSuccess, 1, false},              // synthesised, two labels deep
		{"host1", dns.TypeMX, dns.RcodeSuccess, 0, false},                 // the name exists
		{"sub.*", dns.TypeMX, dns.RcodeSuccess, 0, false},                 // the name exists
		{"_telnet._tcp.host1", dns.TypeSRV, dns.RcodeNameError, 0, false}, // _tcp.host1 exists
		{"host.subdel", dns.TypeA, dns.RcodeSuccess, 0, true},             // below a cut
		{"ghost.*", dns.TypeMX, dns.RcodeNameError, 0, false},             // *.wild-rfc4592.test exists
	} {
		q := dns.Question{Name: c.name + "." + origin, Qtype: c.typ, Qclass: dns.ClassINET}
		m := s.Answer(q, false)
		referral := len(m.Ns) > 0 && m.Ns[0].Header().Rrtype == dns.TypeNS
		if m.Rcode != c.rcode || len(m.Answer) != c.answers || referral != c.referral || m.Authoritative == c.referral {
			t.Errorf("%s %s: expected %s, %d answers, referral %v; got\n%v", c.name, dns.Type(c.typ), dns.RcodeToString[c.rcode], c.answers, c.referral, m)
		}
		for _, rr := range m.Answer {
			if rr.Header().Name != q.Name {
				t.Errorf("%s: the owner of the answer is %s", c.name, rr.Header().Name)
			}
		}
	}
}

// TestCanonicalOrder is the example of RFC 4034 §6.1.
func TestCanonicalOrder(t *testing.T) {
	sorted := []string{
		"example.", "a.example.", "yljkjljk.a.example.", "z.a.example.", "zabc.a.example.",
		"z.example.", `\001.z.example.`, "*.z.example.", `\200.z.example.`,
	}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := Compare(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("Compare(%s, %s) = %d", a, b, got)
			}
		}
	}
}
