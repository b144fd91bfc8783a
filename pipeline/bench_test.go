package pipeline

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/zone"
	"onoma/zone/sign"
	"onoma/zone/zonegen"
)

// tldVersion builds the zone of a top-level domain.
func tldVersion(t testing.TB, delegations int) (zonegen.TLD, *zone.Version) {
	t.Helper()
	return seededVersion(t, delegations, 1)
}

func seededVersion(t testing.TB, delegations int, seed uint64) (zonegen.TLD, *zone.Version) {
	t.Helper()
	tld := zonegen.TLD{Origin: dns.MustName("bench."), Delegations: delegations, Seed: seed}
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

// BenchmarkRestart is a start with a large zone, from its snapshot.
func BenchmarkRestart(b *testing.B) {
	tld, v := tldVersion(b, 1_000_000)
	spec := ZoneSpec{ID: zone.IDOf("", tld.Origin)}
	r := newRig(b, spec)
	r.must(replace(v))
	v = nil
	settle(b, r)
	for b.Loop() {
		r.stop()
		runtime.GC()
		b.ResetTimer() // the last round counts
		r.start(spec)
		if r.Zone(spec.ID).Current() == nil {
			b.Fatal("the zone is not served")
		}
		b.StopTimer()
		b.ReportMetric(b.Elapsed().Seconds(), "s/start")
		b.StartTimer()
	}
}

// BenchmarkPublish is a change of ten records in a large zone, one at a time.
func BenchmarkPublish(b *testing.B) {
	tld, v := tldVersion(b, 1_000_000)
	spec := ZoneSpec{ID: zone.IDOf("", tld.Origin)}
	r := newRig(b, spec)
	r.must(replace(v))
	v = nil
	settle(b, r)
	for i := 0; b.Loop(); i++ {
		var records []string
		for j := range 10 {
			name := string(tld.AppendName(nil, (i*7919+j*104729)%tld.Delegations))
			records = append(records, fmt.Sprintf("n%d.%s.bench. 300 IN A 192.0.2.1", i, name))
		}
		r.must(add(spec.ID, records...))
	}
}

// BenchmarkManyZones loads 100,000 zones of five records.
func BenchmarkManyZones(b *testing.B) {
	const zones = 100_000
	specs := make([]ZoneSpec, zones)
	for i := range specs {
		specs[i].ID = zone.IDOf("", dns.MustName(fmt.Sprintf("z%d.example.", i)))
	}
	r := newRig(b, specs...)
	begun := time.Now()
	var done sync.WaitGroup
	for i := range specs {
		origin := specs[i].ID.Name.String()
		v := version(b, origin, 1, "www."+origin+" 300 IN A 192.0.2.1", "mail."+origin+" 300 IN A 192.0.2.2", origin+" 300 IN MX 10 mail."+origin)
		done.Add(1)
		for retry := true; retry; {
			retry = r.queue.len() > 10_000
			runtime.Gosched()
		}
		r.Enqueue([]zone.Change{replace(v)}, func(_ []zone.Receipt, err error) {
			if err != nil {
				b.Error(err)
			}
			done.Done()
		})
	}
	done.Wait()
	creation := time.Since(begun)
	r.stop()
	r.Pipeline, r.stop = nil, func() {}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools keep goes in the second
	runtime.ReadMemStats(&before)
	begun = time.Now()
	r.start(specs...)
	loading := time.Since(begun)
	runtime.GC()
	runtime.ReadMemStats(&after)
	for b.Loop() {
		if r.Zone(specs[zones/2].ID).Current() == nil {
			b.Fatal("a zone is not served")
		}
	}
	b.ReportMetric(zones/creation.Seconds(), "created/s")
	b.ReportMetric(loading.Seconds(), "s/start")
	b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/zones, "B/zone")
}

// BenchmarkBesideTransfer is a change of a small zone while a zone of a million
// delegations is replaced by quite another one.
func BenchmarkBesideTransfer(b *testing.B) {
	tld, v := tldVersion(b, 1_000_000)
	id := zone.IDOf("", tld.Origin)
	r := newRig(b, ZoneSpec{ID: id}, ZoneSpec{ID: exampleID})
	r.must(replace(version(b, "example.", 1)))
	r.must(replace(v))
	_, v = seededVersion(b, 1_000_000, 2)
	runtime.GC()
	done := make(chan error, 1)
	r.Enqueue([]zone.Change{replace(v)}, func(_ []zone.Receipt, err error) { done <- err })
	var longest, sum time.Duration
	n := 0
	b.ResetTimer()
	for busy := true; busy; n++ {
		begun := time.Now()
		r.must(add(exampleID, fmt.Sprintf("n%d.example. 300 IN A 192.0.2.1", n)))
		took := time.Since(begun)
		longest, sum = max(longest, took), sum+took
		select {
		case err := <-done:
			busy = false
			if err != nil {
				b.Fatal(err)
			}
		default:
		}
	}
	b.ReportMetric(longest.Seconds()*1000, "ms-longest")
	b.ReportMetric(sum.Seconds()*1000/float64(n), "ms-mean")
}

// BenchmarkSubmitSigned is BenchmarkSubmit of a zone of 10,000 names that is signed with
// ECDSA P-256, beside the same that is not.
func BenchmarkSubmitSigned(b *testing.B) {
	for _, signed := range []bool{false, true} {
		b.Run(fmt.Sprintf("signed=%v", signed), func(b *testing.B) {
			const names = 10_000
			spec := ZoneSpec{ID: exampleID}
			if signed {
				spec.Signer = newSigner(planOf(sign.Denial{Kind: sign.NSEC}))
			}
			hosts := make([]string, names)
			for i := range hosts {
				hosts[i] = fmt.Sprintf("h%d.example. 300 IN A 192.0.2.1", i)
			}
			r := newRig(b, spec)
			r.must(replace(version(b, "example.", 1, hosts...)))
			settle(b, r)
			var next atomic.Int64
			b.ResetTimer()
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						r.must(add(exampleID, fmt.Sprintf("h%d.example. 300 IN A 198.51.100.%d", i*7919%names, i%250)))
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
