package resolver

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// score is what came of the scripts of a directory.
type score struct {
	passed, failed int
	lacking        map[string]string // by script: what it needs that is not here
	differing      map[string]string // by script: what it wants otherwise
}

func (s *score) String() string {
	able := s.passed + s.failed + len(s.differing)
	return fmt.Sprintf("%d scenarios: %d can be run, of which %d pass (%d %%), %d differ with reason, %d fail; %d need what is not here",
		able+len(s.lacking), able, s.passed, s.passed*100/max(1, able), len(s.differing), s.failed, len(s.lacking))
}

const scenarioPage = "../docs/scenarios.md"

// page is the score for readers.
func (s *score) page() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Scenarios

The resolver is judged by the scripted scenarios of Unbound's test suite (NLnet Labs, BSD): what servers answer at which step, what
a client asks, and what it must hear. They are not part of this project. They are read from `+"`../shared/scenarios`"+`, or from the
directory that `+"`ONOMA_SCENARIOS`"+` names:

    ONOMA_SCENARIOS=/path/to/testdata go test ./resolver -run TestScenarios -v

The runner plays them in one process, on a fake network with a fake clock. Names of options are mapped to those of onoma; keys and
signatures by DSA, which nobody validates any more, are made anew by ECDSA where they are right, and stay wrong where they are wrong.
Compared are the response code, the flags but AA, and the answer and authority sections as sets, NS records and addresses beside an
answer aside. Where a script wants one of the extended errors about a failed validation, any of them will do.

**%s.**

This page is made by the test: `+"`REWRITE=1 go test ./resolver -run TestScenarios`"+`.

## Scripts that differ

They could be run. What they want is done otherwise here, for the reason given, or is particular to the order in which Unbound works.

| script | it |
| --- | --- |
`, s)
	for _, name := range sortedKeys(s.differing) {
		fmt.Fprintf(&b, "| %s | %s |\n", name, s.differing[name])
	}
	b.WriteString("\n## Scripts that need what is not here\n\n| script | needs |\n| --- | --- |\n")
	for _, name := range sortedKeys(s.lacking) {
		fmt.Fprintf(&b, "| %s | %s |\n", name, strings.TrimPrefix(s.lacking[name], "needs "))
	}
	return b.String()
}

func sortedKeys(m map[string]string) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// checkPage compares the page with the score, or writes it. Scripts of other
// directories have no page.
func (s *score) checkPage(t *testing.T) {
	if os.Getenv("ONOMA_SCENARIOS") != "" || t.Failed() {
		return
	}
	want := s.page()
	if os.Getenv("REWRITE") != "" {
		if err := os.WriteFile(filepath.FromSlash(scenarioPage), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(filepath.FromSlash(scenarioPage))
	if err != nil || string(got) != want {
		t.Errorf("%s is not up to date (%v): run REWRITE=1 go test ./resolver -run TestScenarios", scenarioPage, err)
	}
}
