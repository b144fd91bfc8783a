package inspect

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
)

var rewrite = flag.Bool("rewrite", false, "write the drawings of testdata anew; review them as a diff")

func records(t *testing.T, lines ...string) []dns.Record {
	t.Helper()
	var rs []dns.Record
	for _, line := range lines {
		f := strings.Fields(line)
		typ, _ := dns.ParseType(f[1])
		var toks []dns.Token
		for _, w := range f[2:] {
			toks = append(toks, dns.Token{Text: []byte(w)})
		}
		data, err := dns.ParseRData(nil, typ, toks, dns.Root)
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, dns.Record{Name: dns.MustName(f[0]), Type: typ, Class: dns.ClassIN, TTL: 300, Data: data})
	}
	return rs
}

// sampleJourney goes through every kind of hop.
func sampleJourney(t *testing.T) *Journey {
	q := dns.Question{Name: dns.MustName("www.palettepalapp.com."), Type: dns.TypeA, Class: dns.ClassIN}
	cdn := dns.Question{Name: dns.MustName("d111111abcdef8.cloudfront.net."), Type: dns.TypeA, Class: dns.ClassIN}
	hop := func(zone, server, addr string, asked dns.Question, o Outcome, rtt time.Duration, lines ...string) Hop {
		z := dns.MustName(zone)
		h := Hop{Role: RoleOf(z), Zone: z, Address: netip.MustParseAddrPort(addr + ":53"), Proto: "udp",
			Asked: asked, Outcome: o, RTT: rtt, Records: records(t, lines...)}
		if server != "" {
			h.Server = dns.MustName(server)
		}
		return h
	}
	j := &Journey{Question: q, Elapsed: 6100 * time.Microsecond, Hops: []Hop{
		hop(".", "k.root-servers.net.", "127.53.0.11", q, OutcomeReferral, 300*time.Microsecond, "com. NS a.gtld-servers.net.", "com. NS b.gtld-servers.net."),
		hop("com.", "a.gtld-servers.net.", "127.53.1.1", q, OutcomeReferral, 420*time.Microsecond, "palettepalapp.com. NS ns-123.awsdns-45.org.", "palettepalapp.com. NS ns-456.awsdns-78.com."),
		hop("org.", "b.nic.org.", "127.53.1.6", dns.Question{Name: dns.MustName("ns-123.awsdns-45.org."), Type: dns.TypeA}, OutcomeAnswer, time.Millisecond, "ns-123.awsdns-45.org. A 127.53.2.1"),
		hop("palettepalapp.com.", "ns-123.awsdns-45.org.", "127.53.2.1", q, OutcomeAlias, 220*time.Microsecond, "www.palettepalapp.com. CNAME d111111abcdef8.cloudfront.net."),
		hop("cloudfront.net.", "", "127.53.2.5", cdn, OutcomeError, 1500*time.Millisecond),
		hop("cloudfront.net.", "ns2.cloudfront.net.", "127.53.2.6", cdn, OutcomeAnswer, 250*time.Microsecond, "d111111abcdef8.cloudfront.net. A 198.51.100.7", "d111111abcdef8.cloudfront.net. A 198.51.100.8"),
	}}
	j.Hops[0].Keeps = []Keep{{"com. NS", 48 * time.Hour}}
	j.Hops[1].Keeps = []Keep{{"palettepalapp.com. NS", 49*time.Hour + 30*time.Minute}}
	j.Hops[2].Side = dns.MustName("ns-123.awsdns-45.org.")
	j.Hops[3].Keeps = []Keep{{"www.palettepalapp.com. CNAME", time.Hour}}
	j.Hops[4].Error, j.Hops[4].Proto = "no reply within 1.5 s", "tcp"
	j.Hops[5].Keeps = []Keep{{"d111111abcdef8.cloudfront.net. A", time.Minute}}
	j.Answer = append(j.Hops[3].Records, j.Hops[5].Records...)
	return j
}

// golden compares with a file of testdata, or writes it with -rewrite.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	path := "testdata/" + file
	if *rewrite {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (if the new drawing is right, run go test -rewrite):\n%s", path, diff)
	}
}

func TestDrawings(t *testing.T) {
	j := sampleJourney(t)
	var text, colour, svg bytes.Buffer
	for _, err := range []error{j.WriteTerminal(&text, false), j.WriteTerminal(&colour, true), j.WriteSVG(&svg)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "journey.txt", text.Bytes())
	golden(t, "journey.svg", svg.Bytes())
	if !strings.Contains(colour.String(), "\x1b[") || strings.Contains(text.String(), "\x1b") {
		t.Error("colours are to be there when asked for, and only then")
	}
	js, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "journey.json", append(js, '\n'))
}

// TestHostileNames draws names that hold markup and control characters.
func TestHostileNames(t *testing.T) {
	j := sampleJourney(t)
	evil, err := dns.MustName("example.").Child("<script>\x1b[2J&\"")
	if err != nil {
		t.Fatal(err)
	}
	j.Question.Name, j.Hops[0].Asked.Name, j.Hops[0].Server = evil, evil, evil
	j.Hops[4].Error = "<b>\x1b[31m"
	var text, svg bytes.Buffer
	if err := errors.Join(j.WriteTerminal(&text, false), j.WriteSVG(&svg)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "\x1b") {
		t.Errorf("an escape sequence reached the terminal: %q", text.String())
	}
	if strings.Contains(svg.String(), "<script") || strings.Contains(svg.String(), "<b>") {
		t.Error("markup of a name reached the picture")
	}
	d := xml.NewDecoder(&svg)
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("the picture is not well-formed: %v", err)
		}
	}
}

func TestConclusion(t *testing.T) {
	q := dns.Question{Name: dns.MustName("x.example."), Type: dns.TypeAAAA, Class: dns.ClassIN}
	for want, j := range map[string]*Journey{
		"x.example. does not exist":          {Question: q, RCode: dns.RCodeNXDomain},
		"x.example. exists, but has no AAAA": {Question: q},
		"x.example. AAAA is 2001:db8::1":     {Question: q, Answer: records(t, "x.example. AAAA 2001:db8::1")},
		"x.example. could not be resolved: SERVFAIL; 22 (No Reachable Authority): nobody home": {
			Question: q, RCode: dns.RCodeServFail, EDE: []dns.EDE{{Code: dns.EDENoReachableAuthority, Text: "nobody home"}}},
	} {
		if got := j.Conclusion(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0.3 ms": 300 * time.Microsecond, "1 s": time.Second, "1.5 s": 1500 * time.Millisecond, "59 s": 59 * time.Second, "5 min": 5 * time.Minute,
		"1 h 30 min": 90 * time.Minute, "2 d": 48 * time.Hour, "2 d 1 h": 49*time.Hour + 5*time.Minute, "1 min 1 s": 61 * time.Second,
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
