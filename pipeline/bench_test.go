package pipeline

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/zone"
	"onoma/zone/zonegen"
)

// tldVersion builds the zone of a top-level domain.
func tldVersion(t testing.TB, delegations int) (zonegen.TLD, *zone.Version) {
	t.Helper()
	tld := zonegen.TLD{Origin: dns.MustName("bench."), Delegations: delegations, Seed: 1}
	var text bytes.Buffer
	if err := tld.WriteZone(&text); err != nil {
		t.Fatal(err)
	}
	v, _, err := zone.Load(zonefile.NewReader(&text, zonefile.Options{Origin: tld.Origin}), tld.Origin)
	if err != nil {
		t.Fatal(err)
	}
	return tld, v
}

// BenchmarkSubmit is 64 submitters who each wait for the receipt of one record
// before they add or remove the next, with the real database.
func BenchmarkSubmit(b *testing.B) {
	for _, names := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(names), func(b *testing.B) {
			tld, v := tldVersion(b, names)
			id := zone.IDOf("", tld.Origin)
			r := newRig(b, ZoneSpec{ID: id})
			r.must(replace(v))
			v = nil
			settle(b, r)
			var next atomic.Int64
			b.ResetTimer()
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						name := string(tld.AppendName(nil, int(i*7919)%names))
						r.must(add(id, fmt.Sprintf("n%d.%s.bench. 300 IN A 192.0.2.1", i, name)))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
			s := r.Stats()
			b.ReportMetric(float64(s.Versions)/float64(s.Commits), "changes/sync")
		})
	}
}

// settle waits until the keeper has written what the first version needs.
func settle(b *testing.B, r *rig) {
	b.Helper()
	for {
		r.keeper.mu.Lock()
		n := len(r.keeper.list)
		r.keeper.mu.Unlock()
		_, v, _ := r.Head(r.IDs()[0])
		if st, _ := r.lookup(r.IDs()[0]); n == 0 && (st.snapshot == 1 || v.Stats().Bytes < snapshotLeast) {
			return
		}
		runtime.Gosched()
	}
}
