package authority

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

var (
	clientAddr = netip.MustParseAddrPort("127.0.0.1:4000")
	serverAddr = netip.MustParseAddrPort("127.0.0.1:53")
)

// mixed is a zone with something of everything that is not signed.
const mixed = `$ORIGIN example.
$TTL 3600
@ SOA ns1 hostmaster 1 7200 900 1209600 300
@ NS ns1
@ NS ns2.elsewhere.
ns1 A 192.0.2.1
www A 192.0.2.80
www AAAA 2001:db8::80
alias CNAME www
far CNAME www.elsewhere.
loop-a CNAME loop-b
loop-b CNAME loop-a
*.wild TXT "any"
*.calias CNAME www
a.b.c TXT "below empty non-terminals"
old DNAME new
host.new A 192.0.2.9
sub NS ns1.sub
sub NS ns.sibling
ns1.sub A 192.0.2.53
ns1.sub AAAA 2001:db8::53
sibling NS ns.sibling
ns.sibling A 192.0.2.54
big TXT "` + "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" + `"
`

func load(t testing.TB, origin, text string) *zone.Zone {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zone")
	writeFile(t, path, text)
	return loadFile(t, origin, path)
}

func loadFile(t testing.TB, origin, path string) *zone.Zone {
	t.Helper()
	v, findings, err := zone.LoadFile(path, dns.MustName(origin))
	if err != nil || v == nil {
		t.Fatalf("%s: %v %v", path, err, findings)
	}
	z := zone.New(dns.MustName(origin))
	z.Publish(v)
	return z
}

func serve(t testing.TB, o Options, zones ...*zone.Zone) transport.Worker {
	t.Helper()
	s := New(o)
	if err := s.SetZones(zones...); err != nil {
		t.Fatal(err)
	}
	return s.NewWorker()
}

// query makes a message; words are the name, the type, and "do" or "edns".
func query(t testing.TB, words string) []byte {
	t.Helper()
	f := strings.Fields(words)
	typ, ok := dns.ParseType(f[1])
	if !ok {
		t.Fatalf("no type %s", f[1])
	}
	m := dns.NewQuery(7, dns.Question{Name: dns.MustName(f[0]), Type: typ, Class: dns.ClassIN}, false)
	if len(f) > 2 {
		m.EDNS = &dns.EDNS{UDPSize: 1232, DO: f[2] == "do"}
	}
	wire, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

func ask(t testing.TB, w transport.Worker, wire []byte, proto transport.Proto) *dns.Message {
	t.Helper()
	out := w.Answer(nil, transport.NewQuery(wire, clientAddr, serverAddr, proto, nil))
	m, err := dns.ParseMessage(out)
	if err != nil {
		t.Fatalf("the answer does not parse: %v\n%x", err, out)
	}
	return m
}

// TestAnswersDoNotAllocate holds the path of an answer to its promise.
func TestAnswersDoNotAllocate(t *testing.T) {
	const data = "../test/interop/testdata/"
	tests := []struct {
		name, origin, file string
		questions          []string
	}{
		{"plain", "example.", "", []string{
			"www.example. A", "www.example. A edns", "alias.example. A", "loop-a.example. A", "x.wild.example. TXT", "x.calias.example. A",
			"nx.example. A", "b.c.example. A", "www.example. MX", "x.sub.example. A edns", "host.old.example. A", "example. NS edns",
			"other.test. A", "other.test. A edns", "www.example. ANY", "sub.example. DS",
		}},
		{"NSEC", "nsec-wild.test.", data + "nsec-wild/nsec-wild.test.zone", []string{
			"nsec-wild.test. SOA do", "nx.host.nsec-wild.test. A do", "x.nsec-wild.test. A do", "x.nsec-wild.test. MX do", "a.sub.nsec-wild.test. A do",
		}},
		{"NSEC3", "nsec3-wild.test.", data + "nsec3-wild/nsec3-wild.test.zone", []string{
			"nsec3-wild.test. SOA do", "nx.host.nsec3-wild.test. A do", "x.nsec3-wild.test. A do", "x.nsec3-wild.test. MX do", "a.sub.nsec3-wild.test. A do",
		}},
		{"NSEC3 delegations", "nsec3-deleg.test.", data + "nsec3-deleg/nsec3-deleg.test.zone", []string{
			"x.insecure.nsec3-deleg.test. A do", "x.secure.nsec3-deleg.test. A do", "insecure.nsec3-deleg.test. DS do",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var z *zone.Zone
			if tt.file == "" {
				z = load(t, tt.origin, mixed)
			} else {
				z = loadFile(t, tt.origin, tt.file)
			}
			w := serve(t, Options{NSID: []byte("a")}, z)
			buf := make([]byte, 0, 4096)
			for _, q := range tt.questions {
				tq := transport.NewQuery(query(t, q), clientAddr, serverAddr, transport.UDP, nil)
				if n := testing.AllocsPerRun(50, func() { w.Answer(buf, tq) }); n != 0 {
					t.Errorf("%s: %v allocations, want none", q, n)
				}
			}
		})
	}
}

// FuzzAnswer: whatever comes in, what goes out is a message of the allowed size
// with the ID of the query, or nothing.
func FuzzAnswer(f *testing.F) {
	z := load(f, "example.", mixed)
	signed := loadFile(f, "nsec3-wild.test.", "../test/interop/testdata/nsec3-wild/nsec3-wild.test.zone")
	w := serve(f, Options{NSID: []byte("fuzz"), Version: "1", Hostname: "h"}, z, signed)
	for _, q := range []string{"www.example. A", "x.sub.example. ANY edns", "x.nsec3-wild.test. MX do", "host.old.example. DNAME"} {
		f.Add(query(f, q), true)
	}
	f.Fuzz(func(t *testing.T, msg []byte, udp bool) {
		proto := transport.TCP
		if udp {
			proto = transport.UDP
		}
		out := w.Answer(nil, transport.NewQuery(msg, clientAddr, serverAddr, proto, nil))
		if len(msg) < dns.HeaderLen || msg[2]&0x80 != 0 {
			if len(out) != 0 {
				t.Fatal("what is no query was answered")
			}
			return
		}
		m, err := dns.ParseMessage(out)
		if err != nil {
			t.Fatalf("%v\n%x", err, out)
		}
		if m.ID != uint16(msg[0])<<8|uint16(msg[1]) || !m.Flags.Has(dns.FlagQR) {
			t.Fatalf("ID %x, flags %v", m.ID, m.Flags)
		}
		if udp && len(out) > 1232 {
			t.Fatalf("%d octets over UDP", len(out))
		}
	})
}
