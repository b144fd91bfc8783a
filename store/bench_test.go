package store

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkCommit measures synced commits of so many versions, of one zone or of as many zones.
func BenchmarkCommit(b *testing.B) {
	for _, d := range databases {
		for _, rows := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/%d", d.name, rows), func(b *testing.B) { benchmarkCommit(b, d.url(b), rows, 1) })
		}
		b.Run(d.name+"/64-zones", func(b *testing.B) { benchmarkCommit(b, d.url(b), 64, 64) })
	}
}

func benchmarkCommit(b *testing.B, url string, rows, zones int) {
	s := open(b, url)
	ids := make([]int64, zones)
	for i := range ids {
		ids[i] = addZone(b, s, fmt.Sprintf("z%d.", i)).ID
	}
	vs := make([]Version, rows)
	delta := make([]byte, 180) // a change of one record and the serial number
	next := make([]uint64, zones)
	last := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		for i := range vs {
			next[i%zones]++
			vs[i] = Version{Zone: ids[i%zones], Number: next[i%zones], Serial: 7, At: epoch, Door: "update", Author: "key:ddns.example.", Removed: 2, Added: 2, Delta: delta}
		}
		var err error
		if last, err = s.Commit(b.Context(), last, always(vs...)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*rows)/b.Elapsed().Seconds(), "versions/s")
}

// BenchmarkStart measures opening, and reading 100,000 zones of five records.
func BenchmarkStart(b *testing.B) {
	for _, d := range databases {
		b.Run(d.name, func(b *testing.B) { benchmarkStart(b, d.url(b)) })
	}
}

func benchmarkStart(b *testing.B, url string) {
	s := open(b, url)
	took := make(map[string]time.Duration)
	measure := func(what string, f func()) {
		begin := time.Now()
		f()
		took[what] = time.Since(begin)
	}
	measure("fill-ms", func() { fill(b, s, 100_000) })
	states := make([]ZoneState, 100_000)
	for i := range states {
		states[i] = ZoneState{int64(i + 1), "timers", make([]byte, 40)}
	}
	measure("states-ms", func() {
		if err := s.SetState(b.Context(), states); err != nil {
			b.Fatal(err)
		}
	})
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	measure("open-ms", func() { s = open(b, url) })
	n := 0
	for b.Loop() {
		n = 0
		for l, err := range s.Small(b.Context()) {
			if err != nil || len(l.Deltas) != 1 {
				b.Fatal(err, l)
			}
			n++
		}
	}
	if n != 100_000 {
		b.Fatal(n, "zones")
	}
	for what, d := range took {
		b.ReportMetric(float64(d.Microseconds())/1000, what)
	}
}

func fill(b *testing.B, s *Store, n int) {
	add := make([]Zone, n)
	for i := range add {
		add[i] = Zone{Name: fmt.Sprintf("z%d.example.", i), Kind: "member"}
	}
	zones, err := s.AddZones(b.Context(), add)
	if err != nil {
		b.Fatal(err)
	}
	vs := make([]Version, n)
	for i, z := range zones {
		vs[i] = Version{Zone: z.ID, Number: 1, Serial: 1, At: epoch, Door: "transfer", Author: "primary:192.0.2.1", Added: 5, Delta: make([]byte, 250)}
	}
	if _, err := s.Commit(b.Context(), 0, always(vs...)); err != nil {
		b.Fatal(err)
	}
}
