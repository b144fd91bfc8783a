package update

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRuleText(t *testing.T) {
	for _, text := range []string{
		"grant key:ddns.example. subdomain dyn.example.com. A AAAA",
		"deny any name www.example.com. ANY",
		"grant key:*.hosts.example. self A(2) AAAA(2) TXT",
		"grant 192.0.2.0/24,2001:db8::/32+key:k. zonesub ops=add ttl=60-3600 records=10",
		"grant sig0:host.example. selfsub ttl=60- ops=delete",
		"grant signed selfwild TYPE65280",
		"grant 10.0.0.0/8+signed,tsig,sig0 tcp-self PTR(1)",
		"grant any wildcard *.example. TXT ops=add,delete",
	} {
		r, err := ParseRule(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		again, err := ParseRule(r.String())
		if err != nil || cmp.Diff(r.String(), again.String()) != "" {
			t.Errorf("%s: written as %q, which is read as %q, %v", text, r, again, err)
		}
		if len(strings.Fields(r.String())) != len(strings.Fields(text)) {
			t.Errorf("%s: written as %q", text, r)
		}
	}
}

func TestRuleTextTellsMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"":                                        "column 1: \"\", expected grant or deny",
		"allow any zonesub":                       "column 1: \"allow\", expected grant or deny",
		"grant":                                   "column 6: expected who",
		"grant any":                               "column 10: \"\", expected one of zonesub, name,",
		"grant any subdomain":                     "column 20: \"\": empty name, expected a domain name",
		"grant key:a..b zonesub":                  "column 11: \"a..b\"",
		"grant 192.0.2.1/24 zonesub":              "column 7: \"192.0.2.1/24\" has bits set behind the prefix, expected 192.0.2.0/24",
		"grant any,some zonesub":                  "column 11: \"some\", expected any, signed",
		"grant 192.0.2.1+some zonesub":            "column 17: \"some\", expected signed",
		"grant any  everywhere":                   "column 12: \"everywhere\", expected one of",
		"grant any wildcard example.":             "column 20: example., expected a name that begins with *.",
		"grant any zonesub A AAA":                 "column 21: \"AAA\", expected a type",
		"grant any zonesub AXFR":                  "column 19: \"AXFR\", expected a type",
		"grant any zonesub A(0)":                  "column 21: \"0\", expected a number from 1",
		"grant any zonesub A(2":                   "column 22: expected )",
		"grant any zonesub ops=replace":           "column 23: \"replace\", expected add, delete",
		"grant any zonesub ttl=60":                "column 23: \"60\", expected MIN-MAX",
		"grant any zonesub ttl=60-30":             "column 23: \"60-30\", expected the smaller",
		"grant any zonesub ttl=60-x":              "column 26: \"x\", expected a number",
		"grant any zonesub size=3":                "column 19: \"size=\", expected ops=",
		"grant any zonesub records=99999999999":   "column 27: \"99999999999\", expected a number",
		"grant ::ffff:192.0.2.0/120 zonesub":      "column 7: \"::ffff:192.0.2.0/120\", expected an IPv4",
		"grant any name www.example.com. records": "column 33: \"records\", expected a type",
	} {
		_, err := ParseRule(text)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, expected %s", text, err, want)
		}
	}
}

func TestParsePolicy(t *testing.T) {
	p, err := ParsePolicy("# remarks\n\ngrant any zonesub A # addresses\r\n\tdeny any zonesub\n")
	if err != nil || len(p) != 2 || !p[1].Deny {
		t.Errorf("%v, %v, expected two rules", p, err)
	}
	if _, err := ParsePolicy("grant any zonesub\ngrant any zonesub B\n"); err == nil || !strings.HasPrefix(err.Error(), "2:19: ") {
		t.Errorf("%v, expected an error at 2:19", err)
	}
}

func FuzzParseRule(f *testing.F) {
	f.Add("grant key:ddns.example. subdomain dyn.example.com. A AAAA(2) ttl=1-2 ops=add records=3")
	f.Add("deny 192.0.2.0/24+sig0:*.a,any tcp-self")
	f.Add("grant key:\\032\\.a selfwild")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRule(text)
		if err != nil {
			if e := err.(*RuleError); e.Column < 1 || e.Column > len(text)+1 {
				t.Errorf("%q: column %d", text, e.Column)
			}
			return
		}
		again, err := ParseRule(r.String())
		if err != nil || again.String() != r.String() {
			t.Errorf("%q: written as %q, which is read as %q, %v", text, r, again, err)
		}
	})
}
