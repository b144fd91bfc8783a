package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCommandsAreSeenFromTheirFile: a program is found where config check looks for it,
// whatever directory it is run in.
func TestCommandsAreSeenFromTheirFile(t *testing.T) {
	for text, want := range map[string][]string{
		"./look":           {"/etc/onoma/look"},
		"[bin/look, ./-v]": {"/etc/onoma/bin/look", "./-v"},
		"[/bin/look, a/b]": {"/bin/look", "a/b"},
		"[look, --strict]": {"look", "--strict"},
		"[]":               {},
		"[../look, -v]":    {"/etc/look", "-v"},
	} {
		c, err := Parse("/etc/onoma/onoma.yaml", []byte("zones: {a.example: {file: z, gate: {command: "+text+"}}}"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, c.Zones[0].Gate.Command); d != "" {
			t.Errorf("%s (-want +got):\n%s", text, d)
		}
	}
}
