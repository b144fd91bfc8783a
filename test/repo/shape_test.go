package repo

import (
	"go/ast"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	maxFileLines     = 600
	maxFunctionLines = 120
)

func TestFilesAreOneSitting(t *testing.T) {
	for _, f := range mustGoFiles(t) {
		if !f.generated && f.lines > maxFileLines {
			t.Errorf("%s has %d lines: at most %d, cut it by subject", f.path, f.lines, maxFileLines)
		}
	}
}

func TestFunctionsAreShort(t *testing.T) {
	for _, f := range mustGoFiles(t) {
		if f.generated {
			continue
		}
		for _, decl := range f.syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
			if lines > maxFunctionLines {
				t.Errorf("%s: %s has %d lines: at most %d", f.path, fn.Name.Name, lines, maxFunctionLines)
			}
		}
	}
}

// TestPackagesSayWhatTheyOwn wants exactly one package comment in each package, in the form that go doc shows.
func TestPackagesSayWhatTheyOwn(t *testing.T) {
	byDir := packages(mustGoFiles(t))
	for _, dir := range slices.Sorted(maps.Keys(byDir)) {
		var comments []string
		for _, f := range byDir[dir] {
			if f.syntax.Doc != nil {
				comments = append(comments, f.path)
				checkPackageComment(t, f)
			}
		}
		if len(comments) != 1 {
			t.Errorf("package %s has %d package comments %v, expected one", dir, len(comments), comments)
		}
	}
}

func checkPackageComment(t *testing.T, f *goFile) {
	t.Helper()
	name := strings.TrimSuffix(f.syntax.Name.Name, "_test")
	want := "Package " + name + " "
	if name == "main" {
		want = "Command "
	}
	text := f.syntax.Doc.Text()
	if !strings.HasPrefix(text, want) {
		t.Errorf("%s: the package comment begins %.30q, expected %q", f.path, text, want)
	}
	if len(strings.Fields(text)) < 12 {
		t.Errorf("%s: the package comment does not say what the package owns: %q", f.path, text)
	}
}

// forbiddenNames are package names that say nothing.
var forbiddenNames = []string{"util", "utils", "common", "helper", "helpers", "types", "pkg", "misc", "shared", "base"}

func TestPackageNamesAreNouns(t *testing.T) {
	for dir := range packages(mustGoFiles(t)) {
		for element := range strings.SplitSeq(dir, "/") {
			if slices.Contains(forbiddenNames, element) {
				t.Errorf("package %s: %q names nothing", dir, element)
			}
		}
	}
}

// unfinished matches marks of work left undone; written in parts so that this file does not match itself.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b|(?i)\bfor ` + `now\b`)

func TestNothingIsLeftUnfinished(t *testing.T) {
	for _, f := range mustGoFiles(t) {
		for _, group := range f.syntax.Comments {
			for _, c := range group.List {
				if mark := unfinished.FindString(c.Text); mark != "" {
					t.Errorf("%s: a comment says %q", fset.Position(c.Pos()), mark)
				}
			}
		}
	}
}
