package zonefile

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
)

func addSeeds(f *testing.F) {
	f.Helper()
	for _, path := range []string{"testdata/read/records.txt", "testdata/read/errors.txt"} {
		for _, c := range parseScript(f, path).cases {
			main, _, _ := strings.Cut(c.text, "-- ")
			f.Add([]byte(main))
		}
	}
	for _, text := range []string{
		"\xef\xbb\xbfa 60 A 192.0.2.1\r\n", "a 60 TXT \"x\r\ny\"", "\x00", "a 60 TXT \\", "(", "\"", ")", "a(\n\"\n;", "@ 60 CLASS1 TYPE1 \\# 4 01020304",
		"$GENERATE 0-65535 a${-1,200,n} A 192.0.2.$",
	} {
		f.Add([]byte(text))
	}
}

// FuzzReader: whatever the text, reading it ends without a panic within its
// bounds, however it arrives, and what was read can be printed and read back.
func FuzzReader(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		opts := Options{File: "db", Origin: dns.MustName("example."), MaxGenerate: 100}
		records, err := NewReader(bytes.NewReader(text), opts).ReadAll()
		errs, _ := err.(Errors)
		if len(errs) > 1001 {
			t.Fatalf("%d errors", len(errs))
		}
		total := bytes.Count(text, []byte{'\n'}) + 1
		for _, e := range errs {
			if e.File != "db" || e.Line < 1 || e.Line > total || e.Col < 1 || e.Col > len(text)+1 || e.What == "" {
				t.Errorf("error in %d lines: %v", total, e)
			}
		}
		if most := total + len(text)/10*100; len(records) > most { // $GENERATE apart, one a line
			t.Errorf("%d records in %d octets", len(records), len(text))
		}
		slow, slowErr := NewReader(&chunks{bytes.NewReader(text), 3}, opts).ReadAll()
		if d := cmp.Diff(lines(records), lines(slow)); d != "" {
			t.Errorf("records (-whole +chunks):\n%s", d)
		}
		if d := cmp.Diff(errorText(err), errorText(slowErr)); d != "" {
			t.Errorf("errors (-whole +chunks):\n%s", d)
		}
		checkReadsBack(t, opts.Origin, dns.ClassIN, records)
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzOracle: what we and another implementation both read without an error,
// we read as the same records.
func FuzzOracle(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 2000 || isExplained(text) {
			return
		}
		text = append([]byte("$TTL 60\n"), text...)
		z := NewReader(bytes.NewReader(text), Options{Origin: dns.MustName("example.")})
		got, err := z.ReadAll()
		if err != nil {
			return
		}
		want, err := oracleRecords(string(text), "example.", 0)
		if err != nil {
			return
		}
		if d := cmp.Diff(lines(want), lines(got)); d != "" {
			t.Errorf("text %q\nrecords (-oracle +got):\n%s", text, d)
		}
	})
}

// explained are the texts that the oracle reads otherwise, and why.
var explained = []struct {
	why  string
	text *regexp.Regexp
}{
	{"does not apply $TTL to $GENERATE, has no nibbles; TestBIND has it", regexp.MustCompile(`(?i)\$GENERATE`)},
	{"joins words that only a parenthesis, or a line end within them, parts",
		regexp.MustCompile(`\S[()]|[()]\S|\((?s:.*)\S\r?\n\S`)},
	{"gives an ISDN record without a subaddress an empty one (RFC 1183 §3.2: it may be left out)",
		regexp.MustCompile(`(?i)\b(ISDN|TYPE0*20)\b`)},
	{"takes a byte order mark for a part of the owner", regexp.MustCompile("^\xEF\xBB\xBF")},
}

func isExplained(text []byte) bool {
	for _, e := range explained {
		if e.text.Match(text) {
			return true
		}
	}
	return false
}

// FuzzLexer: scanning a text at once, and as it grows octet by octet, are the same.
func FuzzLexer(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		var whole, part lexer
		n := whole.scan(text, true)
		if n < 0 || n > len(text) || n == 0 && len(text) > 0 && whole.fault == nil {
			t.Fatalf("consumed %d of %d octets", n, len(text))
		}
		for end := range text {
			if m := part.scan(text[:end], false); m >= 0 {
				if m != n || len(part.toks) != len(whole.toks) || part.lines != whole.lines || part.skip != whole.skip {
					t.Fatalf("with %d octets the entry has %d, with all %d", end, m, n)
				}
				return
			}
		}
	})
}
