package zonefile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
)

// printed returns what Write and WriteLines make of records.
func printed(tb testing.TB, origin dns.Name, records []dns.Record) (readable, plain string) {
	tb.Helper()
	var a, b bytes.Buffer
	if err := errors.Join(Write(&a, origin, slices.Values(records)), WriteLines(&b, slices.Values(records))); err != nil {
		tb.Fatal(err)
	}
	return a.String(), b.String()
}

// TestWrite compares what Write prints, to the letter.
func TestWrite(t *testing.T) {
	paths, err := filepath.Glob("testdata/write/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts in testdata/write (%v)", err)
	}
	for _, path := range paths {
		s := parseScript(t, path)
		for _, c := range s.cases {
			z := c.reader(t, t.TempDir())
			origin := z.src.origin
			records, err := z.ReadAll()
			if err != nil {
				t.Fatalf("%s: %v", c.title, err)
			}
			got, _ := printed(t, origin, records)
			if *rewrite {
				c.want = got
			} else if d := cmp.Diff(strings.Split(c.want, "\n"), strings.Split(got, "\n")); d != "" {
				t.Errorf("%s (-want +got):\n%s", c.title, d)
			}
		}
		if *rewrite {
			if err := os.WriteFile(path, []byte(s.String()), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// checkReadsBack fails unless both forms of records read back to them.
func checkReadsBack(tb testing.TB, origin dns.Name, class dns.Class, records []dns.Record) {
	tb.Helper()
	readable, plain := printed(tb, origin, records)
	for _, text := range []string{readable, plain} {
		again, err := NewReader(strings.NewReader(text), Options{Class: class}).ReadAll()
		if err != nil {
			tb.Errorf("what was printed reads back with %v\n%s", err, text)
		}
		if !slices.EqualFunc(records, again, sameRecord) {
			tb.Errorf("what was printed reads back as other records (-printed +read):\n%s\ntext:\n%s", cmp.Diff(lines(records), lines(again)), text)
		}
	}
}

// sameRecord is equality to the last bit, case included.
func sameRecord(a, b dns.Record) bool {
	return a.Name == b.Name && a.Type == b.Type && a.Class == b.Class && a.TTL == b.TTL && bytes.Equal(a.Data, b.Data)
}

func TestRoundTripOfScripts(t *testing.T) {
	for _, path := range []string{"testdata/read/records.txt", "testdata/read/errors.txt", "testdata/write/zones.txt"} {
		for _, c := range parseScript(t, path).cases {
			z := c.reader(t, t.TempDir())
			origin := z.src.origin
			records, _ := z.ReadAll()
			checkReadsBack(t, origin, z.opts.Class, records)
			// Another origin makes other names relative.
			checkReadsBack(t, dns.MustName("Example."), z.opts.Class, records)
			checkReadsBack(t, dns.Name{}, z.opts.Class, records)
		}
	}
}

func TestRoundTripOfZones(t *testing.T) {
	for _, name := range []string{"root-2020-signed.zone", "thedns.guru.zone", "palettepalapp.com.zone"} {
		t.Run(name, func(t *testing.T) {
			path := sharedData(t, name)
			origin := dns.Root
			if base := strings.TrimSuffix(name, ".zone"); !strings.HasPrefix(name, "root") {
				origin = dns.MustName(base)
			}
			z, err := Open(path, Options{Origin: origin})
			if err != nil {
				t.Fatal(err)
			}
			records, err := z.ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			checkReadsBack(t, origin, dns.ClassIN, records)

			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, err := oracleRecords(string(text), origin.String(), 0)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(want, records, sameRecord) {
				t.Errorf("records (-oracle +got):\n%s", cmp.Diff(lines(want), lines(records)))
			}
			readable, _ := printed(t, origin, records)
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "db"), readable)
			bind, complaints := bindRecords(t, dir, "db", origin.String())
			if theirs, ours := zoneLines(bind), zoneLines(records); !slices.Equal(theirs, ours) {
				t.Errorf("BIND reads what Write printed as other records (-BIND +ours):\n%s\nBIND says:\n%s", cmp.Diff(theirs, ours), complaints)
			}
		})
	}
}

func TestWriteRefusesNoOwner(t *testing.T) {
	var out bytes.Buffer
	err := Write(&out, dns.Root, slices.Values([]dns.Record{{Type: dns.TypeA}}))
	if err == nil || err.Error() != "writing zone: A record without an owner" {
		t.Errorf("a record without an owner: error %v", err)
	}
}

func TestWriteReportsErrors(t *testing.T) {
	full := errors.New("the disk is full")
	rec := dns.Record{Name: dns.Root, Type: dns.TypeTXT, Class: dns.ClassIN, Data: dns.RData("\x01x")}
	for _, n := range []int{1, 10000} { // at the end, and in between
		err := Write(writerFunc(func([]byte) (int, error) { return 0, full }), dns.Root, slices.Values(slices.Repeat([]dns.Record{rec}, n)))
		if !errors.Is(err, full) {
			t.Errorf("writing %d records to a full disk: error %v", n, err)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
