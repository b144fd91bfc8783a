package sign_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/zone"
	"onoma/zone/sign"
	"onoma/zone/zonegen"
)

// tld returns a TLD, not signed, and how it is signed.
func tld(b *testing.B, n int) (*zone.Version, *sign.Plan) {
	var text bytes.Buffer
	if err := (zonegen.TLD{Origin: origin, Delegations: n, Seed: 1}).WriteZone(&text); err != nil {
		b.Fatal(err)
	}
	v, _, err := zone.Load(zonefile.NewReader(&text, zonefile.Options{}), origin)
	if err != nil {
		b.Fatal(err)
	}
	return v, csk(b, denials["NSEC3 opt-out"])
}

// BenchmarkWhole signs a TLD; ns/sig is to be near what a bare signature takes.
func BenchmarkWhole(b *testing.B) {
	v, p := tld(b, 10_000)
	made := 0
	for b.Loop() {
		_, r, err := p.Whole(b.Context(), v, noon)
		if err != nil {
			b.Fatal(err)
		}
		made += r.Signatures
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(made), "ns/sig")
}

// BenchmarkEdit changes ten delegations.
func BenchmarkEdit(b *testing.B) {
	for _, n := range []int{1_000, 30_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			plain, p := tld(b, n)
			v, _, err := p.Whole(b.Context(), plain, noon)
			if err != nil {
				b.Fatal(err)
			}
			serial, made := uint32(10), 0
			for b.Loop() {
				e := v.Edit()
				for i := range 10 {
					e.Add(dns.MustRecord(fmt.Sprintf("n%d-%d.example. 300 IN DS 1 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", serial, i)))
					e.Add(dns.MustRecord(fmt.Sprintf("n%d-%d.example. 300 IN NS a.nic.example.", serial, i)))
				}
				serial++
				setSerial(e, serial, 0)
				r, err := p.Edit(b.Context(), e, v, noon, true)
				if err != nil {
					b.Fatal(err)
				}
				if v, err = e.Commit(); err != nil {
					b.Fatal(err)
				}
				made += r.Signatures
			}
			b.ReportMetric(float64(made)/float64(b.N), "sigs/op")
		})
	}
}

// BenchmarkSurvey walks a signed TLD.
func BenchmarkSurvey(b *testing.B) {
	plain, p := tld(b, 30_000)
	v, _, err := p.Whole(b.Context(), plain, noon)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if y := p.Survey(b.Context(), v, noon.Add(time.Hour), 100); !y.IsComplete {
			b.Fatal("incomplete")
		}
	}
}
