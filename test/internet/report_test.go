package internet_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"onoma/test/internet"
)

// report writes the page of what resolvers disagree about.
func report(t *testing.T, path string, zones, questions int, answers, verdicts map[int]int) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `# Five resolvers and one internet

Written by `+"`make differential`"+`. Package test/internet makes an internet of %d zones below a root and 50 top-level domains, on loopback addresses: signed by all
algorithms that may be signed with, with NSEC, NSEC3 and opt-out, unsigned, and one of five zones with a fault. onoma and Debian's Unbound, BIND,
Knot Resolver and PowerDNS Recursor are asked the same %d questions twice: with CD, where rcodes and data are compared, and without, where AD is as well.
Who does not say what most say is listed, with the reason. A disagreement without a reason fails the test, and so does a forged address that anybody believes.

## Disagreements
| fault | who | says | most say | with CD | without | why |
| --- | --- | --- | --- | --- | --- | --- |
`, zones, questions)
	for i, e := range explanations {
		if answers[i]+verdicts[i] == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d | %d | %s |\n", orAny(e.fault), orAny(e.who), orAny(e.got), orAny(e.most), answers[i], verdicts[i], e.why)
	}
	b.WriteString("\n## Faults\n| fault | what is wrong, or unusual |\n| --- | --- |\n")
	for _, f := range internet.Faults {
		fmt.Fprintf(&b, "| %s | %s |\n", f.Name, f.Text)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Error(err)
	}
}

// orAny is a cell of the table: the begin of an outline, without the word that ends it.
func orAny(s string) string {
	if s == "" {
		return "any"
	}
	return strings.TrimSuffix(s, " with")
}
