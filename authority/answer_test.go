package authority

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/transport"
)

var rewrite = flag.Bool("rewrite", false, "write the answers in testdata anew; review them as a diff")

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestScripts plays testdata/*.txt: zones in sections "-- zone NAME", then
// "-- ask NAME TYPE [edns|do] [tcp]" with the answer that is expected.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(script))
			if *rewrite {
				writeFile(t, file, got)
				return
			}
			if diff := cmp.Diff(string(script), got); diff != "" {
				t.Errorf("if the new answers are right, run go test -rewrite:\n%s", diff)
			}
		})
	}
}

// play returns the script with the answers as they are.
func play(t *testing.T, script string) string {
	var out strings.Builder
	s := New(Options{NSID: []byte("ns1"), Version: "onoma"})
	for i, part := range strings.Split(script, "\n-- ") {
		if i == 0 {
			out.WriteString(part + "\n")
			continue
		}
		head, body, _ := strings.Cut(part, "\n")
		out.WriteString("-- " + head + "\n")
		verb, rest, _ := strings.Cut(head, " ")
		switch verb {
		case "zone":
			s.AddZone(load(t, rest, body))
			out.WriteString(strings.TrimRight(body, "\n") + "\n\n")
		case "ask":
			proto := transport.UDP
			if words, ok := strings.CutSuffix(rest, " tcp"); ok {
				rest, proto = words, transport.TCP
			}
			out.WriteString(show(ask(t, s.NewWorker(), query(t, rest), proto)) + "\n")
		default:
			t.Fatalf("no verb %q", verb)
		}
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

// show prints an answer: rcode and flags, then the sections that have records.
func show(m *dns.Message) string {
	var b strings.Builder
	b.WriteString(strings.TrimSpace(m.RCode.String()+strings.TrimPrefix(m.Flags.String(), "qr")) + "\n")
	for s := dns.SectionAnswer; s <= dns.SectionAdditional; s++ {
		for _, r := range m.Section(s) {
			text := strings.Join(strings.Fields(r.String()), " ")
			if len(text) > 120 {
				text = text[:117] + "..."
			}
			fmt.Fprintf(&b, "  %s: %s\n", s, text)
		}
	}
	for _, e := range m.EDNS.EDE() {
		fmt.Fprintf(&b, "  extended error: %s\n", e)
	}
	return b.String()
}
