package zone

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone/zonegen"
)

// signedTLD is a generated TLD as it looks when it is signed with P-256 and
// NSEC3 with opt-out. Its signatures have the right size only.
func signedTLD(t testing.TB, n int) (zonegen.TLD, []byte) {
	t.Helper()
	tld, text := generated(t, n)
	origin := tld.Origin.String()
	sig := func(owner string, covers dns.Type, i int) []byte {
		noise := make([]byte, 64)
		for j := range noise {
			noise[j] = byte(i * (j + 1) >> 3)
		}
		return fmt.Appendf(nil, "%s RRSIG %s 13 2 86400 20300101000000 20200101000000 12345 %s %s\n",
			owner, covers, origin, base64.StdEncoding.EncodeToString(noise))
	}
	out := bytes.NewBuffer(make([]byte, 0, 3*len(text)))
	var hashes [][]byte
	for line := range bytes.Lines(text) {
		out.Write(line)
		name, rest, _ := bytes.Cut(line, []byte(" "))
		if bytes.HasPrefix(rest, []byte("DS ")) {
			out.Write(sig(string(name), dns.TypeDS, len(hashes)))
			full, err := tld.Origin.Child(string(name))
			if err != nil {
				t.Fatal(err)
			}
			hashes = append(hashes, dnssec.NSEC3Hash(nil, []byte(full.Wire()), 0, nil))
		}
	}
	hashes = append(hashes, dnssec.NSEC3Hash(nil, []byte(tld.Origin.Wire()), 0, nil))
	slices.SortFunc(hashes, bytes.Compare)
	fmt.Fprintf(out, "@ NSEC3PARAM 1 0 0 -\n")
	for i, h := range hashes {
		owner, next := dns.AppendBase32Hex(nil, h), dns.AppendBase32Hex(nil, hashes[(i+1)%len(hashes)])
		fmt.Fprintf(out, "%s NSEC3 1 1 0 - %s NS DS RRSIG\n", owner, next)
		out.Write(sig(string(owner), dns.TypeNSEC3, i))
	}
	return tld, out.Bytes()
}

// BenchmarkSnapshot reads and writes a TLD of a million delegations.
func BenchmarkSnapshot(b *testing.B) {
	for _, kind := range []struct {
		name string
		make func(testing.TB, int) (zonegen.TLD, []byte)
	}{{"Plain", generated}, {"Signed", signedTLD}} {
		tld, text := kind.make(b, 1_000_000)
		v := load(b, tld.Origin, text)
		text = nil
		path := filepath.Join(b.TempDir(), "tld.snapshot")
		b.Run(kind.name+"/Write", func(b *testing.B) {
			for b.Loop() {
				if err := v.WriteSnapshot(path); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(kind.name+"/Load", func(b *testing.B) {
			if err := v.WriteSnapshot(path); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := LoadSnapshot(path, tld.Origin); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(v.Stats().Bytes)/1e6, "MB")
		})
	}
}
