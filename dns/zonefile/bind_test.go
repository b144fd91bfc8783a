package zonefile

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
)

// bindRecords has BIND read the file called name in dir and returns the zone.
func bindRecords(t *testing.T, dir, name, origin string) ([]dns.Record, string) {
	t.Helper()
	tool, err := exec.LookPath("named-compilezone")
	if err != nil {
		t.Skip("named-compilezone is not installed (package bind9-utils)")
	}
	cmd := exec.Command(tool, "-i", "none", "-k", "ignore", "-m", "ignore", "-M", "ignore", "-n", "ignore",
		"-r", "ignore", "-S", "ignore", "-T", "ignore", "-W", "ignore", "-s", "full", "-o", "-", origin, name)
	cmd.Dir = dir
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return nil, complaints.String()
	}
	records, err := oracleRecords(out.String(), origin, 0)
	if err != nil {
		t.Fatalf("what BIND printed cannot be read: %v", err)
	}
	return records, complaints.String()
}

// bindSkips are the well-formed scripts that BIND does not read as we do.
var bindSkips = map[string]string{
	"strings-over-lines":       "does not take a line end within quotes, as RFC 1035 §5.1 lets us",
	"include-name-with-blanks": "does not resolve escapes in file names",
	"generate-dollars":         "takes one word or one quoted text on the right side of $GENERATE",
	"generate-text":            "takes one word or one quoted text without quotes on the right side of $GENERATE",
	"chaos":                    "is asked for zones of class IN",
	"generic-class":            "is asked for zones of class IN",
}

var soaLine = regexp.MustCompile(`(?m)^@.* SOA `)

// TestBIND: BIND reads the same records from the scripts. A script that is no
// whole zone is included into one.
func TestBIND(t *testing.T) {
	const apex = "@ 60 IN SOA ns host 1 2 3 4 5\n  60 IN NS ns\nns 60 IN A 192.0.2.53\n"
	for _, c := range parseScript(t, "testdata/read/records.txt").cases {
		name := strings.Fields(c.title)[0]
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			z := c.reader(t, dir)
			origin := z.src.origin
			text, _, _ := strings.Cut("\n"+c.text, "\n-- ")
			files := map[string]string{"db": text[1:] + "\n"}
			if !soaLine.MatchString(text) {
				files["db"] = apex
				if z.ttl.haveStd {
					files["db"] += "$TTL 77\n"
				}
				files["db"] += "$INCLUDE the-script " + origin.String() + "\n"
				files["the-script"] = text[1:] + "\n"
				origin = dns.Root
			}
			for file, text := range files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, complaints := bindRecords(t, dir, "db", origin.String())
			got, err := NewReader(strings.NewReader(files["db"]), Options{Origin: origin, IncludeDir: dir}).ReadAll()
			d := cmp.Diff(zoneLines(want), zoneLines(got))
			reason, skip := bindSkips[name]
			switch {
			case skip && err == nil && d == "":
				t.Errorf("no difference any more, expected one: BIND %s", reason)
			case !skip && (err != nil || d != ""):
				t.Errorf("%v\nrecords (-BIND +got):\n%s\nBIND says:\n%s", err, d, complaints)
			}
		})
	}
}

// zoneLines returns records as a zone has them: sorted, each once, and owners
// in one case.
func zoneLines(records []dns.Record) []string {
	var list []string
	for _, r := range records {
		r.Name = r.Name.Fold()
		list = append(list, r.String())
	}
	slices.Sort(list)
	return slices.Compact(list)
}
