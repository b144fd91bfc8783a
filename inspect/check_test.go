package inspect

import (
	"maps"
	"slices"
	"testing"
	"time"
)

var checkNoon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Every fault is found by its code, nothing else is found, and sound zones have none.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	w := checkWorld(t)
	for _, name := range slices.Sorted(maps.Keys(checkCases)) {
		c := checkCases[name]
		t.Run(name, func(t *testing.T) {
			h := w.check(t, name+".test.")
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
