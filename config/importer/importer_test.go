package importer

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/authority/update"
	"onoma/config"
)

var files = map[string]string{"bind": "named.conf", "nsd": "nsd.conf", "knot": "knot.conf", "powerdns": "pdns.conf"}

// checked imports a file, and has the result be a good configuration.
func checked(t *testing.T, from, path string) *Result {
	t.Helper()
	r, err := Import(from, path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	mustParse(t, r.YAML)
	return r
}

func mustParse(t *testing.T, yaml []byte) {
	t.Helper()
	if _, err := config.Parse("onoma.yaml", yaml, config.Options{CheckRule: checkRule}); err != nil {
		t.Fatalf("%v\nin\n%s", err, yaml)
	}
}

func checkRule(text string) error {
	_, err := update.ParseRule(text)
	return err
}

// TestSamples compares what becomes of a configuration with what is known to be
// right: the YAML, and behind --- the notes.
func TestSamples(t *testing.T) {
	for _, from := range From {
		t.Run(from, func(t *testing.T) {
			path := filepath.Join("testdata", from, files[from])
			r := checked(t, from, path)
			got := string(r.YAML) + "---\n"
			for _, n := range r.Notes {
				got += n.String() + "\n"
			}
			expected := filepath.Join("testdata", from+".txt")
			if os.Getenv("REWRITE") != "" {
				if err := os.WriteFile(expected, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(expected)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
				t.Errorf("result (-want +got):\n%s", d)
			}
		})
	}
}

// TestDebian imports what the packages of Debian install.
func TestDebian(t *testing.T) {
	for from, path := range map[string]string{
		"bind": "/etc/bind/named.conf", "nsd": "/etc/nsd/nsd.conf", "knot": "/etc/knot/knot.conf", "powerdns": "/etc/powerdns/pdns.conf",
	} {
		t.Run(from, func(t *testing.T) {
			if f, err := os.Open(path); err != nil {
				t.Skipf("%s is not installed, or not to be read: %v", from, err)
			} else {
				f.Close()
			}
			checked(t, from, path)
		})
	}
}

func TestMistakesHavePlaces(t *testing.T) {
	for _, c := range []struct{ from, text, want string }{
		{"bind", "options {\n  directory \"x;\n};", "f:2:13: a text begins with \" and does not end in its line"},
		{"bind", "options {\n", "f:2:1: the file ends in a block, expected }"},
		{"bind", "options { };\n};", "f:2:2: } without {"},
		{"bind", "/* never\nending", "f:1:1: a remark begins with /* and does not end"},
		{"bind", "zone x { type primary }", "f:1:24: } comes before the ; of \"type\""},
		{"nsd", "\nverbosity: 1", "f:2:1: verbosity: stands in no section, expected server: or zone: first"},
		{"nsd", "hello", "f:1:1: expected a word with a colon, such as server: or zone:"},
		{"knot", "server:\n  listen", "f:2:3: expected NAME: VALUE"},
		{"knot", "  listen: x", "f:1:3: listen: stands in no section"},
	} {
		_, err := Import(c.from, "f", inMemory(map[string]string{"f": c.text}))
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || err.Error() != c.want {
			t.Errorf("%s %q: %v, want %s", c.from, c.text, err, c.want)
		}
	}
}

// inMemory has files of its own.
func inMemory(files map[string]string) Options {
	return Options{
		Open: func(path string) (io.ReadCloser, error) {
			text, ok := files[path]
			if !ok {
				return nil, fs.ErrNotExist
			}
			return io.NopCloser(strings.NewReader(text)), nil
		},
		Glob:     func(pattern string) ([]string, error) { return []string{pattern}, nil },
		PowerDNS: func(string) (map[string]*pdnsZone, error) { return nil, fs.ErrNotExist },
	}
}

func TestListsLetInFewerNeverMore(t *testing.T) {
	for _, c := range []struct{ list, want string }{
		{"any;", "[any]"},
		{"none; any;", "[none]"},
		{"!any; 10.0.0.0/8;", "[none]"},
		{"!10.0.0.0/9; 10.0.0.0/8;", "[10.128.0.0/9]"},
		{"!10.0.0.1; 10.0.0.0/30; 10.0.0.1;", "[10.0.0.0, 10.0.0.2/31]"},
		{"!{ !10.1.0.0/16; any; }; key k;", `["10.1.0.0/16+key:k."]`},
		{"!key k; any;", "[none]"},
		{"10.0.0.1; !key k; any;", "[10.0.0.1]"},
		{"!{ !key k; any; }; 10.0.0.1;", `["10.0.0.1+key:k."]`},
		{"!{ !key k; !a; any; }; 10.0.0.1; 192.0.2.9;", `["10.0.0.1+key:k.", "192.0.2.9+key:k.", 192.0.2.9]`},
		{"!{ !key k; any; }; !{ !10.0.0.0/8; any; }; any;", `["10.0.0.0/8+key:k."]`},
		{"!{ absent; 10.0.0.0/8; }; any;", "[none]"},
		{"!{ !key k; 10.0.0.0/8; }; any;", "[none]"},
		{"!{ 10.0.0.0/8; !key k; }; 10.0.0.1; 192.0.2.9;", "[192.0.2.9]"},
		{"!localhost; any;", "[none]"},
		{"!key k; key k; key l; 10.0.0.1; a;", `["key:l."]`},
		{"!key k; !10.0.0.0/8; !key l; key l; any;", "[none]"},
		{"!localnets; any;", "[none]"},
		{"a; !b; key k;", `[192.0.2.0/24, "10.1.0.0/16+key:k."]`},
		{"key absent; 10.0.0.1;", "[10.0.0.1]"},
		{"loop; 10.0.0.1;", "[loop, 10.0.0.1]"},
	} {
		text := "key k { algorithm hmac-sha256; secret \"AAEC\"; };\nkey l { algorithm hmac-sha256; secret \"AAED\"; };\nacl a { 192.0.2.0/24; };\nacl b { !10.1/16; any; };\nacl loop { loop; };\n" +
			"zone z { type primary; file \"f\"; allow-transfer { " + c.list + " }; };"
		r, err := Import("bind", "f", inMemory(map[string]string{"f": text}))
		if err != nil {
			t.Fatal(err)
		}
		mustParse(t, r.YAML)
		want := strings.ReplaceAll(c.want, "[192.0.2.0/24, ", "[a, ")
		if !strings.Contains(string(r.YAML), "transfer-to: "+want+"}") {
			t.Errorf("%s\nwant %s in\n%s", c.list, want, r.YAML)
		}
	}
}

// fuzz imports what is made up, and has every result be a good configuration, or
// tell what is not.
func fuzz(f *testing.F, from string) {
	for _, name := range []string{files[from], "keys.conf"} {
		if text, err := os.ReadFile(filepath.Join("testdata", from, name)); err == nil {
			f.Add(string(text))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Import(from, "f", inMemory(map[string]string{"f": text, "named.conf": text}))
		if err != nil {
			return
		}
		noted := slices.ContainsFunc(r.Notes, func(n Note) bool { return strings.HasPrefix(n.Text, "needs your hand") })
		if noted {
			for _, n := range r.Notes {
				if strings.Contains(n.Text, "not YAML") || strings.Contains(n.Text, "has no setting") {
					t.Fatalf("%s\nin\n%s", n, r.YAML)
				}
			}
			return
		}
		mustParse(t, r.YAML)
	})
}

func FuzzBIND(f *testing.F)     { fuzz(f, "bind") }
func FuzzNSD(f *testing.F)      { fuzz(f, "nsd") }
func FuzzKnot(f *testing.F)     { fuzz(f, "knot") }
func FuzzPowerDNS(f *testing.F) { fuzz(f, "powerdns") }

// TestBINDDurations: as its policies write them.
func TestBINDDurations(t *testing.T) {
	for text, want := range map[string]string{
		"unlimited": "0s", "P1D": "86400s", "PT1H30M": "5400s", "P1M": "2592000s", "PT1M": "60s", "30d": "2592000s", "1d12h": "129600s", "3600": "3600s",
		"P": "0s", "x": "", "P1": "", "1y": "", "": "0s",
	} {
		if got, _ := bindDuration(text); got != want {
			t.Errorf("%q is %q, expected %q", text, got, want)
		}
	}
}
