package zonefile

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"onoma/dns"
)

// tldText is the text of a TLD's zone, made while it is read: an SOA, and for
// each delegation two NS, a DS and an RRSIG.
type tldText struct {
	left int // octets that may still begin a delegation
	n    int
	buf  []byte
	rest []byte
}

func (g *tldText) Read(p []byte) (int, error) {
	if len(g.rest) == 0 {
		if g.left <= 0 {
			return 0, io.EOF
		}
		g.buf = g.delegation(g.buf[:0])
		g.left -= len(g.buf)
		g.rest = g.buf
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

func (g *tldText) delegation(b []byte) []byte {
	if g.n++; g.n == 1 {
		b = append(b, "$ORIGIN guru.\n@ 3600 IN SOA a.nic.guru. host.nic.guru. ( 1 1800 900 604800 86400 )\n"...)
	}
	b = fmt.Appendf(b, "name%07d.guru.\t3600\tIN\tNS\tns1.host%d.net.\n", g.n, g.n%1000)
	b = fmt.Appendf(b, "name%07d.guru.\t3600\tIN\tNS\tns2.host%d.net.\n", g.n, g.n%1000)
	b = fmt.Appendf(b, "name%07d.guru.\t3600\tIN\tDS\t%d 8 2 4F74856F31B73F3BFCDF430985329F55AA655BC9E53C4BF9DC6B14CCE6780600\n", g.n, g.n%65536)
	return fmt.Appendf(b, "name%07d.guru.\t3600\tIN\tRRSIG\tDS 8 2 3600 20200214170000 20200201160000 33853 guru. "+
		"XQoKVBsIKGc2B7bVWo9CyRWtBT42UHG+XyMMT5yDKhNL+W6DdmHn9fDTYIRNCNi8N7/ts1+LJnLL4w9/0x8RVEtcTVNyMP4IqEyXJsmsGNbrwrFtnQyeuIIvQ8RXbtWYqfX1CfRBVwqQ1cVw0YvPc1x9nJGVlRyU0rX6sM0bTFsTBFi5TyQ=\n", g.n)
}

// TestReadStreams: 200 MB go through a few MB of memory.
func TestReadStreams(t *testing.T) {
	const size = 200 << 20
	z := NewReader(&tldText{left: size}, Options{})
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	records := 0
	for {
		_, err := z.NextEntry()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if records++; records%500_000 == 0 {
			runtime.ReadMemStats(&now)
			if now.HeapAlloc > before.HeapAlloc+8<<20 {
				t.Fatalf("the heap grew from %d to %d octets within %d records", before.HeapAlloc, now.HeapAlloc, records)
			}
		}
	}
	if records < size/500*4/5 {
		t.Errorf("%d records in %d octets: some are missing", records, size)
	}
}

// TestNoAllocations: reading allocates nothing per record.
func TestNoAllocations(t *testing.T) {
	text, err := io.ReadAll(&tldText{left: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	extra := "a.guru. 60 A 192.0.2.1\na.guru. 60 AAAA 2001:db8::1\na.guru. 60 MX 10 a\na.guru. 60 TXT \"x\" y\n" +
		"a.guru. 60 NSEC3PARAM 1 0 0 -\na.guru. 60 SOA a b (\n 1 2 ; comment\n 3 4 5)\n"
	in := &again{text: append(text, extra...)}
	z := NewReader(in, Options{})
	read := func() {
		for range 500 {
			if _, err := z.NextEntry(); err != nil {
				t.Fatal(err)
			}
		}
	}
	read() // buffers come to their size
	if n := testing.AllocsPerRun(20, read); n != 0 {
		t.Errorf("%v allocations in 500 records, expected none", n)
	}
}

// again gives its text over and over.
type again struct {
	text []byte
	off  int
}

func (a *again) Read(p []byte) (int, error) {
	if a.off == len(a.text) {
		a.off = 0
	}
	n := copy(p, a.text[a.off:])
	a.off += n
	return n, nil
}

// TestHostileText: text that is made to be looked at again and again is read in
// about the time of any other, or this test takes minutes.
func TestHostileText(t *testing.T) {
	for _, line := range []string{
		"a TXT (\n", "a TXT (\nb\n", "a TXT \"\n", "a TXT \"x\n\"y\n", "(\"\n", "(\n\n\n;(\n", "\"\\\"", "(;", "a TXT x=\"\n", ")", "\x00", "\r", " ( \n ",
		"a TXT (\n" + strings.Repeat(";\n", 10_000), "$ORIGIN a\n", "$INCLUDE a\n", "$GENERATE 0-1000000 $ A $\n",
	} {
		text := strings.Repeat(line, 4<<20/len(line))
		_, err := NewReader(strings.NewReader(text), Options{Origin: dns.MustName("example.")}).ReadAll()
		if errs, ok := err.(Errors); !ok || len(errs) > 1001 {
			t.Errorf("%.20q over and over: %d errors, expected 1 to 1001", line, len(errs))
		}
	}
}

// TestNextIsTheCallers: names that Next gave stay; so does nothing else that
// is not copied.
func TestNextIsTheCallers(t *testing.T) {
	z := NewReader(bytes.NewReader([]byte("a. 60 A 192.0.2.1\nb. 60 A 192.0.2.2\n")), Options{})
	first, err := z.Next()
	if err != nil {
		t.Fatal(err)
	}
	if _, err = z.Next(); err != nil {
		t.Fatal(err)
	}
	if first.Name != dns.MustName("a.") {
		t.Errorf("the first owner became %v", first.Name)
	}
}

func BenchmarkNextEntry(b *testing.B) {
	tld, err := io.ReadAll(&tldText{left: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("tld", func(b *testing.B) { benchmarkText(b, tld) })
	b.Run("root", func(b *testing.B) {
		root, err := os.ReadFile(sharedData(b, "root-2020-signed.zone"))
		if err != nil {
			b.Fatal(err)
		}
		benchmarkText(b, root)
	})
}

func BenchmarkWrite(b *testing.B) {
	records, err := NewReader(&tldText{left: 1 << 20}, Options{}).ReadAll()
	if err != nil {
		b.Fatal(err)
	}
	for _, form := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"readable", func(w io.Writer) error { return Write(w, dns.MustName("guru."), slices.Values(records)) }},
		{"lines", func(w io.Writer) error { return WriteLines(w, slices.Values(records)) }},
	} {
		b.Run(form.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := form.write(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(records)*b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func benchmarkText(b *testing.B, text []byte) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	records := 0
	for b.Loop() {
		z := NewReader(bytes.NewReader(text), Options{})
		for {
			_, err := z.NextEntry()
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			records++
		}
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}
