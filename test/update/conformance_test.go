package update

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/test/peers"
)

var rewrite = flag.Bool("rewrite", false, "write what the answers are into testdata/cases")

// testCase is a block of testdata/cases: a request, and what it does.
type testCase struct {
	title string
	lines []string // of the request
	want  []string // response code and changes
	bind  []string // why BIND does something else, and what
}

func (c *testCase) String() string {
	text := "= " + c.title + "\n" + strings.Join(append(append(slices.Clone(c.lines), "--"), c.want...), "\n") + "\n"
	if len(c.bind) > 0 {
		text += "-- bind\n" + strings.Join(c.bind, "\n") + "\n"
	}
	return text
}

// readCases returns the remarks at the head of the file, and the blocks.
func readCases(t testing.TB) (head string, cases []*testCase) {
	t.Helper()
	text, err := os.ReadFile("testdata/cases")
	if err != nil {
		t.Fatal(err)
	}
	head, blocks, _ := strings.Cut(string(text), "\n= ")
	for block := range strings.SplitSeq(blocks, "\n= ") {
		title, rest, _ := strings.Cut(block, "\n")
		c := &testCase{title: title}
		part := &c.lines
		for l := range strings.Lines(rest) {
			switch l = strings.TrimSpace(l); l {
			case "":
			case "--":
				part = &c.want
			case "-- bind":
				part = &c.bind
			default:
				*part = append(*part, l)
			}
		}
		cases = append(cases, c)
	}
	return head, cases
}

func writeCases(t testing.TB, head string, cases []*testCase) {
	t.Helper()
	var b strings.Builder
	b.WriteString(head + "\n")
	for _, c := range cases {
		b.WriteString("\n" + c.String())
	}
	if err := os.WriteFile("testdata/cases", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func caseZone(i int) dns.Name { return dns.MustName(fmt.Sprintf("z%d.update.example.", i)) }

// message makes the request of a case for a zone.
func (c *testCase) message(t testing.TB, origin dns.Name) []byte {
	t.Helper()
	u := dns.NewUpdate(uint16(0x1000+len(c.title)), origin)
	m := u.Message()
	var after []func([]byte) []byte
	for _, l := range c.lines {
		words := strings.Fields(l)
		switch words[0] {
		case "zone":
			if m.Questions = nil; len(words) == 4 {
				class, _ := dns.ParseClass(words[2])
				m.Questions = []dns.Question{{Name: nameIn(t, words[1], origin), Class: class, Type: typeOf(t, words[3])}}
			}
		case "need":
			rec := dns.Record{Name: nameIn(t, words[3], origin), Type: typeOf(t, words[2])}
			rec.Class, _ = dns.ParseClass(words[1])
			words = words[4:]
			if len(words) > 0 && strings.HasPrefix(words[0], "ttl=") {
				rec.TTL = number(t, words[0][4:])
				words = words[1:]
			}
			rec.Data = data(t, rec.Type, words, origin)
			m.Answer = append(m.Answer, rec)
		case "do":
			rec := dns.Record{Name: nameIn(t, words[4], origin), Type: typeOf(t, words[3]), TTL: number(t, words[2])}
			rec.Class, _ = dns.ParseClass(words[1])
			rec.Data = data(t, rec.Type, words[5:], origin)
			m.Authority = append(m.Authority, rec)
		default:
			after = append(after, mangle(t, words))
		}
	}
	msg, err := m.Append(nil)
	if err != nil {
		t.Fatalf("%s: %v", c.title, err)
	}
	for _, f := range after {
		msg = f(msg)
	}
	return msg
}

func mangle(t testing.TB, words []string) func([]byte) []byte {
	t.Helper()
	switch words[0] {
	case "cut":
		return func(m []byte) []byte { return m[:len(m)-int(number(t, words[1]))] }
	case "add":
		return func(m []byte) []byte { return append(m, octets(t, words[1])...) }
	case "counts":
		return func(m []byte) []byte {
			for i, w := range words[1:] {
				binary.BigEndian.PutUint16(m[4+2*i:], uint16(number(t, w)))
			}
			return m
		}
	}
	t.Fatalf("%q", words)
	return nil
}

func nameIn(t testing.TB, s string, origin dns.Name) dns.Name {
	t.Helper()
	n, err := dns.ParseNameIn(s, origin)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func typeOf(t testing.TB, s string) dns.Type {
	t.Helper()
	typ, ok := dns.ParseType(s)
	if !ok {
		t.Fatalf("type %s", s)
	}
	return typ
}

func number(t testing.TB, s string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

func octets(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func data(t testing.TB, typ dns.Type, words []string, origin dns.Name) dns.RData {
	t.Helper()
	if len(words) == 0 {
		return nil
	}
	if h, ok := strings.CutPrefix(words[0], "hex:"); ok {
		return octets(t, h)
	}
	rd, err := dns.ParseRDataString(typ, strings.Join(words, " "), origin)
	if err != nil {
		t.Fatalf("%s %q: %v", typ, words, err)
	}
	return rd
}

// outcome is the response code, and the difference between two contents: a serial
// number that has become one higher is not told, another one is.
func outcome(code string, before, after []string) []string {
	out := []string{code}
	for _, l := range before {
		if !slices.Contains(after, l) && !strings.Contains(l, " SOA ") {
			out = append(out, "-"+l)
		}
	}
	for _, l := range after {
		if slices.Contains(before, l) {
			continue
		}
		if strings.Contains(l, " SOA ") && strings.Contains(l, " 11 3600 ") {
			l = "serial 11"
		}
		out = append(out, "+"+l)
	}
	return out
}

// TestConformance sends each request of testdata/cases to a server of ours.
func TestConformance(t *testing.T) {
	head, cases := readCases(t)
	s := newServer(t)
	addr := s.listen(t)
	text := zoneText(t)
	for i, c := range cases {
		origin := caseZone(i)
		z := s.add(t, origin.String(), text, "grant any zonesub ANY")
		before := content(z.Current())
		code := exchange(t, addr, c.message(t, origin))
		got := outcome(code, before, content(z.Current()))
		if *rewrite {
			c.want = got
		} else if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.title, d)
		}
	}
	if *rewrite {
		writeCases(t, head, cases)
	}
}

// TestConformanceOfBIND sends the same requests to BIND, which does the same, or what the case says and explains.
func TestConformanceOfBIND(t *testing.T) {
	peers.Need(t, "named")
	_, cases := readCases(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	text := zoneText(t)
	var zones peers.Zones
	for i := range cases {
		file := filepath.Join(dir, fmt.Sprint("z", i))
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		zones = append(zones, peers.Zone{Name: caseZone(i).String(), File: file})
	}
	bind := peers.StartUpdatableBIND(t, zones, peers.BIND.Addr(t), nil)
	for i, c := range cases {
		origin := caseZone(i)
		before := content(load(t, origin, text).Current())
		code := exchange(t, bind.Addr, c.message(t, origin))
		got := outcome(code, before, transferred(t, bind.Addr, origin))
		want := c.want
		if len(c.bind) > 0 {
			want = c.bind[1:] // the first line says why
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.title, d)
		}
	}
}

// exchange sends a message over TCP, and returns the response code of the answer.
func exchange(t testing.TB, addr netip.AddrPort, msg []byte) string {
	t.Helper()
	answer := ask(t, addr, msg)
	h, ok := dns.ParseHeader(answer)
	if !ok || h.ID != binary.BigEndian.Uint16(msg) || h.Flags.Opcode() != dns.OpcodeUpdate || !h.Flags.Has(dns.FlagQR) {
		t.Fatalf("answer %x", answer)
	}
	return h.Flags.RCode().String()
}

// transferred returns the content of a zone as AXFR has it.
func transferred(t testing.TB, addr netip.AddrPort, origin dns.Name) (lines []string) {
	t.Helper()
	q := dns.NewQuery(1, dns.Question{Name: origin, Type: dns.TypeAXFR, Class: dns.ClassIN}, false)
	msg, err := q.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := dns.ParseMessage(ask(t, addr, msg))
	if err != nil || len(m.Answer) < 2 {
		t.Fatalf("AXFR of %s: %v, %v", origin, m, err)
	}
	for _, r := range m.Answer[1:] { // the first one is the SOA, as is the last one
		lines = append(lines, line(r, origin))
	}
	slices.Sort(lines)
	return lines
}

func ask(t testing.TB, addr netip.AddrPort, msg []byte) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return stream(t, ctx, addr, msg)
}
