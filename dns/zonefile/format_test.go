package zonefile

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onoma/dns"
)

// formatter prints records as no sane person would, but as RFC 1035 §5.1 allows.
type formatter struct {
	*rand.Rand
	b      strings.Builder
	origin dns.Name
	last   dns.Name // the owner before
	ttl    uint32   // of $TTL
	depth  int
}

func (f *formatter) oneOf(list ...string) string { return list[f.IntN(len(list))] }

// blank ends a word.
func (f *formatter) blank() {
	switch f.IntN(8) {
	case 0:
		if f.depth == 0 {
			f.b.WriteString(f.oneOf(" (", "(", "\t(\t"))
			f.depth = 1
			return
		}
		f.b.WriteString(f.oneOf(" )", ")", " ) "))
		f.depth = 0
	case 1:
		if f.depth > 0 {
			f.b.WriteString(f.oneOf("\n", "\r\n", " ; a comment (\n", ";\"\r\n", "\n\n \t\n", "\n;\x00\n"))
			return
		}
		f.b.WriteString("\t \t")
	default:
		f.b.WriteString(f.oneOf(" ", "\t", "   "))
	}
}

// end ends an entry.
func (f *formatter) end() {
	if f.depth > 0 {
		f.b.WriteString(f.oneOf(")", " )", "\n)"))
		f.depth = 0
	}
	f.b.WriteString(f.oneOf("\n", "\r\n", " \n", "; a \"comment\n", "\n\n", "\n ; )\n", "\n \t\r\n"))
}

func (f *formatter) directive() {
	switch f.IntN(12) {
	case 0:
		f.ttl = f.Uint32N(dns.MaxTTL)
		fmt.Fprintf(&f.b, "%s %d", f.oneOf("$TTL", "$ttl"), f.ttl)
	case 1:
		f.origin = dns.MustName(f.oneOf(".", "example.", "sub.example.", "other."))
		fmt.Fprintf(&f.b, "$ORIGIN\t%v", f.origin)
	default:
		return
	}
	f.end()
}

func (f *formatter) name(n dns.Name) string {
	if f.IntN(2) == 0 && n.IsSubdomainOf(f.origin) && !f.origin.IsRoot() {
		wire := n.Wire()
		if cut := len(wire) - f.origin.Len(); wire[cut:] == f.origin.Wire() {
			if cut == 0 {
				return "@"
			}
			relative, err := dns.NameFromWire([]byte(wire[:cut] + "\x00"))
			if err != nil {
				panic(err)
			}
			return strings.TrimSuffix(relative.String(), ".")
		}
	}
	return n.String()
}

func (f *formatter) seconds(ttl uint32) string {
	if f.IntN(2) == 0 {
		return fmt.Sprint(ttl)
	}
	return fmt.Sprintf("%d%s%dH0m%ds", ttl/86400, f.oneOf("d", "D"), ttl%86400/3600, ttl%3600)
}

func (f *formatter) record(r dns.Record) {
	f.directive()
	if r.Name != f.last || f.IntN(2) == 0 {
		f.b.WriteString(f.name(r.Name))
		f.last = r.Name
	} else {
		f.b.WriteString(f.oneOf(" ", "\t"))
	}
	f.blank()
	var header []string
	if r.TTL != f.ttl || f.IntN(2) == 0 {
		header = append(header, f.seconds(r.TTL))
	}
	if f.IntN(2) == 0 {
		header = append(header, f.oneOf("IN", "in", "CLASS1"))
	}
	f.Shuffle(len(header), func(i, j int) { header[i], header[j] = header[j], header[i] })
	header = append(header, f.oneOf(r.Type.String(), strings.ToLower(r.Type.String()), fmt.Sprintf("TYPE%d", r.Type)))
	for _, word := range header {
		f.b.WriteString(word)
		f.blank()
	}
	f.rdata(r)
	f.end()
}

func (f *formatter) rdata(r dns.Record) {
	if f.IntN(8) == 0 {
		fmt.Fprintf(&f.b, "\\#")
		f.blank()
		fmt.Fprintf(&f.b, "%d", len(r.Data))
		for i, c := range r.Data {
			if i == 0 || f.IntN(4) == 0 {
				f.blank()
			}
			fmt.Fprintf(&f.b, "%02x", c)
		}
		return
	}
	var x lexer
	x.scan(dns.AppendRDataText(nil, r.Type, r.Data), true)
	for i, tok := range x.toks {
		if i > 0 {
			f.blank()
		}
		if tok.Quoted {
			fmt.Fprintf(&f.b, "\"%s\"", tok.Text)
		} else {
			f.b.Write(tok.Text)
		}
	}
}

// TestAnyFormat: however the records of the scripts are formatted, they are
// read as what they are.
func TestAnyFormat(t *testing.T) {
	var records []dns.Record
	for _, path := range []string{"testdata/read/records.txt", "testdata/write/zones.txt"} {
		for _, c := range parseScript(t, path).cases {
			if !strings.Contains(c.title, "class=") {
				list, _ := c.reader(t, t.TempDir()).ReadAll()
				records = append(records, list...)
			}
		}
	}
	for seed := range uint64(100) {
		f := &formatter{Rand: rand.New(rand.NewPCG(seed, 0)), origin: dns.MustName("example."), ttl: 60}
		f.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		for _, r := range records {
			f.record(r)
		}
		z := NewReader(strings.NewReader(f.b.String()), Options{Origin: dns.MustName("example."), DefaultTTL: 60})
		got, err := z.ReadAll()
		if d := cmp.Diff(lines(records), lines(got)); d != "" || err != nil {
			t.Fatalf("seed %d: %v\nrecords (-want +got):\n%s\ntext:\n%s", seed, err, d, f.b.String())
		}
	}
}
