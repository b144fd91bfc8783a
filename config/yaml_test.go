package config

import (
	"strings"
	"testing"
)

// TestWhatIsNotYAML: the reader of YAML says what it has found; we say what to do about it.
func TestWhatIsNotYAML(t *testing.T) {
	for text, want := range map[string]string{
		"zones:\n\ta.example: {file: z}\n":                       "f:2:1: not YAML: found character that cannot start any token, expected spaces at the beginning of a line, and no tab",
		"data: /x\nnsid: @here\n":                                "f:2:7: not YAML: found character that cannot start any token, expected quotation marks around",
		"zones:\n  a.example:\n    file: z\n   serial: date\n":   "f:4:4: not YAML: did not find expected key, expected KEY: VALUE, as far from the left",
		"zones:\n  *.example: {file: z}\n":                       "f:2:3: not YAML: unknown anchor '.example' referenced, expected an anchor that stands before it, or quotation marks",
		"data: /x\n---\ndata: /y\n":                              "expected one document: no line with --- between two",
		"data: /x\nzones: {b\xfccher.example: {file: a.zone}}\n": "f:2:10: not YAML: ",
	} {
		_, err := Parse("f", []byte(text), Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{"", "\n", "# a remark\n", "\ufeff", "---\n"} {
		if _, err := Parse("f", []byte(text), Options{}); err != nil {
			t.Errorf("%q says nothing, which is fine: %v", text, err)
		}
	}
}
