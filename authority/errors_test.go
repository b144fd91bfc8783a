package authority

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// TestMalformed: what cannot be read gets FORMERR, with the question if that
// could be read, from nothing but the header if not (RFC 1035 §4.1.1).
func TestMalformed(t *testing.T) {
	s := serve(t, Options{}, load(t, "example.", mixed))
	const question = "03777777076578616d706c6500" + "00010001" // www.example. A IN
	const opt = "0000290400000000000000"
	tests := []struct {
		name, msg string
		question  bool // comes back
		edns      bool
	}{
		{"no question", "000700000000000000000000", false, false},
		{"two questions", "000700000002000000000000" + question + question, false, false},
		{"question cut short", "000700000001000000000000" + question[:20], false, false},
		{"compressed question", "000700000001000000000000" + "c00c00010001", false, false},
		{"octets behind", "000700000001000000000000" + question + "00", true, false},
		{"record cut short", "000700000001000000000001" + question + opt[:10], true, false},
		{"two OPT", "000700000001000000000002" + question + opt + opt, true, true},
		{"OPT with an owner", "000700000001000000000001" + question + "0161" + opt, true, true},
		{"OPT in the answer", "000700000001000100000000" + question + opt, true, true},
		{"option without length", "000700000001000000000001" + question + opt[:18] + "0003000300", true, true},
		{"TSIG before OPT", "000700000001000000000002" + question + "0000fa00ff000000000000" + opt, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			msg, err := hex.DecodeString(tt.msg)
			if err != nil {
				t.Fatal(err)
			}
			m := exchange(t, s, msg, transport.UDP)
			if m.RCode != dns.RCodeFormErr || m.Flags != dns.FlagQR {
				t.Errorf("%s, flags %s: expected FORMERR and nothing but qr", m.RCode, m.Flags)
			}
			if (len(m.Questions) == 1) != tt.question || (m.EDNS != nil) != tt.edns {
				t.Errorf("%d questions, EDNS %v: expected question %v, EDNS %v", len(m.Questions), m.EDNS, tt.question, tt.edns)
			}
		})
	}
}

// TestSilence: answers are never answered, nor is what has no header.
func TestSilence(t *testing.T) {
	w := serve(t, Options{}, load(t, "example.", mixed)).NewWorker()
	response := query(t, "www.example. A")
	response[2] |= 0x80
	for _, msg := range [][]byte{nil, response[:11], response, response[:12]} {
		dst := []byte("before")
		if out := w.Answer(dst, transport.NewQuery(msg, clientAddr, serverAddr, transport.UDP, nil)); !bytes.Equal(out, dst) {
			t.Errorf("%x was answered by %x", msg, out)
		}
	}
}

// TestAppends: a response stands behind what the buffer has already.
func TestAppends(t *testing.T) {
	w := serve(t, Options{}, load(t, "example.", mixed)).NewWorker()
	tq := transport.NewQuery(query(t, "alias.example. A do"), clientAddr, serverAddr, transport.UDP, nil)
	alone := w.Answer(nil, tq)
	if out := w.Answer([]byte("before"), tq); !bytes.Equal(out, append([]byte("before"), alone...)) {
		t.Errorf("behind other octets the response is\n%x, expected\n%x", out[6:], alone)
	}
}

// TestUnknownKey: a signature is told that its key is unknown (RFC 8945 §5.2.1).
func TestUnknownKey(t *testing.T) {
	s := serve(t, Options{}, load(t, "example.", mixed))
	key := dns.TSIGKey{Name: dns.MustName("key."), Algorithm: dns.HMACSHA256, Secret: []byte("secret")}
	msg, _, err := dns.SignTSIG(query(t, "www.example. A edns"), key, time.Unix(1e9, 0), nil)
	if err != nil {
		t.Fatal(err)
	}
	m := exchange(t, s, msg, transport.UDP)
	if m.RCode != dns.RCodeNotAuth || len(m.Answer) != 0 {
		t.Errorf("%s with %d answers, expected NOTAUTH with none", m.RCode, len(m.Answer))
	}
	if n := len(m.Additional); n != 1 || m.Additional[0].Type != dns.TypeTSIG {
		t.Fatalf("additional section %v, expected a TSIG", m.Additional)
	}
	tsig := m.Additional[0].Data
	if code := dns.RCode(uint16(tsig[len(tsig)-4])<<8 | uint16(tsig[len(tsig)-3])); code != dns.RCodeBadKey {
		t.Errorf("TSIG error %d, expected BADKEY", code)
	}
}

// TestCollision: where a name that does not exist has the hash of an NSEC3
// record, nothing can be proved (RFC 5155 §7.2.9).
func TestCollision(t *testing.T) {
	records := sign(parseZone(t, "example.", mixed), chainNSEC3)
	var model dns.Record
	for _, r := range records {
		if r.Type == dns.TypeNSEC3 {
			model = r
		}
	}
	for _, phantom := range []string{"collides.example.", "*.a.b.c.example.", "x.wild.example."} {
		r := model
		r.Name = hashedOwner(nsec3Hash(dns.MustName(phantom)), dns.MustName("example."))
		records = append(records, r)
	}
	s := serve(t, Options{NSID: []byte("n")}, publish(t, "example.", records))
	for q, want := range map[string]dns.RCode{
		"collides.example. A do":     dns.RCodeServFail, // the next closer name
		"sub.collides.example. A do": dns.RCodeServFail,
		"nx.a.b.c.example. A do":     dns.RCodeServFail, // the wildcard
		"x.wild.example. TXT do":     dns.RCodeServFail, // expanded: no closer name
		"x.wild.example. A do":       dns.RCodeServFail,
		"y.wild.example. TXT do":     dns.RCodeNoError,
		"x.wild.example. TXT edns":   dns.RCodeNoError,
		"collides.example. A":        dns.RCodeNXDomain,
		"other.example. A do":        dns.RCodeNXDomain,
	} {
		m := ask(t, s, q)
		if m.RCode != want {
			t.Errorf("%s: %s, expected %s", q, m.RCode, want)
		}
		if n := len(m.Answer) + len(m.Authority); m.RCode == dns.RCodeServFail && (n > 0 || len(m.EDNS.EDE()) != 1 || m.Flags.Has(dns.FlagAA)) {
			t.Errorf("%s: SERVFAIL with %d records, %v, %s: expected an extended error alone", q, n, m.EDNS.EDE(), m.Flags)
		}
	}
}

// TestBrokenChain: a zone whose chain lacks records, or its apex, is answered as
// far as it goes, or by SERVFAIL; never by a panic.
func TestBrokenChain(t *testing.T) {
	for _, kind := range []chainKind{chainNSEC, chainNSEC3, chainOptOut} {
		all := sign(parseZone(t, "example.", mixed), kind)
		for drop := range all {
			if t := all[drop].Type; t != dns.TypeNSEC && t != dns.TypeNSEC3 {
				continue
			}
			records := append(append([]dns.Record(nil), all[:drop]...), all[drop+1:]...)
			s := serve(t, Options{}, publish(t, "example.", records))
			for _, q := range []string{"nx.example. A do", "b.c.example. A do", "x.wild.example. A do", "x.sub.example. A do", "example. DS do", "nx.ent.example. A do"} {
				if m := ask(t, s, q); m.RCode == dns.RCodeNoError && len(m.Authority) == 0 {
					t.Errorf("%s: an empty answer", q)
				}
			}
		}
	}
}
