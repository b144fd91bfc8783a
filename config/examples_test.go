package config

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// example is what the pages show of a configuration: indented lines, or those between fences.
var example = regexp.MustCompile("(?m)(?:^    .*\n|^\n)+|^```yaml\n(?:[^`].*\n|\n)*")

var beginsConfiguration = regexp.MustCompile(`^(data|listen|keys|servers|zones|views|templates|policies|dnssec|lookups|store|tls|access|server|log):`)

// TestExamples: what users copy from the pages is read without a mistake. Names that a part of a configuration leaves to the rest
// of it may be missing.
func TestExamples(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	found := 0
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range example.FindAllString(string(text), -1) {
			yaml, isFenced := strings.CutPrefix(block, "```yaml\n")
			if !isFenced {
				yaml = strings.ReplaceAll("\n"+yaml, "\n    ", "\n")
			}
			yaml = strings.TrimSpace(yaml)
			first := strings.TrimLeft(strings.TrimPrefix(yaml, "# onoma.yaml"), "\n")
			if !beginsConfiguration.MatchString(first) {
				continue
			}
			found++
			_, err := Parse(page, []byte(yaml+"\n"), Options{})
			var mistakes Errors
			if err != nil && !errors.As(err, &mistakes) {
				t.Errorf("%s: %v in\n%s", page, err, yaml)
			}
			for _, m := range mistakes {
				// What lacks a name is not a catalog either.
				if !strings.Contains(m.What, "there is no ") && !strings.Contains(m.What, "is no catalog of this server") {
					t.Errorf("%v in\n%s", m, yaml)
				}
			}
		}
	}
	if found < 15 {
		t.Errorf("%d examples were found, expected them all", found)
	}
}
