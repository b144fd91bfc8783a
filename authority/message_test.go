package authority

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/transport"
	"onoma/zone"
)

var (
	clientAddr = netip.MustParseAddrPort("127.0.0.1:4000")
	serverAddr = netip.MustParseAddrPort("127.0.0.1:53")
)

// parseZone reads the records of a zone's text.
func parseZone(t testing.TB, origin, text string) []dns.Record {
	t.Helper()
	r := zonefile.NewReader(strings.NewReader(text), zonefile.Options{Origin: dns.MustName(origin)})
	var records []dns.Record
	for {
		rec, err := r.Next()
		if err != nil {
			if err.Error() != "EOF" {
				t.Fatalf("zone %s: %v", origin, err)
			}
			return records
		}
		rec.Name = dns.MustName(rec.Name.String())
		rec.Data = append(dns.RData(nil), rec.Data...)
		records = append(records, rec)
	}
}

// publish makes a zone of records.
func publish(t testing.TB, origin string, records []dns.Record) *zone.Zone {
	t.Helper()
	name := dns.MustName(origin)
	b := zone.NewBuilder(name)
	for _, r := range records {
		if err := b.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	v, findings := b.Build()
	if v == nil {
		t.Fatalf("zone %s: %v", origin, findings[0])
	}
	z := zone.New(name)
	z.Publish(v)
	return z
}

func load(t testing.TB, origin, text string) *zone.Zone {
	t.Helper()
	return publish(t, origin, parseZone(t, origin, text))
}

func loadSigned(t testing.TB, origin, text string, kind chainKind) *zone.Zone {
	t.Helper()
	return publish(t, origin, sign(parseZone(t, origin, text), kind))
}

func serve(t testing.TB, o Options, zones ...*zone.Zone) *Server {
	t.Helper()
	s := New(o)
	if err := s.SetZones(zones...); err != nil {
		t.Fatal(err)
	}
	return s
}

// message makes a query of words: name, type, and then any of
//
//	edns do nsid   an OPT record; with DO; with a wish for NSID
//	size=N vers=N  in the OPT record
//	option=N:HEX   an option with these octets; the colon and they may be missing
//	tcp tls quic https   over these
//	rd ad cd       flags
//	class=NAME opcode=N
func message(t testing.TB, words []string) ([]byte, transport.Proto) {
	t.Helper()
	typ, ok := dns.ParseType(words[1])
	if !ok {
		t.Fatalf("no type %s", words[1])
	}
	m := dns.NewQuery(7, dns.Question{Name: dns.MustName(words[0]), Type: typ, Class: dns.ClassIN}, false)
	proto := transport.UDP
	for _, word := range words[2:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "tcp":
			proto = transport.TCP
		case "tls":
			proto = transport.TLS
		case "quic":
			proto = transport.QUIC
		case "https":
			proto = transport.HTTPS
		case "rd":
			m.Flags |= dns.FlagRD
		case "ad":
			m.Flags |= dns.FlagAD
		case "cd":
			m.Flags |= dns.FlagCD
		case "opcode":
			m.Flags = m.Flags.WithOpcode(dns.Opcode(number(t, value)))
		case "class":
			if m.Questions[0].Class, ok = dns.ParseClass(value); !ok {
				t.Fatalf("no class %s", value)
			}
		default:
			if m.EDNS == nil {
				m.EDNS = &dns.EDNS{UDPSize: 1232}
			}
			setEDNS(t, m.EDNS, key, value)
		}
	}
	wire, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return wire, proto
}

func setEDNS(t testing.TB, e *dns.EDNS, key, value string) {
	t.Helper()
	switch key {
	case "edns":
	case "do":
		e.DO = true
	case "co":
		e.CO = true
	case "nsid":
		e.Options = append(e.Options, dns.Option{Code: dns.OptionNSID})
	case "option":
		code, text, _ := strings.Cut(value, ":")
		data, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		e.Options = append(e.Options, dns.Option{Code: dns.OptionCode(number(t, code)), Data: data})
	case "size":
		e.UDPSize = uint16(number(t, value))
	case "vers":
		e.Version = uint8(number(t, value))
	default:
		t.Fatalf("no word %q", key)
	}
}

// query is the message of words in one string, over UDP.
func query(t testing.TB, words string) []byte {
	t.Helper()
	msg, _ := message(t, strings.Fields(words))
	return msg
}

// ask answers one query, in the way of a transport.
func ask(t testing.TB, s *Server, words string) *dns.Message {
	t.Helper()
	msg, proto := message(t, strings.Fields(words))
	return exchange(t, s, msg, proto)
}

func exchange(t testing.TB, s *Server, msg []byte, proto transport.Proto) *dns.Message {
	t.Helper()
	out := settled(t, s.NewWorker(), transport.NewQuery(msg, clientAddr, serverAddr, proto, nil))
	m, err := dns.ParseMessage(out)
	if err != nil {
		t.Fatalf("the answer does not parse: %v\n%x", err, out)
	}
	if m.ID != binary.BigEndian.Uint16(msg) {
		t.Fatalf("ID %d, expected that of the query", m.ID)
	}
	return m
}

// settled returns the answer of a worker that has given it before, and so may
// have made parts of it ready: it must say the same as the first.
func settled(t testing.TB, w transport.Worker, q *transport.Query) []byte {
	t.Helper()
	first := w.Answer(nil, q)
	w.Answer(nil, q)
	last := w.Answer(nil, q)
	if before, err := dns.ParseMessage(first); err == nil {
		after, err := dns.ParseMessage(last)
		if err != nil {
			t.Fatal(err)
		}
		// Names are written in the case of those that they are compressed against.
		if diff := cmp.Diff(before, after, cmp.Comparer(dns.Name.Equal), cmp.Transformer("lower", lower)); diff != "" {
			t.Fatalf("the third answer is not the first one (-first +third):\n%s", diff)
		}
	}
	return last
}
