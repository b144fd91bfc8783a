package resolver

import (
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
)

// TestReports has the agent of a zone with wrong signatures told once, and nobody
// where it is not wanted.
func TestReports(t *testing.T) {
	agent := dns.MustName("agent.plain.").Wire()
	spoil := func(q dns.Question, a *dns.Message) {
		forge(q, a)
		if a.EDNS == nil {
			a.EDNS = &dns.EDNS{UDPSize: 1232}
		}
		a.EDNS.Options = append(a.EDNS.Options, dns.Option{Code: dns.OptionReportChannel, Data: []byte(agent)})
	}
	for _, wanted := range []bool{true, false} {
		inSignedWorld(t, Config{ReportErrors: wanted}, [2]func(dns.Question, *dns.Message){spoil, spoil}, func(t *testing.T, w *world) {
			w.Serve("192.0.2.5", fakenet.ParseZone("plain.", "@ NS ns\nns A 192.0.2.5\n*.agent 3600 TXT thanks"))
			for range 3 {
				if m := w.ask(query("www.example.", dns.TypeA, 1232, false)); m.RCode != dns.RCodeServFail {
					t.Errorf("%s", text(m))
				}
				time.Sleep(2 * time.Minute) // longer than the failure is remembered
			}
			var reports []string
			for _, p := range w.Sent() {
				if name := p.Question.Name.String(); strings.HasPrefix(strings.ToLower(name), "_er.") && p.Question.Type == dns.TypeTXT {
					reports = append(reports, strings.ToLower(name))
				}
			}
			if want := "_er.1.www.example.6._er.agent.plain."; wanted && (len(reports) != 1 || reports[0] != want) || !wanted && len(reports) > 0 {
				t.Errorf("reports %v (wanted: %v), expected %s once", reports, wanted, want)
			}
		})
	}
	for name, ok := range map[string]bool{"www.example.": true, ".": true, "_er.1.x.6._er.agent.": false, "x.agent.plain.": false, strings.Repeat("long.", 49): false} {
		if got, is := reportName(dns.Question{Name: dns.MustName(name), Type: dns.TypeA}, 6, dns.MustName("agent.plain.")); is != ok {
			t.Errorf("%s: %s %v", name, got, is)
		}
	}
}
