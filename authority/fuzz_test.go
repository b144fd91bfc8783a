package authority

import (
	"bytes"
	"encoding/hex"
	"testing"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// FuzzAnswer: whatever comes in, what goes out is a well-formed response to it
// of the allowed size, or nothing.
func FuzzAnswer(f *testing.F) {
	const limit = 700
	s := serve(f, Options{NSID: []byte("fuzz"), Version: "1", Hostname: "h", MaxUDP: limit},
		load(f, "example.", mixed),
		loadSigned(f, "child.example.", mixed, chainNSEC),
		loadSigned(f, "three.", mixed, chainNSEC3),
		loadSigned(f, "out.", mixed, chainOptOut),
		zone.New(dns.MustName("lost.")),
	)
	w := s.NewWorker()
	for _, q := range []string{
		"www.example. A", "x.sub.example. ANY edns", "x.wild.three. MX do", "host.old.example. DNAME", "nx.ent.out. A do",
		"child.example. DS do", "y.turn.out. A do", "version.bind. TXT class=CH", "lost. SOA edns", "a. A vers=3 nsid", "example. SOA opcode=5",
	} {
		f.Add(query(f, q), true)
		f.Add(query(f, q), false)
	}
	for _, text := range []string{
		"000700000001000000000001c00c00010001",
		"0007000000010000000000010765786d616d706c6500000100010000fa00ff0000000000100000",
	} {
		msg, err := hex.DecodeString(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(msg, true)
	}
	f.Fuzz(func(t *testing.T, msg []byte, udp bool) {
		proto := transport.TCP
		if udp {
			proto = transport.UDP
		}
		before := bytes.Clone(msg)
		w.(transport.Preparer).Prepare([][]byte{msg, msg})
		out := w.Answer(nil, transport.NewQuery(msg, clientAddr, serverAddr, proto, nil))
		if !bytes.Equal(msg, before) {
			t.Fatal("the query was changed")
		}
		if len(msg) < dns.HeaderLen || msg[2]&0x80 != 0 {
			if len(out) != 0 {
				t.Fatal("what is no query was answered")
			}
			return
		}
		checkResponse(t, msg, out, udp, limit)
	})
}

func checkResponse(t *testing.T, msg, out []byte, udp bool, limit int) {
	t.Helper()
	m, err := dns.ParseMessage(out)
	if err != nil {
		t.Fatalf("the response does not parse: %v\n%x", err, out)
	}
	var q dns.Query
	err = q.Parse(msg)
	h := q.Header
	if m.ID != h.ID || !m.Flags.Has(dns.FlagQR) || m.Flags.Opcode() != h.Flags.Opcode() || m.Flags&(dns.FlagRA|dns.FlagZ|dns.FlagAD|dns.FlagCD) != 0 {
		t.Fatalf("ID %x and flags %s in answer to %x and %s", m.ID, m.Flags, h.ID, h.Flags)
	}
	if q.Name != nil && !bytes.Equal(out[dns.HeaderLen:q.End], msg[dns.HeaderLen:q.End]) {
		t.Fatalf("the question is not that of the query: %x", out)
	}
	if err != nil && h.Flags.Opcode() == dns.OpcodeQuery && m.RCode != dns.RCodeFormErr {
		t.Fatalf("%s in answer to a query with an error: %v", m.RCode, err)
	}
	if err == nil && (m.EDNS != nil) != q.EDNS {
		t.Fatalf("EDNS %v in answer to EDNS %v", m.EDNS != nil, q.EDNS)
	}
	switch {
	case !udp:
	case err == nil && !q.EDNS && len(out) > 512, err == nil && len(out) > max(512, int(q.Size)), len(out) > limit:
		t.Fatalf("%d octets over UDP", len(out))
	}
}
