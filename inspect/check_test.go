package inspect

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
	"onoma/zone"
)

var checkNoon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Every fault is found by its code, nothing else is found, and sound zones have none.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(checkCases)) {
		c := checkCases[name]
		t.Run(name, func(t *testing.T) {
			h := checked(t, name)
			if got := codesOf(h); got != c.codes {
				t.Errorf("found %q, expected %q", got, c.codes)
				for _, f := range h.Findings {
					t.Logf("%v %s: %v", f.Severity, f.Code, f)
				}
			}
			if h.Trust.Status != c.status {
				t.Errorf("the chain is %v (%s), expected %v", h.Trust.Status, h.Trust.Why, c.status)
			}
			for _, f := range h.Findings {
				if f.Text == "" || f.Cure == "" {
					t.Errorf("%s does not say what is wrong and what to do", f.Code)
				}
			}
		})
	}
}

// The page for users tells of every finding that is known here, and of no other.
func TestCheckFindingsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/check.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 {
			for i, code := range strings.Split(cells[1], "`") {
				if i%2 == 1 {
					told[code] = true
				}
			}
		}
	}
	found := map[string]bool{"server-single": true} // which testdata/check.txt of the command line has
	for _, c := range checkCases {
		for code := range strings.FieldsSeq(c.codes) {
			found[code] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(told))); diff != "" {
		t.Errorf("findings of the tests (-) and of the page (+):\n%s", diff)
	}
}

// A parent that takes news of its children is named, and then a DS that it has not
// yet is no work for people.
func TestCheckSeesWhereTheParentTakesNews(t *testing.T) {
	w := newWorld(t, checkNoon)
	w.add("kid.notice.", spec{cds: true, delegation: dropType(dns.TypeDS)})
	w.add("notice.", spec{text: "*._dsync DSYNC CDS NOTIFY 5359 scanner\n*._dsync DSYNC CSYNC NOTIFY 5360 scanner\n"})
	w.add(".", spec{})
	h := w.check(t, "kid.notice.")
	scanner := dns.MustName("scanner.notice.")
	want := []Endpoint{{dns.TypeCDS, scanner, 5359, true}, {dns.TypeCSYNC, scanner, 5360, true}}
	slices.SortFunc(h.DSYNC, func(a, b Endpoint) int { return int(a.Port) - int(b.Port) })
	if diff := cmp.Diff(want, h.DSYNC, cmp.Comparer(dns.Name.Equal)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	i := slices.IndexFunc(h.Findings, func(f zone.Finding) bool { return f.Code == "cds-not-taken" })
	if i < 0 || !strings.Contains(h.Findings[i].Cure, "takes NOTIFY(CDS)") {
		t.Errorf("findings: %v", h.Findings)
	}
	var text strings.Builder
	if err := h.WriteTerminal(&text, false); err != nil || !strings.Contains(text.String(), "notice. takes news of CDS at scanner.notice. port 5359") {
		t.Errorf("%v\n%s", err, &text)
	}
}

func TestCheckOfNoZone(t *testing.T) {
	w := checkWorld(t)
	for name, why := range map[string]string{
		"absent.test.": "NXDOMAIN", "ns1.sound.test.": "it is no zone of its own", "x.nosuch.": "NXDOMAIN",
	} {
		_, err := CheckZone(context.Background(), dns.MustName(name), w.options())
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, expected %q", name, err, why)
		}
	}
}

// Servers that reply and do not serve are told apart by what they do.
func TestCheckTellsHowAServerIsLame(t *testing.T) {
	for why, tamper := range map[string]func(dns.Question, *dns.Message){
		"it answers without authority for the zone": func(_ dns.Question, m *dns.Message) { m.Flags &^= dns.FlagAA },
		"it has no SOA record of the zone":          func(_ dns.Question, m *dns.Message) { m.Answer = nil },
		"it answers SERVFAIL":                       func(_ dns.Question, m *dns.Message) { m.RCode = dns.RCodeServFail },
		"its reply is to another question": func(_ dns.Question, m *dns.Message) {
			m.Questions = []dns.Question{{Name: dns.Root, Type: dns.TypeNS, Class: dns.ClassIN}}
		},
	} {
		w := newWorld(t, checkNoon)
		w.add("leaf.", spec{algorithms: []uint8{0}, other: func(m *machine) { m.tamper = tamper }})
		w.add(".", spec{})
		h := w.check(t, "leaf.")
		if len(h.Findings) != 1 || h.Findings[0].Code != "server-lame" || !strings.Contains(h.Findings[0].Text, why) {
			t.Errorf("%q: %v", why, h.Findings)
		}
	}
}
