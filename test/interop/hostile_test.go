package interop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onoma/test/peers"
)

const hostileZone = `; a zone to send malformed messages to
$TTL 3600
@     SOA ns1 hostmaster 1 7200 3600 1209600 300
@     NS  ns1
ns1   A   192.0.2.1
www   A   192.0.2.10
`

// hostile is a message, and the reactions to it that the RFCs allow.
type hostile struct {
	name string
	msg  []byte
	// want are the rcodes that may come; none means that nothing may come at all.
	want []int
	rfc  string
}

// header makes a message of a header (id 0x1234, the flags, and counts) and whatever follows.
func header(flags uint16, qd, an, ns, ar uint16, rest ...[]byte) []byte {
	msg := make([]byte, 0, 512)
	for _, v := range []uint16{hostileID, flags, qd, an, ns, ar} {
		msg = binary.BigEndian.AppendUint16(msg, v)
	}
	for _, part := range rest {
		msg = append(msg, part...)
	}
	return msg
}

const (
	hostileID = 0x1234
	flagQR    = 1 << 15
	flagAA    = 1 << 10
	flagTC    = 1 << 9
	flagRA    = 1 << 7
	flagZ     = 1 << 6
)

func opcode(n uint16) uint16 { return n << 11 }

var (
	www = []byte("\x03www\x07hostile\x04test\x00")
	// wwwA is the question for www.hostile.test A IN.
	wwwA = slices.Concat(www, []byte{0, 1, 0, 1})
)

func asked(name []byte, typ, class uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(slices.Clone(name), typ), class)
}

// opt makes an OPT record with an owner, a UDP size, the 32 bits of extended rcode, version and flags, and rdata.
func opt(owner string, size uint16, ttl uint32, rdata ...byte) []byte {
	rr := append([]byte(owner), 0, 41)
	rr = binary.BigEndian.AppendUint16(rr, size)
	rr = binary.BigEndian.AppendUint32(rr, ttl)
	rr = binary.BigEndian.AppendUint16(rr, uint16(len(rdata)))
	return append(rr, rdata...)
}

// tsig makes a TSIG record (RFC 8945 §4.2) by a key that nobody knows.
func tsig() []byte {
	rdata := []byte("\x0bhmac-sha256\x00")
	rdata = append(rdata, 0, 0, 0x6a, 0, 0, 0, 0x01, 0x2c, 0, 32) // time, fudge, MAC size
	rdata = append(rdata, make([]byte, 32)...)
	rdata = append(rdata, 0x12, 0x34, 0, 0, 0, 0) // original ID, error, no other data
	rr := append([]byte("\x07unknown\x00"), 0, 250, 0, 255, 0, 0, 0, 0)
	rr = binary.BigEndian.AppendUint16(rr, uint16(len(rdata)))
	return append(rr, rdata...)
}

// longName is a name of n octets, in labels of 63.
func longName(n int) []byte {
	var name []byte
	for n > 1 {
		size := min(63, n-2)
		name = append(name, byte(size))
		name = append(name, strings.Repeat("x", size)...)
		n -= 1 + size
	}
	return append(name, 0)
}

var (
	silence  []int
	formErr  = []int{dns.RcodeFormatError}
	notImp   = []int{dns.RcodeNotImplemented}
	noError  = []int{dns.RcodeSuccess}
	refused  = []int{dns.RcodeRefused}
	notAsked = []int{dns.RcodeRefused, dns.RcodeNotImplemented, dns.RcodeNotAuth, dns.RcodeFormatError}
)

// hostiles are the messages that go over UDP and, where they have a header, over TCP.
func hostiles() []hostile {
	return slices.Concat(hostileHeaders(), hostileQuestions(), hostileRecords(), hostileEDNS())
}

func hostileHeaders() []hostile {
	list := []hostile{
		{"one octet", []byte{0x12}, silence, "RFC 1035 §4.1.1: no header, nobody to answer"},
		{"eleven octets", header(0, 1, 0, 0, 0)[:11], silence, "RFC 1035 §4.1.1: no header"},
		{"a response", header(flagQR, 1, 0, 0, 0, wwwA), silence, "RFC 1035 §4.1.1: answering responses would loop"},
		{"a response with an error", header(flagQR|1, 1, 0, 0, 0, wwwA), silence, "as any response"},
		{"a response without question", header(flagQR, 0, 0, 0, 0), silence, "as any response"},
		{"AA in a query", header(flagAA, 1, 0, 0, 0, wwwA), noError, "RFC 1035 §4.1.1: of responses only"},
		{"RA in a query", header(flagRA, 1, 0, 0, 0, wwwA), noError, "RFC 1035 §4.1.1: of responses only"},
		{"Z in a query", header(flagZ, 1, 0, 0, 0, wwwA), []int{dns.RcodeSuccess, dns.RcodeFormatError}, "RFC 1035 §4.1.1: must be zero, and is ignored"},
		{"TC in a query", header(flagTC, 1, 0, 0, 0, wwwA), []int{dns.RcodeSuccess, dns.RcodeFormatError}, "RFC 1035 §4.1.1: truncated, or a bit without meaning"},
		{"an rcode in a query", header(5, 1, 0, 0, 0, wwwA), noError, "RFC 1035 §4.1.1: of responses only"},
		{"header only", header(0, 0, 0, 0, 0), formErr, "RFC 9619 §4: a query has a question"},
		{"UPDATE", header(opcode(5), 1, 0, 0, 0, asked(www[4:], 6, 1)), notAsked, "RFC 2136 §3.1: not from everybody"},
		{"NOTIFY", header(opcode(4)|flagAA, 1, 0, 0, 0, asked(www[4:], 6, 1)), append(slices.Clone(notAsked), 0), "RFC 1996 §3.10: not from everybody"},
	}
	for _, n := range []uint16{1, 2, 3, 6, 7, 14, 15} {
		list = append(list, hostile{fmt.Sprintf("opcode %d", n), header(opcode(n), 1, 0, 0, 0, wwwA), notImp, "RFC 1035 §4.1.1, RFC 3425 §3: not implemented"})
	}
	return list
}

func hostileQuestions() []hostile {
	loop := []byte{0xc0, 12, 0, 1, 0, 1}
	pair := []byte{1, 'a', 0xc0, 12, 0, 1, 0, 1}
	return []hostile{
		{"two questions", header(0, 2, 0, 0, 0, wwwA, wwwA), formErr, "RFC 9619 §4"},
		{"65535 questions", header(0, 65535, 0, 0, 0, wwwA), formErr, "RFC 9619 §4"},
		{"no type and class", header(0, 1, 0, 0, 0, www), formErr, "RFC 1035 §4.1.2: truncated"},
		{"half a class", header(0, 1, 0, 0, 0, wwwA[:len(wwwA)-1]), formErr, "RFC 1035 §4.1.2: truncated"},
		{"half a name", header(0, 1, 0, 0, 0, www[:7]), formErr, "RFC 1035 §3.1: truncated"},
		{"a name without end", header(0, 1, 0, 0, 0, []byte{1, 'a', 63, 'b'}), formErr, "RFC 1035 §3.1: truncated"},
		{"a pointer to itself", header(0, 1, 0, 0, 0, loop), formErr, "RFC 1035 §4.1.4: to a prior name only"},
		{"a pointer loop with a label", header(0, 1, 0, 0, 0, pair), formErr, "RFC 1035 §4.1.4"},
		{"a pointer into the header", header(0, 1, 0, 0, 0, []byte{0xc0, 4, 0, 1, 0, 1}), formErr, "RFC 1035 §4.1.4: to a prior name only"},
		{"a pointer forward", header(0, 1, 0, 0, 0, []byte{0xc0, 18, 0, 1, 0, 1, 1, 'a', 0}), formErr, "RFC 1035 §4.1.4: to a prior name only"},
		{"a pointer beyond the end", header(0, 1, 0, 0, 0, []byte{0xff, 0xff, 0, 1, 0, 1}), formErr, "RFC 1035 §4.1.4"},
		{"half a pointer", header(0, 1, 0, 0, 0, []byte{0xc0}), formErr, "RFC 1035 §4.1.4"},
		{"label type 01", header(0, 1, 0, 0, 0, []byte{0x41, 'a', 0, 0, 1, 0, 1}), formErr, "RFC 6891 §5: withdrawn"},
		{"label type 10", header(0, 1, 0, 0, 0, []byte{0x81, 'a', 0, 0, 1, 0, 1}), formErr, "RFC 1035 §4.1.4: reserved"},
		{"a name of 256 octets", header(0, 1, 0, 0, 0, asked(longName(256), 1, 1)), formErr, "RFC 1035 §2.3.4"},
		{"a name of 400 octets", header(0, 1, 0, 0, 0, asked(longName(400), 1, 1)), formErr, "RFC 1035 §2.3.4"},
		{"a name of 255 octets", header(0, 1, 0, 0, 0, asked(longName(255), 1, 1)), refused, "RFC 1035 §2.3.4: legal, and not ours"},
		{"octets after the question", header(0, 1, 0, 0, 0, wwwA, []byte("rubbish")), formErr, "docs/DIVERGENCES.md: RFC 1035 §4.1 is silent"},
		{"class CHAOS", header(0, 1, 0, 0, 0, asked(www, 1, 3)), notAsked, "RFC 1034 §3.6: we have no such zone"},
		{"class HESIOD", header(0, 1, 0, 0, 0, asked(www, 1, 4)), notAsked, "RFC 1034 §3.6: we have no such zone"},
		{"class NONE", header(0, 1, 0, 0, 0, asked(www, 1, 254)), notAsked, "RFC 2136 §1.3: of updates"},
		{"class ANY", header(0, 1, 0, 0, 0, asked(www, 1, 255)), append(slices.Clone(notAsked), 0), "RFC 1035 §3.2.5: a query for any class"},
		{"class 0", header(0, 1, 0, 0, 0, asked(www, 1, 0)), notAsked, "RFC 6895 §3.2: reserved"},
		{"type 0", header(0, 1, 0, 0, 0, asked(www, 0, 1)), append(slices.Clone(notAsked), 0), "RFC 6895 §3.1: reserved"},
		{"type OPT", header(0, 1, 0, 0, 0, asked(www, 41, 1)), append(slices.Clone(notAsked), 0), "RFC 6891 §6.1.1: a pseudo-record"},
		{"type TSIG", header(0, 1, 0, 0, 0, asked(www, 250, 1)), append(slices.Clone(notAsked), 0), "RFC 8945 §4.2: a meta-record"},
		{"type TKEY", header(0, 1, 0, 0, 0, asked(www, 249, 1)), append(slices.Clone(notAsked), 0), "RFC 2930 §2: a meta-record"},
		{"type MAILA", header(0, 1, 0, 0, 0, asked(www, 254, 1)), append(slices.Clone(notAsked), 0), "RFC 1035 §3.2.3: obsolete"},
		{"type 65535", header(0, 1, 0, 0, 0, asked(www, 65535, 1)), append(slices.Clone(notAsked), 0), "RFC 6895 §3.1: reserved"},
	}
}

func hostileRecords() []hostile {
	// A record of an unknown type, with an owner that points to the question.
	extra := []byte{0xc0, 12, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	long := slices.Clone(extra)
	long[11] = 200 // rdata of which there is nothing
	loop := []byte{0xc0, byte(12 + len(wwwA)), 0, 1, 0, 1, 0, 0, 0, 0, 0, 0}
	return []hostile{
		{"65535 records of which there is none", header(0, 1, 65535, 65535, 65535, wwwA), formErr, "RFC 1035 §4.1.1: truncated"},
		{"an additional record cut short", header(0, 1, 0, 0, 1, wwwA, extra[:5]), formErr, "RFC 1035 §4.1.3: truncated"},
		{"rdata longer than the message", header(0, 1, 0, 0, 1, wwwA, long), formErr, "RFC 1035 §4.1.3: truncated"},
		{"an owner that points to itself", header(0, 1, 0, 0, 1, wwwA, loop), []int{dns.RcodeFormatError, dns.RcodeSuccess}, "RFC 1035 §4.1.4; a name that nobody reads may stay unread"},
		{"an unknown additional record", header(0, 1, 0, 0, 1, wwwA, extra), []int{dns.RcodeSuccess, dns.RcodeFormatError}, "RFC 1034 §4.3.2: of no meaning"},
		{"TSIG of an unknown key", header(0, 1, 0, 0, 1, wwwA, tsig()), []int{dns.RcodeNotAuth}, "RFC 8945 §5.2.1: NOTAUTH, BADKEY"},
		{"TSIG that is not last", header(0, 1, 0, 0, 2, wwwA, tsig(), extra), formErr, "RFC 8945 §5.2"},
		{"two TSIGs", header(0, 1, 0, 0, 2, wwwA, tsig(), tsig()), formErr, "RFC 8945 §5.2"},
		{"TSIG in the answer section", header(0, 1, 1, 0, 0, wwwA, tsig()), formErr, "RFC 8945 §5.2"},
		{"TSIG without rdata", header(0, 1, 0, 0, 1, wwwA, []byte{0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0}), formErr, "RFC 8945 §5.2"},
	}
}

func hostileEDNS() []hostile {
	with := func(records ...[]byte) []byte {
		return header(0, 1, 0, 0, uint16(len(records)), append([][]byte{wwwA}, records...)...)
	}
	const version1 = 1 << 16
	return []hostile{
		{"EDNS version 1", with(opt("\x00", 1232, version1)), []int{dns.RcodeBadVers}, "RFC 6891 §6.1.3"},
		{"EDNS version 255", with(opt("\x00", 1232, 255<<16)), []int{dns.RcodeBadVers}, "RFC 6891 §6.1.3"},
		{"two OPTs", with(opt("\x00", 1232, 0), opt("\x00", 1232, 0)), formErr, "RFC 6891 §6.1.1"},
		{"OPT whose owner is not the root", with(opt("\x01a\x00", 1232, 0)), formErr, "RFC 6891 §6.1.2"},
		{"half an OPT", with(opt("\x00", 1232, 0)[:9]), formErr, "RFC 6891 §6.1.2: truncated"},
		{"an option without length", with(opt("\x00", 1232, 0, 0, 3)), formErr, "RFC 6891 §6.1.2"},
		{"an option longer than OPT", with(opt("\x00", 1232, 0, 0, 3, 0, 9, 1)), formErr, "RFC 6891 §6.1.2"},
		{"OPT in the answer section", header(0, 1, 1, 0, 0, wwwA, opt("\x00", 1232, 0)), []int{dns.RcodeFormatError, dns.RcodeSuccess}, "RFC 6891 §6.1.1: of the additional section"},
		{"a UDP size of 0", with(opt("\x00", 0, 0)), noError, "RFC 6891 §6.2.3: below 512 is 512"},
		{"a UDP size of 65535", with(opt("\x00", 65535, 0)), noError, "RFC 6891 §6.2.5"},
		{"all EDNS flags", with(opt("\x00", 1232, 0xffff)), noError, "RFC 6891 §6.1.4: ignore unknown flags"},
		{"an extended rcode in a query", with(opt("\x00", 1232, 0xff000000)), noError, "RFC 6891 §6.1.3: of responses"},
		{"an unknown option", with(opt("\x00", 1232, 0, 0xfd, 0xe9, 0, 2, 1, 2)), noError, "RFC 6891 §6.1.2: ignore unknown options"},
		{"300 unknown options", with(opt("\x00", 1232, 0, slices.Repeat([]byte{0xfd, 0xe9, 0, 0}, 300)...)), noError, "RFC 6891 §6.1.2: ignore unknown options"},
		{"a cookie of 7 octets", with(opt("\x00", 1232, 0, 0, 10, 0, 7, 1, 2, 3, 4, 5, 6, 7)), []int{dns.RcodeFormatError, dns.RcodeSuccess}, "RFC 7873 §5.2.2, where cookies are used"},
		{"a client subnet of an unknown family", with(opt("\x00", 1232, 0, 0, 8, 0, 4, 0, 9, 0, 0)), []int{dns.RcodeFormatError, dns.RcodeSuccess, dns.RcodeRefused}, "RFC 7871 §7.1.2, where it is used"},
	}
}

// startHostile starts the server that is to stand the messages: onoma, or the -reference.
func startHostile(t *testing.T) *peers.Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hostile.test.zone")
	if err := os.WriteFile(file, []byte(hostileZone), 0o644); err != nil {
		t.Fatal(err)
	}
	zones := peers.Zones{{Name: "hostile.test.", File: file}}
	for _, p := range peers.All {
		if p.Name == *reference {
			return p.Start(t, zones, p.Addr(t))
		}
	}
	return peers.Onoma(t, zones, peers.Addr(t))
}

func TestHostileOverUDP(t *testing.T) {
	server := startHostile(t)
	over := slices.Concat(hostiles(), []hostile{
		{"no octet", []byte{}, silence, "RFC 1035 §4.1.1: no header"},
		{"AXFR over UDP", header(0, 1, 0, 0, 0, asked(www[4:], 252, 1)), notAsked, "RFC 5936 §4.2: over TCP only"},
	})
	for _, h := range over {
		t.Run(h.name, func(t *testing.T) {
			conn, err := net.Dial("udp", server.Addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			h.judge(t, server, func(msgs ...[]byte) [][]byte { return overUDP(t, conn, msgs) })
		})
	}
}

func TestHostileOverTCP(t *testing.T) {
	server := startHostile(t)
	for _, h := range hostiles() {
		t.Run(h.name, func(t *testing.T) {
			h.judge(t, server, func(msgs ...[]byte) [][]byte { return overTCP(t, server, msgs) })
		})
	}
}

// normalQuery is asked after each hostile message, with another ID.
func normalQuery() []byte {
	msg := header(0, 1, 0, 0, 0, wwwA)
	binary.BigEndian.PutUint16(msg, ^uint16(hostileID))
	return msg
}

// judge sends the hostile message and a normal query behind it. The normal one must be answered; what came for the
// hostile one before is its reaction, so that silence needs no waiting.
func (h *hostile) judge(t *testing.T, server *peers.Server, exchange func(...[]byte) [][]byte) {
	t.Helper()
	var reaction []byte
	normal := false
	for _, msg := range exchange(h.msg, normalQuery()) {
		if binary.BigEndian.Uint16(msg) == hostileID {
			reaction = msg
			continue
		}
		m, err := unpack(msg)
		normal = err == nil && m.Rcode == dns.RcodeSuccess && len(m.Answer) == 1
	}
	if !normal || !server.Alive() {
		t.Fatalf("no right answer to a normal query afterwards (%s)", h.rfc)
	}
	switch {
	case reaction == nil && len(h.want) > 0:
		t.Errorf("no answer, expected %s (%s)", rcodes(h.want), h.rfc)
	case reaction != nil && len(h.want) == 0:
		t.Errorf("%d octets came, expected nothing (%s)", len(reaction), h.rfc)
	case reaction != nil:
		h.check(t, reaction)
	}
}

// check looks at the reaction's header: who answers a malformed message must not send one itself.
func (h *hostile) check(t *testing.T, reaction []byte) {
	t.Helper()
	m, err := unpack(reaction)
	if err != nil {
		t.Fatalf("the reaction is malformed itself: %v", err)
	}
	if !slices.Contains(h.want, m.Rcode) {
		t.Errorf("rcode %s, expected %s (%s)", dns.RcodeToString[m.Rcode], rcodes(h.want), h.rfc)
	}
	flags := binary.BigEndian.Uint16(h.msg[2:])
	if !m.Response || m.Opcode != int(flags>>11&15) || m.Zero {
		t.Errorf("header %v: expected QR set, the opcode of the query, and Z clear (RFC 1035 §4.1.1)", m.MsgHdr)
	}
	if m.Rcode == dns.RcodeNotAuth && (m.IsTsig() == nil || m.IsTsig().Error != dns.RcodeBadKey) {
		t.Error("NOTAUTH without TSIG error BADKEY (RFC 8945 §5.2.1)")
	}
	if m.Rcode == dns.RcodeBadVers && (m.IsEdns0() == nil || m.IsEdns0().Version() != 0) {
		t.Error("BADVERS without our version, 0 (RFC 6891 §6.1.3)")
	}
}

func rcodes(list []int) string {
	names := make([]string, len(list))
	for i, rcode := range list {
		names[i] = dns.RcodeToString[rcode]
	}
	return strings.Join(names, " or ")
}

// overUDP sends the messages and reads until the answer to the last one, then whatever came besides.
func overUDP(t *testing.T, conn net.Conn, msgs [][]byte) [][]byte {
	t.Helper()
	for _, msg := range msgs {
		if _, err := conn.Write(msg); err != nil {
			t.Fatal(err)
		}
	}
	last := msgs[len(msgs)-1]
	var answers [][]byte
	buf := make([]byte, 65535)
	wait := patience
	for {
		if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			return answers
		}
		if n < 12 {
			t.Fatalf("an answer of %d octets came", n)
		}
		answers = append(answers, slices.Clone(buf[:n]))
		if buf[0] == last[0] && buf[1] == last[1] {
			wait = 30 * time.Millisecond // a server with several loops may answer out of order
		}
	}
}

// overTCP sends each message on a connection of its own: a server may close one that brought rubbish.
func overTCP(t *testing.T, server *peers.Server, msgs [][]byte) [][]byte {
	t.Helper()
	var answers [][]byte
	for _, msg := range msgs {
		conn, err := net.Dial("tcp", server.Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		answer, err := exchangeTCP(conn, msg, make([]byte, 65535))
		conn.Close()
		if err == nil && len(answer) >= 12 {
			answers = append(answers, answer)
		}
	}
	return answers
}

// TestHostileStreams sends what only a stream can carry.
func TestHostileStreams(t *testing.T) {
	server := startHostile(t)
	frame := func(size int, msg []byte) []byte {
		return append(binary.BigEndian.AppendUint16(nil, uint16(size)), msg...)
	}
	// As many owners as fit, each a pointer to the one before: the work must not be quadratic.
	chain := header(0, 1, 0, 0, 5000, wwwA)
	for at := 12; len(chain) < 65000; {
		next := len(chain)
		chain = append(chain, 0xc0|byte(at>>8)&0x3f, byte(at), 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0)
		if next < 0x3fff {
			at = next
		}
	}
	streams := map[string][]byte{
		"a length of zero":            frame(0, nil),
		"one octet of a length":       {0},
		"a length without a message":  frame(100, nil),
		"half a message":              frame(65535, header(0, 1, 0, 0, 0, wwwA)),
		"65535 octets of pointers":    frame(len(chain), chain),
		"65535 octets of zero":        frame(65535, make([]byte, 65535)),
		"65535 octets of ones":        frame(65535, slices.Repeat([]byte{0xff}, 65535)),
		"a thousand empty messages":   slices.Repeat([]byte{0, 0}, 1000),
		"a request of another world":  []byte("GET / HTTP/1.1\r\nHost: hostile.test\r\n\r\n"),
		"a thousand messages at once": slices.Repeat(frame(12+len(wwwA), header(0, 1, 0, 0, 0, wwwA)), 1000),
	}
	for name, stream := range streams {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			// The server may close before all is written; that is its right.
			_, err = conn.Write(stream)
			if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the server stopped reading: %v", err)
			}
			answers := overTCP(t, server, [][]byte{normalQuery()})
			if len(answers) != 1 || !server.Alive() {
				t.Error("no answer to a normal query while the stream is open")
			}
		})
	}
}
