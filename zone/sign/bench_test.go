package sign_test

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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

// BenchmarkWhole signs a TLD. bare is the processor time of as many bare signatures on
// all cores, taken in turns with it, as a share of what signing the zone takes: to be
// at least 0.9. Only time of the processor says something on a busy machine.
func BenchmarkWhole(b *testing.B) {
	v, p := tld(b, 50_000)
	made, whole, bare := 0, time.Duration(0), time.Duration(0)
	for b.Loop() {
		runtime.GC()
		start := processor(b)
		_, r, err := p.Whole(b.Context(), v, noon)
		if err != nil {
			b.Fatal(err)
		}
		between := processor(b)
		signBare(b, p.Keys[0], r.Signatures)
		whole, bare, made = whole+between-start, bare+processor(b)-between, made+r.Signatures
	}
	b.ReportMetric(float64(whole.Nanoseconds())/float64(made), "cpu-ns/sig")
	b.ReportMetric(bare.Seconds()/whole.Seconds(), "bare")
}

// signBare makes n signatures of 150 octets on all cores.
func signBare(b *testing.B, k sign.Key, n int) {
	var wg sync.WaitGroup
	for w := range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			var data [150]byte
			var sig []byte
			for i := w; i < n; i += runtime.GOMAXPROCS(0) {
				var err error
				if sig, err = k.Sign(sig[:0], data[:]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// processor returns the time of the processor that this process has used.
func processor(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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
