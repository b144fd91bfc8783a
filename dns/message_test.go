package dns

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"
)

// equate compares values of this package by what they mean.
var equate = cmp.Comparer(func(a, b Name) bool { return a.Wire() == b.Wire() })

// zoneLines are records whose names repeat in every way that compression sees.
var zoneLines = []string{
	"www.example.com. 300 IN CNAME web.hosting.example.net.",
	"web.hosting.example.net. 60 IN A 192.0.2.1",
	"web.hosting.example.net. 60 IN AAAA 2001:db8::1",
	"example.com. 3600 IN MX 10 mail.example.com.",
	"example.com. 3600 IN SOA ns1.example.com. hostmaster.example.com. 7 7200 900 1209600 300",
	"example.com. 3600 IN NS ns1.example.com.",
	"example.com. 3600 IN NS NS2.Example.Com.",
	"_sip._tcp.example.com. 60 IN SRV 0 5 5060 sip.example.com.",
	"example.com. 60 IN TXT \"v=spf1 -all\" \"second\"",
	"a.b.c.d.e.f.example.com. 60 IN DNAME example.org.",
	"example.com. 60 IN NSEC a.example.com. A NS SOA MX RRSIG NSEC DNSKEY TYPE65280",
	"4.3.2.1.in-addr.arpa. 60 IN PTR www.example.com.",
}

// sampleMessage builds the message of zoneLines with miekg/dns.
func sampleMessage(t testing.TB) *mdns.Msg {
	t.Helper()
	m := new(mdns.Msg)
	m.SetQuestion("www.example.com.", mdns.TypeA)
	m.Response, m.Authoritative, m.Compress = true, true, true
	for i, line := range zoneLines {
		rr, err := mdns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		switch i % 3 {
		case 0:
			m.Answer = append(m.Answer, rr)
		case 1:
			m.Ns = append(m.Ns, rr)
		case 2:
			m.Extra = append(m.Extra, rr)
		}
	}
	m.SetEdns0(1232, true)
	return m
}

func TestMessageFromOracle(t *testing.T) {
	om := sampleMessage(t)
	wire, err := om.Pack()
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseMessage(wire)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Question().String(), "www.example.com. IN A"; got != want {
		t.Errorf("question %q, want %q", got, want)
	}
	if !m.EDNS.DO || m.EDNS.UDPSize != 1232 {
		t.Errorf("EDNS %+v, want DO and 1232", m.EDNS)
	}
	for s, rrs := range [][]mdns.RR{om.Answer, om.Ns, om.Extra[:len(om.Extra)-1]} {
		for i, rr := range rrs {
			want := strings.Join(strings.Fields(rr.String()), " ")
			got := strings.Join(strings.Fields(m.Section(Section(s))[i].String()), " ")
			if got != want {
				t.Errorf("%v %d:\n got %s\nwant %s", Section(s), i, got, want)
			}
		}
	}
}

func TestMessageToOracle(t *testing.T) {
	om := sampleMessage(t)
	wire, err := om.Pack()
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseMessage(wire)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	back := new(mdns.Msg)
	if err := back.Unpack(ours); err != nil {
		t.Fatal(err)
	}
	// The oracle keeps the letters' case of a name it compresses; both ignore
	// it in meaning. OPT stands first in ours, last in theirs.
	back.Extra = append(back.Extra[1:], back.Extra[0])
	if got, want := strings.ToLower(back.String()), strings.ToLower(om.String()); got != want {
		t.Errorf("the oracle reads ours differently:\n%s", cmp.Diff(want, got))
	}
	if len(ours) > len(wire) {
		t.Errorf("our message has %d octets, the oracle's %d", len(ours), len(wire))
	}
}

func TestMessageExtendedRCode(t *testing.T) {
	m := NewQuery(1, Question{Root, TypeSOA, ClassIN}, false)
	m.Flags |= FlagQR
	m.RCode = RCodeBadVers
	m.EDNS = &EDNS{UDPSize: 512, Options: []Option{{OptionNSID, []byte("a")}, {OptionCode(65001), []byte{1, 2}}}}
	wire, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseMessage(wire)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, back, equate); diff != "" {
		t.Error(diff)
	}
}

func TestAppendLimitTruncates(t *testing.T) {
	m := NewQuery(9, Question{MustName("big.example."), TypeTXT, ClassIN}, true)
	m.EDNS = &EDNS{UDPSize: 1232}
	text := append([]byte{200}, bytes.Repeat([]byte("x"), 200)...)
	for range 20 {
		m.Answer = append(m.Answer, Record{m.Question().Name, TypeTXT, ClassIN, 60, text})
	}
	wire, fits := m.AppendLimit(nil, 1232)
	if fits || len(wire) > 1232 {
		t.Fatalf("fits=%v with %d octets, want a message cut to 1232", fits, len(wire))
	}
	back, err := ParseMessage(wire)
	if err != nil {
		t.Fatal(err)
	}
	if !back.Flags.Has(FlagTC) || back.EDNS == nil || len(back.Answer) == 0 {
		t.Errorf("flags %v, EDNS %v, %d answers: want TC, EDNS and what fits", back.Flags, back.EDNS, len(back.Answer))
	}
}

// query builds octets by hand: a header with the counts, then parts.
func raw(counts [4]uint16, parts ...string) []byte {
	h := Header{ID: 0x1234, Questions: counts[0], Answers: counts[1], Authority: counts[2], Additional: counts[3]}
	return append(h.Append(nil), strings.Join(parts, "")...)
}

const (
	wwwA   = "\x03www\x07example\x00\x00\x01\x00\x01"
	optDO  = "\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00"
	recA   = "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01"
	tsigRR = "\x00\x00\xfa\x00\xff\x00\x00\x00\x00\x00\x00"
)

func TestQueryParse(t *testing.T) {
	tests := []struct {
		name string
		msg  []byte
		want error
	}{
		{"plain", raw([4]uint16{1}, wwwA), nil},
		{"with EDNS", raw([4]uint16{1, 0, 0, 1}, wwwA, optDO), nil},
		{"root", raw([4]uint16{1}, "\x00\x00\x02\x00\x01"), nil},
		{"empty", nil, ErrTruncated},
		{"eleven octets", raw([4]uint16{})[:11], ErrTruncated},
		{"no question", raw([4]uint16{}), ErrQuestionCount},
		{"two questions", raw([4]uint16{2}, wwwA, wwwA), ErrQuestionCount},
		{"65535 questions", raw([4]uint16{65535}, wwwA), ErrQuestionCount},
		{"question cut in the name", raw([4]uint16{1}, "\x03ww"), ErrTruncated},
		{"question cut behind the name", raw([4]uint16{1}, "\x03www\x00\x00\x01"), ErrTruncated},
		{"pointer to itself as the name", raw([4]uint16{1}, "\xc0\x0c\x00\x01\x00\x01"), ErrBadLabel},
		{"pointer into the header", raw([4]uint16{1}, "\xc0\x00\x00\x01\x00\x01"), ErrBadLabel},
		{"label of 64", raw([4]uint16{1}, "\x40"+strings.Repeat("a", 64)+"\x00\x00\x01\x00\x01"), ErrBadLabel},
		{"name of 256", raw([4]uint16{1}, strings.Repeat("\x3f"+strings.Repeat("a", 63), 4)+"\x00\x00\x01\x00\x01"), ErrNameTooLong},
		{"trailing octet", raw([4]uint16{1}, wwwA, "x"), ErrTrailing},
		{"trailing octet behind OPT", raw([4]uint16{1, 0, 0, 1}, wwwA, optDO, "x"), ErrTrailing},
		{"two OPTs", raw([4]uint16{1, 0, 0, 2}, wwwA, optDO, optDO), ErrManyOPT},
		{"OPT as an answer", raw([4]uint16{1, 1}, wwwA, optDO), ErrOPTPlace},
		{"OPT with an owner", raw([4]uint16{1, 0, 0, 1}, wwwA, "\x01a"+optDO), ErrBadOPT},
		{"OPT with a pointer as owner", raw([4]uint16{1, 0, 0, 1}, wwwA, "\xc0\x0c"+optDO[1:]), ErrBadOPT},
		{"option longer than OPT", raw([4]uint16{1, 0, 0, 1}, wwwA, optDO[:9]+"\x00\x05\x00\x03\x00\x09a"), ErrBadOPT},
		{"half an option", raw([4]uint16{1, 0, 0, 1}, wwwA, optDO[:9]+"\x00\x03\x00\x03\x00"), ErrBadOPT},
		{"rdata beyond the end", raw([4]uint16{1, 0, 0, 1}, wwwA, "\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x09x"), ErrTruncated},
		{"count bomb", raw([4]uint16{1, 65535, 65535, 65535}, wwwA, recA), ErrTruncated},
		{"TSIG before OPT", raw([4]uint16{1, 0, 0, 2}, wwwA, tsigRR, optDO), ErrTSIGPlace},
		{"TSIG as an answer", raw([4]uint16{1, 1}, wwwA, tsigRR), ErrTSIGPlace},
		{"TSIG last", raw([4]uint16{1, 0, 0, 2}, wwwA, optDO, tsigRR), nil},
		{"records in a query", raw([4]uint16{1, 1, 1, 1}, wwwA, recA, recA, optDO), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var q Query
			if err := q.Parse(tt.msg); !errors.Is(err, tt.want) {
				t.Fatalf("Parse: %v, want %v", err, tt.want)
			}
		})
	}
}

func TestQueryFields(t *testing.T) {
	var q Query
	msg := raw([4]uint16{1, 0, 0, 2}, wwwA, optDO[:9]+"\x00\x06\x00\x03\x00\x02ab", tsigRR)
	if err := q.Parse(msg); err != nil {
		t.Fatal(err)
	}
	if string(q.Name) != "\x03www\x07example\x00" || q.Type != TypeA || q.Class != ClassIN {
		t.Errorf("question %q %v %v", q.Name, q.Type, q.Class)
	}
	if !q.EDNS || !q.DO || q.Size != 1232 || q.TSIGAt != len(msg)-len(tsigRR) {
		t.Errorf("EDNS %v DO %v size %d TSIG at %d", q.EDNS, q.DO, q.Size, q.TSIGAt)
	}
	if c, data, rest := NextOption(q.Opts); c != OptionNSID || string(data) != "ab" || len(rest) != 0 {
		t.Errorf("option %v %q, %d octets left", c, data, len(rest))
	}
}

func TestQueryParseDoesNotAllocate(t *testing.T) {
	var q Query
	msg := raw([4]uint16{1, 0, 0, 1}, wwwA, optDO)
	if n := testing.AllocsPerRun(100, func() { _ = q.Parse(msg) }); n != 0 {
		t.Errorf("%v allocations per query, want none", n)
	}
}

// TestHostileMessages parses what is made to cost time or memory.
func TestHostileMessages(t *testing.T) {
	loop := raw([4]uint16{1, 1}, wwwA, "\xc0\x1d\xc0\x1b"+recA[2:]) // two pointers at each other
	long := raw([4]uint16{1, 0, 0, 0}, "")
	for len(long) < MaxMessageLen-300 {
		long = append(long, "\x3f"+strings.Repeat("a", 63)...)
	}
	// A chain of pointers, each to the one before it, and records that all
	// start at its end: the naive reader's work is the square of the length.
	chain := raw([4]uint16{0, 0, 0, 65535}, "\x00")
	for len(chain) < 16000 {
		chain = binary.BigEndian.AppendUint16(chain, 0xC000|uint16(max(len(chain)-2, 12)))
	}
	bombs := map[string][]byte{"loop": loop, "64 KiB name": long, "pointer chain": chain,
		"only pointers": bytes.Repeat([]byte{0xC0}, MaxMessageLen)}
	for name, msg := range bombs {
		start := time.Now()
		if _, err := ParseMessage(msg); err == nil {
			t.Errorf("%s: accepted", name)
		}
		var q Query
		_ = q.Parse(msg)
		if d := time.Since(start); d > time.Second {
			t.Errorf("%s: took %v", name, d)
		}
	}
}

// TestRecordFlood reads the largest message of the smallest records whose
// owners each expand to 255 octets, and bounds what that may take.
func TestRecordFlood(t *testing.T) {
	name := strings.Repeat("\x3f"+strings.Repeat("a", 63), 3) + "\x3d" + strings.Repeat("b", 61) + "\x00"
	msg := raw([4]uint16{1, 5000}, name, "\x00\x02\x00\x01")
	n := 0
	for ; len(msg)+14 <= MaxMessageLen; n++ {
		msg = append(msg, "\xc0\x0c\x00\x02\x00\x01\x00\x00\x00\x00\x00\x02\xc0\x0c"...)
	}
	binary.BigEndian.PutUint16(msg[6:], uint16(n))
	m, err := ParseMessage(msg)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Answer) != n || len(m.Answer[n-1].Data) != MaxNameLen {
		t.Errorf("%d records, the last with %d octets of rdata", len(m.Answer), len(m.Answer[n-1].Data))
	}
}

func FuzzMessage(f *testing.F) {
	wire, err := sampleMessage(f).Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire)
	f.Add(raw([4]uint16{1, 1, 1, 1}, wwwA, recA, recA, optDO))
	f.Fuzz(func(t *testing.T, msg []byte) {
		m, err := ParseMessage(msg)
		var q Query
		if qerr := q.Parse(msg); qerr == nil && err != nil {
			// In place, names behind the question and rdata are not looked at.
			if len(msg) == q.End {
				t.Fatalf("Query.Parse accepts, ParseMessage says %v", err)
			}
		}
		if err != nil {
			return
		}
		out, err := m.Append(nil)
		if err != nil {
			return // expanded beyond 64 KiB
		}
		back, err := ParseMessage(out)
		if err != nil {
			t.Fatalf("our own message does not parse: %v\n%x", err, out)
		}
		if diff := cmp.Diff(foldMessage(m), foldMessage(back), equate); diff != "" {
			t.Fatalf("round trip changed the message:\n%s", diff)
		}
	})
}

// foldMessage returns m with names in lower case: compression may replace a
// name by an equal one of other case.
func foldMessage(m *Message) *Message {
	for i := range m.Questions {
		m.Questions[i].Name = m.Questions[i].Name.Fold()
	}
	for s := SectionAnswer; s <= SectionAdditional; s++ {
		rs := m.Section(s)
		for i := range rs {
			rs[i].Name = rs[i].Name.Fold()
			var folded []byte
			done := 0
			c := namesIn(rs[i].Type, rs[i].Data)
			for n, ok := c.next(); ok; n, ok = c.next() {
				folded = append(folded, rs[i].Data[done:n.start]...)
				folded = AppendFolded(folded, rs[i].Data[n.start:n.end])
				done = n.end
			}
			if done > 0 {
				rs[i].Data = append(folded, rs[i].Data[done:]...)
			}
		}
	}
	return m
}

func ExampleBuilder() {
	name := MustName("www.example.").Append(nil)
	var b Builder
	b.Start(nil, 512, 7, FlagQR|FlagAA)
	b.Question(name, TypeA, ClassIN)
	b.RecordAt(SectionAnswer, HeaderLen, TypeA, ClassIN, 60, []byte{192, 0, 2, 1})
	msg := b.Finish()
	m, _ := ParseMessage(msg)
	fmt.Println(len(msg), m.Answer[0])
	// Output: 45 www.example.	60	IN	A	192.0.2.1
}

// TestParseLoosely has records with malformed data left out of a message, and what
// is wrong with the message itself still refused.
func TestParseLoosely(t *testing.T) {
	name := MustName("example.")
	m := NewQuery(1, Question{name, TypeA, ClassIN}, false)
	m.Answer = []Record{
		{Name: name, Type: TypeA, Class: ClassIN, TTL: 60, Data: RData{192, 0, 2, 1}},
		{Name: name, Type: TypeA, Class: ClassIN, TTL: 60, Data: RData{192, 0, 2, 1, 1}},
		{Name: name, Type: TypeHTTPS, Class: ClassIN, TTL: 60, Data: RData{0, 1, 0, 0, 1, 0, 4, 2, 'h'}},
		{Name: name, Type: TypeA, Class: ClassIN, TTL: 60, Data: RData{192, 0, 2, 2}},
	}
	raw, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseMessage(raw); err == nil {
		t.Error("malformed data is read")
	}
	got, err := ParseLoosely(raw)
	if err != nil || len(got.Answer) != 3 || got.Answer[2].Data[3] != 2 || len(got.Answer[1].Data) != 9 {
		t.Errorf("%v %v", got, err)
	}
	if _, err := ParseLoosely(raw[:len(raw)-1]); err == nil {
		t.Error("a message that is cut off is read")
	}
}
