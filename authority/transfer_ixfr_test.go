package authority

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// changing is a zone with history: version 1 has n hosts, and each later version
// the address of one more changed.
func changing(t testing.TB, n, versions int) *zone.Zone {
	t.Helper()
	name := dns.MustName("example.")
	z := zone.New(name)
	z.Keep(zone.NewHistory(zone.HistoryLimits{}))
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "h%d 60 A 192.0.2.1\n", i)
	}
	for serial := 1; serial <= versions; serial++ {
		text := fmt.Sprintf("@ 60 SOA ns. h. %d 1 1 1 30\n@ 60 NS ns.elsewhere.\n", serial) + b.String()
		z.Publish(load(t, "example.", strings.Replace(text, "192.0.2.1\n", fmt.Sprintf("192.0.2.%d\n", serial), serial-1)).Current())
	}
	return z
}

func soaText(serial int) string {
	return dns.MustRecord(fmt.Sprintf("example. 60 IN SOA ns. h. %d 1 1 1 30", serial)).String()
}

func TestIncremental(t *testing.T) {
	z := changing(t, 50, 3)
	one := func(name string, last int) string {
		return dns.MustRecord(fmt.Sprintf("%s.example. 60 IN A 192.0.2.%d", name, last)).String()
	}
	condensed := []string{
		soaText(3),
		soaText(1), one("h0", 1), one("h1", 1),
		soaText(3), one("h0", 3), one("h1", 3),
		soaText(3),
	}
	for _, proto := range []transport.Proto{transport.UDP, transport.TCP, transport.QUIC} {
		for _, key := range []*dns.TSIGKey{nil, &transferKey} {
			for from, want := range map[uint32][]string{
				1:         condensed,
				3:         {soaText(3)}, // has it
				4:         {soaText(3)}, // has a newer one
				3 + 1<<31: {soaText(3)}, // is neither newer nor older, RFC 1982 §3.2
			} {
				s := serve(t, Options{Keys: keysOf(transferKey), Transfers: TransferOptions{Allow: allow(t, "127.0.0.1")}}, z)
				got := records(fetch(t, s, serialQuery(t, "example.", from), proto, key))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("from %d over %s, signed %v (-want +got):\n%s", from, proto, key != nil, diff)
				}
			}
		}
	}
}

// TestIncrementalOrWhole: without a history that reaches back, and where the
// difference is more than the zone, all of it is sent; over UDP the SOA alone.
func TestIncrementalOrWhole(t *testing.T) {
	small := zone.New(dns.MustName("example."))
	small.Keep(zone.NewHistory(zone.HistoryLimits{}))
	for serial, hosts := range []int{40, 2} {
		var b strings.Builder
		fmt.Fprintf(&b, "@ 60 SOA ns. h. %d 1 1 1 30\n@ 60 NS ns.elsewhere.\n", serial+1)
		for i := range hosts {
			fmt.Fprintf(&b, "h%d.%d 60 A 192.0.2.1\n", i, serial)
		}
		small.Publish(load(t, "example.", b.String()).Current())
	}
	for _, c := range []struct {
		name string
		zone *zone.Zone
		from uint32
	}{
		{"before the history", changing(t, 50, 3), 0},
		{"more than the zone", small, 1},
		{"no history", largeZone(t, 3, 100), 1},
	} {
		s := serve(t, Options{Transfers: TransferOptions{Allow: allow(t, "127.0.0.1")}}, c.zone)
		v := c.zone.Current()
		got := records(fetch(t, s, serialQuery(t, "example.", c.from), transport.TCP, nil))
		if len(got) != v.Stats().Records+1 || got[0] != got[len(got)-1] || slices.Index(got[1:], got[0]) != len(got)-2 {
			t.Errorf("%s: %d records %v, expected all %d of the zone, the SOA record twice", c.name, len(got), got, v.Stats().Records)
		}
		if got := records(fetch(t, s, serialQuery(t, "example.", c.from), transport.UDP, nil)); len(got) != 1 {
			t.Errorf("%s: over UDP %d records, expected the SOA alone", c.name, len(got))
		}
	}
}

func TestIncrementalOverUDPFits(t *testing.T) {
	z := changing(t, 200, 40)
	s := serve(t, Options{Transfers: TransferOptions{Allow: allow(t, "127.0.0.1")}}, z)
	fit := 0
	for from := uint32(1); from < 40; from++ {
		w := s.NewWorker()
		out := w.Answer(nil, transport.NewQuery(serialQuery(t, "example.", from), clientAddr, serverAddr, transport.UDP, nil))
		m, err := dns.ParseMessage(out)
		if err != nil || len(out) > 512 || m.Flags.Has(dns.FlagTC) || !m.Flags.Has(dns.FlagAA) {
			t.Fatalf("from %d: %d octets, %v, %v", from, len(out), m, err)
		}
		switch changes := 2*int(39) + 4; {
		case len(m.Answer) == 1:
		case int(m.Answer[len(m.Answer)-1].Type) != int(dns.TypeSOA) || len(m.Answer) > changes:
			t.Errorf("from %d: %v", from, m.Answer)
		default:
			fit++
		}
	}
	if fit == 39 {
		t.Error("all differences fit 512 octets, which cannot be")
	}
}

// FuzzTransfer: whatever asks for a transfer, each message is well-formed and the
// whole begins and ends with the SOA record, or it is an error.
func FuzzTransfer(f *testing.F) {
	s := serve(f, Options{Keys: keysOf(transferKey), Transfers: TransferOptions{Allow: allow(f, "127.0.0.1")}}, changing(f, 30, 4), soaOnly(f, "a."))
	for _, proto := range []transport.Proto{transport.UDP, transport.TCP, transport.HTTPS} {
		f.Add(serialQuery(f, "example.", 1), uint8(proto))
		f.Add(serialQuery(f, "example.", 4), uint8(proto))
		f.Add(query(f, "a. AXFR edns"), uint8(proto))
		f.Add(query(f, "a. SOA opcode=4"), uint8(proto))
	}
	f.Fuzz(func(t *testing.T, msg []byte, number uint8) {
		proto := transport.Proto(number % 5)
		out := collectAnswers(s, msg, proto)
		var answers []dns.Record
		for _, b := range out {
			m, err := dns.ParseMessage(b)
			if err != nil {
				t.Fatalf("%v\n%x", err, b)
			}
			answers = append(answers, m.Answer...)
		}
		h, ok := dns.ParseHeader(msg)
		var q dns.Query
		if !ok || h.Flags.Has(dns.FlagQR) || q.Parse(msg) != nil || q.Type != dns.TypeAXFR && q.Type != dns.TypeIXFR || len(answers) == 0 {
			return
		}
		if first, last := answers[0], answers[len(answers)-1]; first.Type != dns.TypeSOA || first.String() != last.String() {
			t.Errorf("a transfer from %s to %s", first, last)
		}
	})
}

// collectAnswers returns all messages that a query gets.
func collectAnswers(s *Server, msg []byte, proto transport.Proto) (out [][]byte) {
	done := make(chan struct{}, 1)
	s.transfers.options.Ended = func(TransferReport) { done <- struct{}{} }
	q := transport.NewQuery(msg, netip.MustParseAddrPort("127.0.0.1:4"), serverAddr, proto, func(m []byte) error {
		out = append(out, slices.Clone(m))
		return nil
	})
	h, ok := dns.ParseHeader(msg)
	first := s.NewWorker().Answer(nil, q)
	switch {
	case len(first) > 0:
		return [][]byte{first}
	case ok && !h.Flags.Has(dns.FlagQR):
		<-done
	}
	return out
}
