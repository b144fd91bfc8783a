package zonefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"onoma/dns"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// firstError reads the file and returns its first mistake, "" if it has none.
func firstError(t *testing.T, path string, opts Options) string {
	t.Helper()
	opts.DefaultTTL = 60
	z, err := Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = z.ReadAll(); err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return strings.ReplaceAll(first, filepath.Dir(path), "DIR")
	}
	return ""
}

// TestIncludeStaysInside: neither a path nor a symbolic link gives away a file
// from outside of the directory.
func TestIncludeStaysInside(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	base := filepath.Join(dir, "zones")
	writeFile(t, secret, "secret. 60 TXT x\n")
	writeFile(t, filepath.Join(base, "inside"), "inside. 60 TXT x\n")
	links := map[string]string{"absolute": secret, "relative": "../secret", "up": "..", "good": "inside"}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(base, name)); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
	}
	tests := []struct{ include, want string }{
		{"absolute", `DIR/db:1:10: including "absolute": path escapes from parent, expected a file in the directory DIR`},
		{"relative", `DIR/db:1:10: including "relative": path escapes from parent, expected a file in the directory DIR`},
		{"up/secret", `DIR/db:1:10: including "up/secret": path escapes from parent, expected a file in the directory DIR`},
		{"../secret", `DIR/db:1:10: including "../secret": path leads out of the directory, expected a file in the directory DIR`},
		{"good", ""},
		{"inside", ""},
		{"./nowhere/../inside", ""},
		{base + "/inside", ""},
	}
	for _, tt := range tests {
		db := filepath.Join(base, "db")
		writeFile(t, db, "$INCLUDE "+tt.include+"\n")
		if got := firstError(t, db, Options{}); got != tt.want {
			t.Errorf("$INCLUDE %s: error\n  %s\nexpected\n  %s", tt.include, got, tt.want)
		}
	}
}

// TestIncludeFindsCycleOfFirstFile: by what the file is, not by what it is called.
func TestIncludeFindsCycleOfFirstFile(t *testing.T) {
	db := filepath.Join(t.TempDir(), "db")
	writeFile(t, db, "\n$INCLUDE other\n")
	if err := os.Link(db, filepath.Join(filepath.Dir(db), "other")); err != nil {
		t.Skipf("no hard links here: %v", err)
	}
	const want = `DIR/db:2:10: file includes itself: DIR/db -> DIR/other, expected a file that is not being read`
	if got := firstError(t, db, Options{}); got != want {
		t.Errorf("error\n  %s\nexpected\n  %s", got, want)
	}
}

func TestIncludeIsBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range 9 { // each includes the next one twice
		next := fmt.Sprintf("$INCLUDE f%d\n", i+1)
		writeFile(t, filepath.Join(dir, fmt.Sprintf("f%d", i)), next+next)
	}
	writeFile(t, filepath.Join(dir, "f9"), "a. TXT x\n")
	db := filepath.Join(dir, "f0")
	tests := []struct {
		opts Options
		want string
	}{
		{Options{}, ""},
		{Options{MaxIncludeDepth: 9}, ""},
		{Options{MaxIncludeDepth: 8}, `DIR/f8:1:10: $INCLUDE within too many others, expected at most 8`},
		{Options{MaxIncludes: 1022}, ""},
		{Options{MaxIncludes: 1021}, `DIR/f8:2:10: too many $INCLUDE, expected at most 1021 in all`},
	}
	for _, tt := range tests {
		if got := firstError(t, db, tt.opts); got != tt.want {
			t.Errorf("%+v: error\n  %s\nexpected\n  %s", tt.opts, got, tt.want)
		}
	}
}

func TestGenerateIsBoundedInAll(t *testing.T) {
	text := "$TTL 60\n$GENERATE 1-6 a$ A 192.0.2.1\n$GENERATE 1-5 b$ A 192.0.2.1\n"
	z := NewReader(strings.NewReader(text), Options{File: "db", Origin: dns.Root, MaxGenerate: 10})
	records, err := z.ReadAll()
	const want = "db:3:11: $GENERATE of 5 records, expected at most 4 more"
	if len(records) != 6 || err == nil || err.Error() != want {
		t.Errorf("%d records and error\n  %v\nexpected 6 and\n  %s", len(records), err, want)
	}
}

func TestErrorsCanBeTold(t *testing.T) {
	text := "a FOO\n$INCLUDE nowhere\n"
	z := NewReader(strings.NewReader(text), Options{Origin: dns.Root, IncludeDir: t.TempDir()})
	_, err := z.ReadAll()
	var one *Error
	if !errors.As(err, &one) || one.Line != 1 || one.What != `unknown type "FOO"` {
		t.Errorf("first error %+v, expected that of line 1", one)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v: the cause of the second error is lost", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "nowhere"), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening a file that is not there: %v", err)
	}
}

// TestFiles: who keeps something made from a zone must know all of its files.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	db := filepath.Join(dir, "db")
	writeFile(t, db, "$INCLUDE one\n$INCLUDE one\na. 60 TXT x\n")
	writeFile(t, filepath.Join(dir, "one"), "$INCLUDE two\n")
	writeFile(t, filepath.Join(dir, "two"), "b. 60 TXT some text\n")
	z, err := Open(db, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.ReadAll(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range z.Files() {
		got = append(got, fmt.Sprint(filepath.Base(f.Name), " ", f.Info.Size()))
	}
	want := "db 38, one 13, two 20, one 13, two 20"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("read %s, expected %s", text, want)
	}
}
