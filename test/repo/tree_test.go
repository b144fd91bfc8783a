// Package repo holds the tests of the repository itself: the floors and rings of dependencies, the shape of
// files and functions, what every package must say about itself, and what must never be committed.
// It reads every Go file as text and syntax, whatever its build tags, so that code for another platform is judged too.
package repo

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the path of the module, and so the prefix of every import between our packages.
const module = "onoma"

// goFile is one parsed Go file of the module.
type goFile struct {
	path      string // slash-separated, from the module's root
	lines     int
	generated bool
	syntax    *ast.File
}

func (f *goFile) dir() string    { return path.Dir(f.path) }
func (f *goFile) isTest() bool   { return strings.HasSuffix(f.path, "_test.go") }
func (f *goFile) testOnly() bool { return f.isTest() || strings.HasPrefix(f.path, "test/") }

func (f *goFile) imports() []string {
	var list []string
	for _, spec := range f.syntax.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err == nil {
			list = append(list, p)
		}
	}
	return list
}

var fset = token.NewFileSet()

// goFiles parses every Go file of the module, once for all tests.
var goFiles = sync.OnceValues(func() ([]*goFile, error) {
	var files []*goFile
	err := walk(func(name string) error {
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(fset, name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, &goFile{
			path:      name,
			lines:     bytes.Count(text, []byte{'\n'}),
			generated: ast.IsGenerated(syntax),
			syntax:    syntax,
		})
		return nil
	})
	return files, err
})

// root is the module's root, seen from this package's directory.
const root = "../.."

// walk calls visit with every file that belongs to the repository, its path slash-separated from the root.
func walk(visit func(name string) error) error {
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if !d.IsDir() {
			return visit(name)
		}
		switch name {
		case ".git", "bin", ".lab", ".cache":
			return filepath.SkipDir
		}
		if d.Name() == "testdata" {
			return filepath.SkipDir
		}
		return nil
	})
}

// mustGoFiles is goFiles for a test.
func mustGoFiles(t *testing.T) []*goFile {
	t.Helper()
	files, err := goFiles()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 3 {
		t.Fatalf("only %d Go files found below %s: the walk is wrong", len(files), root)
	}
	return files
}

// packages groups the files by directory.
func packages(files []*goFile) map[string][]*goFile {
	byDir := make(map[string][]*goFile)
	for _, f := range files {
		byDir[f.dir()] = append(byDir[f.dir()], f)
	}
	return byDir
}
