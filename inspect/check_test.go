package inspect

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
