package resolver

import (
	_ "embed"
	"strings"
)

//go:embed testdata/scenarios.txt
var skipText string

// scenarioSkips are scripts that could run and do not pass, with the reason.
var scenarioSkips = func() map[string]string {
	skips := map[string]string{}
	for line := range strings.Lines(skipText) {
		if name, why, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && line[0] != '#' {
			skips[name] = why
		}
	}
	return skips
}()
