package zonefile

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"onoma/dns"
)

// sharedData returns the path of a file of real data that lies beside the
// repository, and skips the test where it is absent.
func sharedData(tb testing.TB, name string) string {
	tb.Helper()
	dir := os.Getenv("ONOMA_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	path := filepath.Join(dir, "data", name)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("%s is absent (%v)", name, err)
	}
	return path
}

func BenchmarkNextEntry(b *testing.B) {
	text, err := os.ReadFile(sharedData(b, "root-2020-signed.zone"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		z := NewReader(bytes.NewReader(text), Options{Origin: dns.Root})
		for {
			_, err := z.NextEntry()
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}
