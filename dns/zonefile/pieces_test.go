package zonefile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
)

// gatherer is a Taker that writes down the records.
type gatherer struct {
	lines []string
	taken int // records that came in pieces
}

type gathered struct {
	lines []string
	done  bool
}

func entryLine(e *Entry) string {
	return fmt.Sprintf("%x %d %v %v %x", e.Owner, e.TTL, e.Class, e.Type, e.Data)
}

func (g *gatherer) Add(e *Entry) error {
	g.lines = append(g.lines, entryLine(e))
	return nil
}

func (g *gatherer) Begin(int) Piece { return &gathered{} }

func (g *gatherer) Take(p Piece) error {
	piece := p.(*gathered)
	if !piece.done {
		return fmt.Errorf("a piece is taken before it is done")
	}
	g.lines = append(g.lines, piece.lines...)
	g.taken += len(piece.lines)
	return nil
}

func (p *gathered) Add(e *Entry) error {
	p.lines = append(p.lines, entryLine(e))
	return nil
}

func (p *gathered) Done() { p.done = true }

// inOrder is what ReadInto must do, by NextEntry.
func inOrder(z *Reader) (lines []string, text string) {
	var errs Errors
	for {
		e, err := z.NextEntry()
		if e != nil {
			lines = append(lines, entryLine(e))
			continue
		}
		one, ok := err.(*Error)
		if !ok {
			break
		}
		errs = append(errs, one)
	}
	if len(errs) == 0 {
		return lines, ""
	}
	return lines, errs.Error()
}

// checkPieces reads text in order and in pieces and wants the same of both. It
// returns how many records came in pieces.
func checkPieces(t *testing.T, text []byte, opts Options, p Parallel) int {
	t.Helper()
	want, wantErr := inOrder(NewReader(bytes.NewReader(text), opts))
	var g gatherer
	err := NewReader(bytes.NewReader(text), opts).ReadInto(&g, p)
	if d := cmp.Diff(want, g.lines); d != "" {
		t.Errorf("%+v: records (-in order +in pieces):\n%s", p, d)
	}
	if d := cmp.Diff(wantErr, errorText(err)); d != "" {
		t.Errorf("%+v: errors (-in order +in pieces):\n%s", p, d)
	}
	return g.taken
}

// TestPieces reads all the texts that the reader's own tests have, cut wherever
// it can be.
func TestPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, path := range []string{"testdata/read/records.txt", "testdata/read/errors.txt"} {
		for _, c := range parseScript(t, path).cases {
			text, _, _ := strings.Cut(c.text, "-- ")
			opts := Options{File: "db", Origin: dns.MustName("example.")}
			for range 20 {
				p := Parallel{Workers: 1 + r.IntN(3), First: 1 + r.IntN(40), Size: 1 + r.IntN(60), Ahead: 1 + r.IntN(60)}
				if checkPieces(t, []byte(text), opts, p); t.Failed() {
					t.Fatalf("text: %q", text)
				}
			}
		}
	}
}

// piecesLines are what random texts are made of.
var piecesLines = []string{
	"a 60 A 192.0.2.1", "b A 192.0.2.2", " A 192.0.2.3", "\tMX 10 mail", "c IN NS ns1", "d 1h TXT \"x ; (\"", "e TXT \"two\nlines\"",
	"f SOA a b ( 1 2\n3 4\n5 )", "g TXT (\n\"col\"\nword )", "h SOA a b 1 2 3 4 300", "; remark", "", " ", "$TTL 300", "$TTL 60",
	"$ORIGIN sub.example.", "$ORIGIN example.", "$ORIGIN deeper", "$GENERATE 1-3 g$ A 192.0.2.$", "$INCLUDE part.zone", "$INCLUDE missing.zone",
	"i A", "j A 192.0.2.400", "k TXT \"open", "l TXT ( open", "m NOTYPE x", "n..o A 192.0.2.1", "@ NS ns", "p 5 CNAME q", "\\q A 192.0.2.9", "\"r\" A 192.0.2.9",
	"s TXT \\", ") A 192.0.2.1", "t A 192.0.2.1\r",
}

// TestPiecesOfRandomTexts: directives, mistakes and what spans lines, in any mix.
func TestPiecesOfRandomTexts(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "part.zone"), []byte("$ORIGIN other.\n$TTL 77\nin A 192.0.2.7\n A 192.0.2.8\nbad A\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	taken := 0
	for range 1200 {
		var b bytes.Buffer
		kinds := 1 + r.IntN(len(piecesLines))
		for range r.IntN(60) {
			line := piecesLines[r.IntN(kinds)]
			if r.IntN(3) == 0 {
				line = piecesLines[r.IntN(12)]
			}
			b.WriteString(line)
			b.WriteByte('\n')
		}
		text := b.Bytes()
		if r.IntN(4) == 0 {
			text = bytes.TrimRight(text, "\n")
		}
		opts := Options{File: filepath.Join(dir, "db"), Origin: dns.MustName("example."), IncludeDir: dir, MaxErrors: 1 + r.IntN(30), MaxIncludes: 4, MaxGenerate: 7}
		if r.IntN(2) == 0 {
			opts.DefaultTTL = 3600
		}
		p := Parallel{Workers: 2 + r.IntN(2), First: 1 + r.IntN(30), Size: 20 + r.IntN(200), Ahead: 1 + r.IntN(200)}
		if taken += checkPieces(t, text, opts, p); t.Failed() {
			t.Fatalf("text: %q", text)
		}
	}
	if taken < 400 {
		t.Errorf("%d records came in pieces, expected most of those in texts without mistakes", taken)
	}
}

// TestPiecesOfFile reads a file of the usual kind: all but its beginning comes in pieces.
func TestPiecesOfFile(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("$ORIGIN example.\n$TTL 300\n@ SOA a b 1 2 3 4 5\n")
	const names = 20_000
	for i := range names {
		fmt.Fprintf(&b, "name-%d NS ns1.host-%d\n\tNS ns2.host-%[2]d\n", i, i/10)
	}
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	z, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var g gatherer
	done := int64(0)
	p := Parallel{Workers: 2, First: 1000, Size: 10_000, Progress: func(read int64) {
		if read < done || read > int64(b.Len()) {
			t.Errorf("progress from %d to %d of %d octets", done, read, b.Len())
		}
		done = read
	}}
	if err := z.ReadInto(&g, p); err != nil {
		t.Fatal(err)
	}
	if len(g.lines) != 2*names+1 || g.taken < 19*names/10 {
		t.Errorf("%d records, %d of them in pieces; expected %d, most of them in pieces", len(g.lines), g.taken, 2*names+1)
	}
	if done != int64(b.Len()) {
		t.Errorf("progress ended at %d of %d octets", done, b.Len())
	}
}

// FuzzPieces: reading in pieces is reading in order.
func FuzzPieces(f *testing.F) {
	for _, l := range piecesLines {
		f.Add([]byte("a 60 A 192.0.2.1\n"+l+"\nz 60 A 192.0.2.1\n"), uint8(5), uint8(30))
	}
	f.Fuzz(func(t *testing.T, text []byte, first, size uint8) {
		opts := Options{File: "db", Origin: dns.MustName("example."), MaxGenerate: 100, DefaultTTL: uint32(first & 1)}
		checkPieces(t, text, opts, Parallel{Workers: 2, First: 1 + int(first), Size: 1 + int(size), Ahead: 64})
	})
}
