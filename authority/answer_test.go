package authority

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

var rewrite = flag.Bool("rewrite", false, "write the answers in testdata anew; review them as a diff")

// TestScripts plays testdata/*.txt, each about one behaviour. A script begins
// with a comment that names the RFC, and goes on with commands, each on a line
// that begins with "-- ":
//
//	options nsid=TEXT version=TEXT hostname=TEXT max-udp=N agent=NAME
//	zone NAME                   the zone, as a master file, follows
//	zone NAME nsec|nsec3|optout likewise, to be signed (see sign_test.go)
//	zone NAME compact           likewise, and denials are signed when asked for
//	zone NAME compact nobody    likewise, and there is nobody to do that
//	without NAME                a zone that has no version
//	ask NAME TYPE [WORD ...]    the answer follows
//
// with the words of message. In answers, NSEC3 owners are shown as the names
// whose hashes they are, in brackets, and signatures by what they cover.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	asked := 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(`^# .*RFC \d+`).Match(text) {
				t.Errorf("%s begins with no comment that names an RFC", file)
			}
			asked += strings.Count(string(text), "\n-- ask ")
			got := play(t, string(text))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(text), got); diff != "" {
				t.Errorf("if the new answers are right, run go test -rewrite:\n%s", diff)
			}
		})
	}
	t.Logf("%d scripts, %d questions", len(files), asked)
}

// script is a script being played.
type script struct {
	out    strings.Builder
	server *Server
	hashed map[string]string // labels of NSEC3 owners, and the names that they are of
}

// play returns the script with the answers as they are.
func play(t *testing.T, text string) string {
	s := &script{server: New(Options{}), hashed: make(map[string]string)}
	for i, part := range strings.Split(text, "\n-- ") {
		if i == 0 {
			s.out.WriteString(part + "\n")
			continue
		}
		head, body, _ := strings.Cut(part, "\n")
		s.out.WriteString("-- " + head + "\n")
		words := strings.Fields(head)
		switch words[0] {
		case "options":
			s.server = New(parseOptions(t, words[1:]))
			s.out.WriteString("\n")
		case "zone":
			s.server.AddZone(s.zone(t, words[1:], body))
			s.out.WriteString(strings.TrimRight(body, "\n") + "\n\n")
		case "without":
			s.server.AddZone(zone.New(dns.MustName(words[1])))
			s.out.WriteString("\n")
		case "ask":
			s.ask(t, words[1:])
		default:
			t.Fatalf("no command %q", words[0])
		}
	}
	return strings.TrimRight(s.out.String(), "\n") + "\n"
}

func parseOptions(t *testing.T, words []string) (o Options) {
	t.Helper()
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "nsid":
			o.NSID = []byte(value)
		case "version":
			o.Version = value
		case "hostname":
			o.Hostname = value
		case "agent":
			o.ReportAgent = dns.MustName(value)
		case "max-udp":
			o.MaxUDP = uint16(number(t, value))
		default:
			t.Fatalf("no option %q", key)
		}
	}
	return o
}

func number(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// zone makes the zone of a script, signed where that is wanted.
func (s *script) zone(t *testing.T, words []string, text string) *zone.Zone {
	t.Helper()
	records := parseZone(t, words[0], text)
	if len(words) > 1 {
		records = sign(records, chainKind(words[1]))
	}
	origin := dns.MustName(words[0])
	for _, r := range records {
		for up := r.Name; !up.IsZero() && up.IsSubdomainOf(origin); up = up.Parent() {
			s.hashed[string(dns.AppendBase32Hex(nil, nsec3Hash(up)))] = up.String()
		}
	}
	z := publish(t, words[0], records)
	if len(words) == 2 && words[1] == string(noChain) {
		z.SignOnline(onRequest{origin: origin})
	}
	return z
}

func (s *script) ask(t *testing.T, words []string) {
	t.Helper()
	msg, proto := message(t, words)
	tq := transport.NewQuery(msg, clientAddr, serverAddr, proto, nil)
	tq.Idle = 12345 * time.Millisecond
	out := settled(t, s.server.NewWorker(), tq)
	if len(out) == 0 {
		s.out.WriteString("no answer\n\n")
		return
	}
	m, err := dns.ParseMessage(out)
	if err != nil {
		t.Fatalf("the answer to %v does not parse: %v\n%x", words, err, out)
	}
	s.out.WriteString(s.show(m) + "\n")
}

// show prints an answer: rcode and flags, then the sections that have records,
// then what EDNS says.
func (s *script) show(m *dns.Message) string {
	var b strings.Builder
	head := []string{m.RCode.String()}
	if op := m.Flags.Opcode(); op != dns.OpcodeQuery {
		head = append(head, op.String())
	}
	for _, flag := range strings.Fields(m.Flags.String()) {
		if flag != "qr" {
			head = append(head, flag)
		}
	}
	if len(m.Questions) == 0 {
		head = append(head, "without the question")
	}
	b.WriteString(strings.Join(head, " ") + "\n")
	for section := dns.SectionAnswer; section <= dns.SectionAdditional; section++ {
		for _, r := range m.Section(section) {
			fmt.Fprintf(&b, "  %s: %s\n", section, s.record(r))
		}
	}
	if m.EDNS != nil {
		b.WriteString(showEDNS(m.EDNS))
	}
	return b.String()
}

// record prints a record in a form to be read.
func (s *script) record(r dns.Record) string {
	text := strings.Join(strings.Fields(r.String()), " ")
	switch r.Type {
	case dns.TypeRRSIG:
		labels := int(r.Data[3])
		text = fmt.Sprintf("%s %d %s RRSIG %s, labels %d", r.Name, r.TTL, r.Class, dns.SigCovers(r.Data), labels)
	}
	if r.Type == dns.TypeNSEC3 || r.Type == dns.TypeRRSIG && dns.SigCovers(r.Data) == dns.TypeNSEC3 {
		text = regexp.MustCompile(`[0-9A-V]{32}`).ReplaceAllStringFunc(text, func(label string) string {
			return "[" + s.hashed[label] + "]"
		})
	}
	if len(text) > 160 {
		text = text[:157] + "..."
	}
	return text
}

func showEDNS(e *dns.EDNS) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  EDNS: size %d", e.UDPSize)
	if e.Version != 0 {
		fmt.Fprintf(&b, " version %d", e.Version)
	}
	if e.DO {
		b.WriteString(" do")
	}
	if e.CO {
		b.WriteString(" co")
	}
	if o, ok := e.Option(dns.OptionNSID); ok {
		fmt.Fprintf(&b, " nsid %q", o.Data)
	}
	b.WriteString("\n")
	for _, o := range e.Options {
		if o.Code != dns.OptionNSID && o.Code != dns.OptionEDE {
			fmt.Fprintf(&b, "  option %s: %s\n", o.Code, o.Value())
		}
	}
	for _, x := range e.EDE() {
		fmt.Fprintf(&b, "  extended error: %s\n", x)
	}
	return b.String()
}
