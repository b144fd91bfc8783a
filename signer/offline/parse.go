package offline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
)

// Bounds of a file: ten years of weeks, with some keys each.
const (
	maxFile    = 16 << 20
	maxBundles = 10_000
	maxRecords = 64 // of a bundle
)

// Error is a mistake in a file.
type Error struct {
	File string
	Line int
	Text string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text) }

// Read reads a file.
func Read(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading keys of an offline KSK: %w", err)
	}
	defer f.Close()
	return Parse(path, f)
}

// Parse reads the text of a request or a response; errors name it name. It does not
// verify signatures.
func Parse(name string, r io.Reader) (*File, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading keys of an offline KSK: %w", err)
	}
	if len(text) > maxFile {
		return nil, &Error{name, 1, fmt.Sprintf("is larger than %d octets", maxFile)}
	}
	p := parser{file: &File{name: name}}
	line := 0
	for l := range bytes.Lines(text) {
		line++
		if err := p.line(line, l); err != nil {
			return nil, err
		}
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	if len(p.file.Bundles) == 0 {
		return nil, &Error{name, 1, "';; KeySigningRequest 1.0' or ';; SignedKeyResponse 1.0' and a time was expected: is this a KSR or an SKR?"}
	}
	return p.file, nil
}

// parser collects the lines of one bundle.
type parser struct {
	file  *File
	from  time.Time
	begin int // the line of the header; 0: there was none yet
	text  []byte
}

func (p *parser) fail(line int, format string, args ...any) error {
	return &Error{p.file.name, line, fmt.Sprintf(format, args...)}
}

// line takes a header, which begins a bundle, or a line of a bundle.
func (p *parser) line(n int, l []byte) error {
	comment, isComment := bytes.CutPrefix(l, []byte(";;"))
	words := strings.Fields(string(comment))
	if !isComment || len(words) < 3 || words[0] != string(Request) && words[0] != string(Response) {
		if p.begin == 0 && !isComment && len(bytes.TrimSpace(l)) > 0 {
			return p.fail(n, "';; %s 1.0' or ';; %s 1.0' and a time was expected before records", Request, Response)
		}
		p.text = append(p.text, l...)
		return nil
	}
	if kind := Kind(words[0]); p.file.Kind == "" {
		p.file.Kind = kind
	} else if p.file.Kind != kind {
		return p.fail(n, "%s in a %s", kind, p.file.Kind)
	}
	if !strings.HasPrefix(words[1], "1.") {
		return p.fail(n, "version %q: 1.0 was expected", clip(words[1]))
	}
	if err := p.finish(); err != nil {
		return err
	}
	if words[2] == "generated" {
		p.file.Made, p.begin = strings.TrimPrefix(strings.Join(words[3:], " "), "at "), 0
		return nil
	}
	return p.start(n, words[2])
}

func (p *parser) start(n int, when string) (err error) {
	if p.from, err = parseTime(when); err != nil {
		return p.fail(n, "%q: a time was expected, as seconds since 1970 or as 20260131120000", clip(when))
	}
	// BIND makes two of the same time where a period ends; the second counts.
	if last := len(p.file.Bundles); last > 0 && p.from.Before(p.file.Bundles[last-1].From) {
		return p.fail(n, "%s comes after %s: bundles were expected in the order of time", stamp(p.from), stamp(p.file.Bundles[last-1].From))
	}
	if len(p.file.Bundles) == maxBundles {
		return p.fail(n, "there are more than %d bundles", maxBundles)
	}
	p.begin = n
	return nil
}

// parseTime reads times as Knot (seconds) and BIND (a date) write them.
func parseTime(s string) (time.Time, error) {
	if len(s) == len("20060102150405") {
		return time.Parse("20060102150405", s)
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1<<35 {
		return time.Time{}, errors.New("no time")
	}
	return time.Unix(n, 0).UTC(), nil
}

func clip(s string) string { return s[:min(len(s), 40)] }

// finish reads the records of the bundle that ends here.
func (p *parser) finish() error {
	text := p.text
	p.text = nil
	if p.begin == 0 {
		return nil
	}
	b := Bundle{From: p.from}
	z := zonefile.NewReader(bytes.NewReader(text), zonefile.Options{File: p.file.name, MaxGenerate: 1, MaxErrors: 1})
	defer z.Close()
	for {
		r, err := z.Next()
		if err == io.EOF {
			break
		}
		var bad *zonefile.Error
		if errors.As(err, &bad) {
			if bad.Want != "" {
				return p.fail(p.begin+bad.Line, "%s; %s was expected", bad.What, bad.Want)
			}
			return p.fail(p.begin+bad.Line, "%s", bad.What)
		}
		if err != nil {
			return p.fail(p.begin, "%v", err)
		}
		_, line, _ := z.Pos()
		if err := p.add(&b, p.begin+line, r); err != nil {
			return err
		}
	}
	if len(b.Records) == 0 {
		return p.fail(p.begin, "the bundle of %s has no records", stamp(b.From))
	}
	p.file.Bundles = append(p.file.Bundles, b)
	return nil
}

func (p *parser) add(b *Bundle, line int, r dns.Record) error {
	r.Data = append(dns.RData(nil), r.Data...)
	if p.file.Zone.IsZero() {
		p.file.Zone = r.Name.Fold()
	}
	if !r.Name.Equal(p.file.Zone) || r.Class != dns.ClassIN {
		return p.fail(line, "a record of %s; %s was expected as before", r.Name, p.file.Zone)
	}
	r.Name = p.file.Zone
	if len(b.Records)+len(b.Sigs) == maxRecords {
		return p.fail(line, "the bundle has more than %d records", maxRecords)
	}
	switch r.Type {
	case dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY:
		b.Records = append(b.Records, r)
	case dns.TypeRRSIG:
		if p.file.Kind == Request {
			return p.fail(line, "a signature in a request")
		}
		b.Sigs = append(b.Sigs, r)
	default:
		return p.fail(line, "%s: DNSKEY, CDS, CDNSKEY or RRSIG was expected", r.Type)
	}
	return nil
}

// Style is whose form is written.
type Style uint8

// The styles.
const (
	Knot Style = iota
	BIND
)

// Write writes the text; made is when it is made, and by names the program.
func (f *File) Write(w io.Writer, style Style, made time.Time, by string) error {
	var b bytes.Buffer
	for _, bundle := range f.Bundles {
		if style == BIND {
			fmt.Fprintf(&b, ";; %s 1.0 %s (%s)\n", f.Kind, bundle.From.UTC().Format("20060102150405"), bundle.From.UTC().Format("Mon Jan _2 15:04:05 2006"))
		} else {
			fmt.Fprintf(&b, ";; %s 1.0 %d (%s) =========\n", f.Kind, bundle.From.Unix(), stamp(bundle.From))
		}
		for _, set := range [][]dns.Record{bundle.Records, bundle.Sigs} {
			for _, r := range set {
				b.Write(r.AppendText(nil))
				b.WriteByte('\n')
			}
		}
	}
	fmt.Fprintf(&b, ";; %s 1.0 generated at %s by %s\n", f.Kind, stamp(made), by)
	_, err := w.Write(b.Bytes())
	return err
}
