package walk

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answers are what the zone files say of a few names, as `dig +short` prints it, sorted.
var answers = []struct {
	name, typ string
	want      []string
}{
	{"www.thedns.guru", "A", []string{"203.0.113.42", "thedns.guru."}},
	{"thedns.guru", "MX", []string{"10 mail.thedns.guru."}},
	{"thedns.guru", "TXT", []string{`"v=spf1 ip4:203.0.113.0/24 ~all"`}},
	{"www.palettepalapp.com", "A", []string{
		"198.18.7.10", "198.18.7.11", "198.18.7.12", "198.18.7.13", "d111111abcdef8.cloudfront.net.",
	}},
	{"www.palettepalapp.com", "AAAA", []string{"2001:db8:7::10", "2001:db8:7::11", "d111111abcdef8.cloudfront.net."}},
	{"papyrus.org", "MX", []string{"10 mx1.hermes-mail.com.", "20 mx2.hermes-mail.com."}},
	{"anything.shops.labyrinth.guru", "A", []string{"198.18.1.51"}},
	{"10.25.18.198.in-addr.arpa", "PTR", []string{"mx1.hermes-mail.com."}},
	{"nobody.thedns.guru", "A", nil},
}

func (w *world) dig(t *testing.T) {
	for _, a := range answers {
		got := sorted(run(t, "dig", "@"+labResolver, "+short", a.name, a.typ))
		if diff := cmp.Diff(a.want, got); diff != "" {
			t.Errorf("dig %s %s (-zone +dig):\n%s", a.name, a.typ, diff)
		}
	}
}

func (w *world) kdig(t *testing.T) {
	for _, a := range answers {
		for _, transport := range []string{"+notcp", "+tcp"} {
			got := sorted(run(t, "kdig", "@"+labResolver, "+short", transport, a.name, a.typ))
			if diff := cmp.Diff(a.want, got); diff != "" {
				t.Errorf("kdig %s %s %s (-zone +kdig):\n%s", transport, a.name, a.typ, diff)
			}
		}
	}
}

// digTrace looks at each step that dig takes: who answered, and the record that led on.
func (w *world) digTrace(t *testing.T) {
	for _, journey := range []struct {
		name, typ string
		steps     []string // in this order, each in a line; blanks are one
	}{
		{"www.thedns.guru", "A", []string{
			". IN NS m.root-servers.net.", "(127.53.0.53)", "guru. IN NS a.nic.guru.", ".root-servers.net)",
			"thedns.guru. IN NS ns1.example.com.", ".nic.guru)",
			"www.thedns.guru. IN CNAME thedns.guru.", "thedns.guru. IN A 203.0.113.42", ".example.com)",
		}},
		{"www.palettepalapp.com", "A", []string{
			"com. IN NS a.nic.com.", ".root-servers.net)", "palettepalapp.com. IN NS ns-123.awsdns-45.org.", ".nic.com)",
			"www.palettepalapp.com. IN CNAME d111111abcdef8.cloudfront.net.", "(ns-",
		}},
		{"bull.crete.labyrinth.guru", "TXT", []string{
			"labyrinth.guru. IN NS ns1.acropolis-dns.net.", ".nic.guru)",
			"crete.labyrinth.guru. IN NS ns1.meltemi-dns.com.", ".acropolis-dns.",
			`bull.crete.labyrinth.guru. IN TXT "you found it"`, ".meltemi-dns.",
		}},
	} {
		out := run(t, "dig", "+trace", "+nodnssec", "+nottlid", journey.name, journey.typ)
		rest := strings.Join(strings.FieldsFunc(out, func(r rune) bool { return r == '\t' || r == ' ' }), " ")
		for _, step := range journey.steps {
			_, after, found := strings.Cut(rest, step)
			if !found {
				t.Errorf("dig +trace %s: expected %q next in\n%s", journey.name, step, out)
				break
			}
			rest = after
		}
	}
}

// host asks as programs do that know of no server but the system's.
func (w *world) host(t *testing.T) {
	out := run(t, "host", "www.thedns.guru")
	for _, want := range []string{
		"www.thedns.guru is an alias for thedns.guru.", "thedns.guru has address 203.0.113.42",
		"thedns.guru mail is handled by 10 mail.thedns.guru.",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("host www.thedns.guru: expected %q in\n%s", want, out)
		}
	}
}

// trace has our own tools say what the others say.
func (w *world) trace(t *testing.T) {
	out := w.onoma(t, "trace", "www.thedns.guru", "--lab", w.dir)
	for _, want := range []string{"guru. is served by a.nic.guru., b.nic.guru.", "thedns.guru. is served by ns1.example.com., ns2.example.com.",
		"www.thedns.guru. A is 203.0.113.42"} {
		if !strings.Contains(out, want) {
			t.Errorf("onoma trace: expected %q in\n%s", want, out)
		}
	}
	for _, a := range answers {
		got := sorted(w.onoma(t, "query", a.name, a.typ, "--short")) // of the system's resolver
		if diff := cmp.Diff(a.want, got); diff != "" {
			t.Errorf("onoma query %s %s (-zone +onoma):\n%s", a.name, a.typ, diff)
		}
	}
}

// sorted are the lines of a text in order; none of an empty text.
func sorted(text string) []string {
	lines := slices.Collect(strings.Lines(text))
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	slices.Sort(lines)
	return lines
}
