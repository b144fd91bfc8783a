package repo

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLicence(t *testing.T) {
	text := read(t, "LICENSE")
	for _, want := range []string{"Apache License", "Version 2.0, January 2004", "END OF TERMS AND CONDITIONS"} {
		if !strings.Contains(text, want) {
			t.Errorf("LICENSE lacks %q", want)
		}
	}
}

// TestModulesAreNotReplaced: a replaced module builds here and nowhere else.
func TestModulesAreNotReplaced(t *testing.T) {
	for _, file := range []string{"go.mod", "tools/go.mod"} {
		cmd := exec.Command("go", "mod", "edit", "-json", filepath.Join(root, file))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
		var mod struct {
			Module  struct{ Path string }
			Replace []struct{ Old struct{ Path string } }
		}
		if err := json.Unmarshal(out, &mod); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(mod.Module.Path, module) {
			t.Errorf("%s is of module %q, expected %s", file, mod.Module.Path, module)
		}
		for _, r := range mod.Replace {
			t.Errorf("%s replaces %s", file, r.Old.Path)
		}
	}
}

// TestScriptsFailLoudly: a script goes on after an error only where it says so.
func TestScriptsFailLoudly(t *testing.T) {
	scripts := []string{".ci/run"}
	err := walk(func(name string) error {
		if strings.HasPrefix(name, "scripts/") {
			scripts = append(scripts, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range scripts {
		text := read(t, name)
		if !strings.HasPrefix(text, "#!/usr/bin/env bash\n# ") {
			t.Errorf("%s: expected a bash line and then a comment that says what it does", name)
		}
		if !strings.Contains(text, "\nset -euo pipefail\n") {
			t.Errorf("%s: expected set -euo pipefail", name)
		}
		if out, err := exec.Command("bash", "-n", filepath.Join(root, name)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s is not executable (%v)", name, err)
		}
	}
}

// TestDocumentedTargetsExist: every `make X` that a page promises is in the Makefile.
func TestDocumentedTargetsExist(t *testing.T) {
	targets := regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(read(t, "Makefile"), -1)
	known := make([]string, 0, len(targets))
	for _, m := range targets {
		known = append(known, m[1])
	}
	promise := regexp.MustCompile("`make ([a-z-]+)")
	promised := 0
	err := walk(func(name string) error {
		if !strings.HasSuffix(name, ".md") {
			return nil
		}
		for _, m := range promise.FindAllStringSubmatch(read(t, name), -1) {
			promised++
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s speaks of `make %s`, which the Makefile does not have", name, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if promised == 0 {
		t.Error("no page names a make target: expected CONTRIBUTING.md to")
	}
}

// TestNothingBuiltIsCommitted: binaries and keys do not belong into the tree.
func TestNothingBuiltIsCommitted(t *testing.T) {
	out, err := exec.Command("git", "-C", root, "ls-files").Output()
	if err != nil {
		t.Skip("not a git checkout (or git is missing): what is committed cannot be listed")
	}
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		switch filepath.Ext(name) {
		case ".private", ".key", ".pem", ".exe", ".prof", ".test":
			if !strings.Contains(name, "testdata/") {
				t.Errorf("%s is committed", name)
			}
		}
		if strings.HasPrefix(name, "bin/") || strings.HasPrefix(name, ".lab/") {
			t.Errorf("%s is committed", name)
		}
	}
}
