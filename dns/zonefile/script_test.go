package zonefile

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
)

var rewrite = flag.Bool("rewrite", false, "write what was read into testdata instead of comparing")

// script is a file of testdata/read: cases of a master file and what it reads as.
//
//	=== name [origin=NAME|none] [class=CLASS] [ttl=SECONDS] [include=no]
//	text of the master file
//	-- path of a file that it includes --
//	text of that file
//	---
//	records and errors in the order in which Next returns them
type script struct {
	heading string // comments up to the first case
	cases   []*scriptCase
}

type scriptCase struct {
	title string // name and options
	text  string // the master file and the files that it includes, as in the script
	want  string
}

func parseScript(tb testing.TB, path string) *script {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	heading, rest, _ := strings.Cut("\n"+string(data), "\n=== ")
	s := &script{heading: strings.TrimPrefix(heading, "\n")}
	for one := range strings.SplitSeq(rest, "\n=== ") {
		title, body, _ := strings.Cut(one, "\n")
		text, want, found := strings.Cut("\n"+body, "\n---\n")
		if !found {
			text, want = strings.TrimSuffix("\n"+body, "\n---"), ""
		}
		if want != "" {
			want = strings.TrimRight(want, "\n") + "\n"
		}
		s.cases = append(s.cases, &scriptCase{title, strings.TrimPrefix(text+"\n", "\n"), want})
	}
	return s
}

func (s *script) String() string {
	var b strings.Builder
	b.WriteString(s.heading)
	for _, c := range s.cases {
		fmt.Fprintf(&b, "\n=== %s\n%s---\n%s", c.title, c.text, c.want)
	}
	return b.String()
}

// reader returns a Reader of the case's text, with its other files in dir.
func (c *scriptCase) reader(tb testing.TB, dir string) *Reader {
	tb.Helper()
	opts := Options{File: "db", Origin: dns.MustName("example."), IncludeDir: dir}
	for _, word := range strings.Fields(c.title)[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "origin":
			opts.Origin = dns.Name{}
			if value != "none" {
				opts.Origin = dns.MustName(value)
			}
		case "class":
			opts.Class, _ = dns.ParseClass(value)
		case "ttl":
			opts.DefaultTTL, _ = dns.ParseTTL(value)
		case "include":
			opts.IncludeDir = ""
		default:
			tb.Fatalf("unknown option %q of case %q", word, c.title)
		}
	}
	main, rest, _ := strings.Cut("\n"+c.text, "\n-- ")
	for rest != "" {
		name, text, _ := strings.Cut(rest, " --\n")
		text, rest, _ = strings.Cut("\n"+text, "\n-- ")
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.TrimPrefix(text, "\n")), 0o666); err != nil {
			tb.Fatal(err)
		}
	}
	return NewReader(strings.NewReader(strings.TrimPrefix(main, "\n")), opts)
}

// transcript reads to the end and returns records and errors line by line.
func transcript(z *Reader) string {
	var b strings.Builder
	for {
		rec, err := z.Next()
		switch {
		case err == io.EOF:
			return b.String()
		case err != nil:
			fmt.Fprintln(&b, err)
		default:
			fmt.Fprintln(&b, rec)
		}
	}
}

func TestRead(t *testing.T) {
	paths, err := filepath.Glob("testdata/read/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts in testdata/read (%v)", err)
	}
	for _, path := range paths {
		s := parseScript(t, path)
		for _, c := range s.cases {
			t.Run(filepath.Base(path)+"/"+strings.Fields(c.title)[0], func(t *testing.T) {
				dir := t.TempDir()
				got := strings.ReplaceAll(transcript(c.reader(t, dir)), dir+"/", "")
				got = strings.ReplaceAll(got, dir, "DIR")
				if *rewrite {
					c.want = got
				} else if d := cmp.Diff(strings.Split(c.want, "\n"), strings.Split(got, "\n")); d != "" {
					t.Errorf("text:\n%s\nrecords and errors (-want +got):\n%s", c.text, d)
				}
			})
		}
		if *rewrite {
			if err := os.WriteFile(path, []byte(s.String()), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestErrorTexts: what cannot be seen in a script, as it is not printable or
// lies in how the text ends.
func TestErrorTexts(t *testing.T) {
	long := strings.Repeat("x", 64)
	tests := []struct{ name, text, want string }{
		{"NUL", "a A 1.2.3.4\nb\x00 A 1.2.3.4\n", `db:2:2: control character 0x00, expected text`},
		{"NUL alone", "\x00\n", `db:1:1: control character 0x00, expected text`},
		{"escape character in quotes", "a TXT \"x\x1by\"\n", `db:1:9: control character 0x1B, expected text`},
		{"escaped control character", "a TXT x\\\x01y\n", `db:1:9: control character 0x01, expected text`},
		{"escaped control character in quotes", "a TXT \"x\\\x01y\"\n", `db:1:10: control character 0x01, expected text`},
		{"form feed", "\fa A 1.2.3.4\n", `db:1:1: control character 0x0C, expected text`},
		{"delete", "a TXT \x7f\n", `db:1:7: control character 0x7F, expected text`},
		{"lone CR", "a A 1.2.3.4\rb A 1.2.3.4\n", `db:1:12: carriage return alone, expected LF or CR LF at the end of a line`},
		{"lone CR at the end", "a A 1.2.3.4\r", `db:1:12: carriage return alone, expected LF or CR LF at the end of a line`},
		{"lone CR in quotes", "a TXT \"x\ry\"\n", `db:1:9: carriage return alone, expected LF or CR LF at the end of a line`},
		{"UTF-16, big end first", "\xfe\xff\x00a\x00\n", `db:1:1: text is in UTF-16, expected ASCII or UTF-8`},
		{"UTF-16, little end first", "\xff\xfea\x00\n\x00", `db:1:1: text is in UTF-16, expected ASCII or UTF-8`},
		{"column behind a byte order mark", "\xef\xbb\xbfa Q x\n", `db:1:3: unknown type "Q", expected a record type, or TYPE and a number`},
		{"no final newline", "a", `db:1:2: entry without a type, expected a record type`},
		{"no final newline in quotes", `a TXT "x`, `db:1:7: quoted string is not closed, expected a closing quote`},
		{"no final newline in a quoted value", `a SVCB 1 . alpn="h2`, `db:1:17: quoted value is not closed, expected a closing quote on this line`},
		{"no final newline in parentheses", "a TXT ( x", `db:1:7: parenthesis is not closed, expected a closing parenthesis`},
		{"backslash as the last octet", `a TXT x\`, `db:1:8: backslash at the end, expected a character behind it`},
		{"backslash before CR LF", "a TXT x\\\r\n", `db:1:8: backslash at the end of the line, expected a character behind it`},
		{"escape as the last octet in quotes", `a TXT "x\`, `db:1:7: quoted string is not closed, expected a closing quote`},
		{"CR LF counts as one line", "a A 1.2.3.4\r\n\r\nb Q\r\n", `db:3:3: unknown type "Q", expected a record type, or TYPE and a number`},
		{"long owner", long + " A 1.2.3.4", `db:1:1: owner "` + long[:40] + `"...: label is longer than 63 octets, expected labels of at most 63 octets`},
		{"name beyond 255 octets", strings.Repeat("x.", 127) + "x A 1.2.3.4", `db:1:1: owner "` + strings.Repeat("x.", 20) + `"...: name is longer than 255 octets, expected a name of at most 255 octets with its origin`},
		{"octets above 127 in a type", "a \xc3\xa4 1.2.3.4", `db:1:3: unknown type "ä", expected a record type, or TYPE and a number`},
		{"endless line", "a TXT " + strings.Repeat("x", maxEntry), `db:1:1: entry is too long, expected at most 1048576 octets`},
		{"endless comment", ";" + strings.Repeat("x", maxEntry), `db:1:1: entry is too long, expected at most 1048576 octets`},
		{"endless parentheses", "a TXT (" + strings.Repeat(" x\n", maxEntry/3+1), `db:1:7: parenthesis is not closed, expected a closing parenthesis`},
		{"endless quotes", "a TXT \"" + strings.Repeat("\nx", maxEntry/2+1), `db:1:7: quoted string is not closed, expected a closing quote`},
		{"too many words", "a TXT (" + strings.Repeat("x ", maxTokens) + ")", `db:1:262276: too many words, expected at most 131136 in one entry`},
		{"64 KiB and one octet of rdata", "a TYPE65280 \\# 65536 " + strings.Repeat("00", 65536), `db:1:16: bad number "65536", expected the length of the rdata in octets`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			z := NewReader(strings.NewReader(tt.text), Options{File: "db", Origin: dns.Root, DefaultTTL: 60})
			_, err := z.ReadAll()
			if err == nil {
				t.Fatalf("no error, expected %q", tt.want)
			}
			if got, _, _ := strings.Cut(err.Error(), "\n"); got != tt.want {
				t.Errorf("error\n  %s\nexpected\n  %s", got, tt.want)
			}
		})
	}
}

// TestReadAnyChunks: what is read does not depend on how the text arrives.
func TestReadAnyChunks(t *testing.T) {
	for _, path := range []string{"testdata/read/records.txt", "testdata/read/errors.txt"} {
		for _, c := range parseScript(t, path).cases {
			dir := t.TempDir()
			want := transcript(c.reader(t, dir))
			for _, chunk := range []int{1, 7} {
				z := c.reader(t, dir)
				z.src.in = &chunks{z.src.in, chunk}
				if d := cmp.Diff(want, transcript(z)); d != "" {
					t.Errorf("%s in chunks of %d (-whole +chunks):\n%s", c.title, chunk, d)
				}
			}
		}
	}
}

// chunks is a reader that gives at most n octets at a time.
type chunks struct {
	r io.Reader
	n int
}

func (c *chunks) Read(p []byte) (int, error) { return c.r.Read(p[:min(c.n, len(p))]) }

// TestReadAcrossBuffers moves an entry over the border of the buffer octet by octet.
func TestReadAcrossBuffers(t *testing.T) {
	const entry = "www 60 IN TXT ( \"a b\" ; c\r\n \"d\\\"\" ) \r\n"
	for shift := range 2 * (len(entry) + 2) {
		border := usualBuffer
		if shift%2 == 0 {
			border = firstBuffer
		}
		comment := ";" + strings.Repeat("-", border-shift/2-2) + "\n"
		z := NewReader(strings.NewReader(comment+entry+entry+"q Q\n"), Options{File: "db", Origin: dns.Root})
		const want = "www.\t60\tIN\tTXT\t\"a b\" \"d\\\"\"\n"
		if got := transcript(z); got != want+want+"db:6:3: unknown type \"Q\", expected a record type, or TYPE and a number\n" {
			t.Fatalf("entry %d octets before the end of a buffer of %d:\n%s", shift/2, border, got)
		}
	}
}

// TestReadingFails: an entry that an error of reading cut off is not a record.
func TestReadingFails(t *testing.T) {
	in := io.MultiReader(strings.NewReader("a A 1.2.3.4\nb A 1.2.3.4"), &failing{})
	got := transcript(NewReader(in, Options{File: "db", Origin: dns.Root, DefaultTTL: 60}))
	const want = "a.\t60\tIN\tA\t1.2.3.4\ndb:2:12: reading: the disk is on fire\n"
	if got != want {
		t.Errorf("read\n%s\nexpected\n%s", got, want)
	}
	z := NewReader(&idle{}, Options{File: "db"})
	if got := transcript(z); got != "db:1:1: reading: multiple Read calls return no data or error\n" {
		t.Errorf("a reader that never gives anything: %s", got)
	}
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, fmt.Errorf("the disk is on fire") }

type idle struct{}

func (*idle) Read([]byte) (int, error) { return 0, nil }

func TestTooManyErrors(t *testing.T) {
	text := strings.Repeat("a Q\n", 20)
	z := NewReader(strings.NewReader(text), Options{File: "db", Origin: dns.Root, MaxErrors: 3})
	_, err := z.ReadAll()
	errs, _ := err.(Errors)
	if len(errs) != 4 {
		t.Fatalf("%d errors, expected 3 and one that says that there are more:\n%v", len(errs), err)
	}
	const want = "db:4:3: more than 3 errors, expected fewer; the rest was not read"
	if got := errs[3].Error(); got != want {
		t.Errorf("the last error is\n  %s\nexpected\n  %s", got, want)
	}
}

func TestPos(t *testing.T) {
	text := "a A 1.2.3.4\n\n  ( ; c\n  A 1.2.3.4 )\nb A 1.2.3.4"
	z := NewReader(bytes.NewReader([]byte(text)), Options{File: "db", Origin: dns.Root, DefaultTTL: 60})
	var got []string
	for {
		if _, err := z.Next(); err != nil {
			break
		}
		file, line, col := z.Pos()
		got = append(got, fmt.Sprintf("%s:%d:%d", file, line, col))
	}
	if d := cmp.Diff([]string{"db:1:1", "db:4:3", "db:5:1"}, got); d != "" {
		t.Errorf("places of the records (-want +got):\n%s", d)
	}
}
