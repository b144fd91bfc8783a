package telemetry

import (
	"iter"
	"sync"
	"time"
)

// Totals sums up zones for many readers. Summing a million zones takes a while, so a sum is told again until a hundred times
// as long has passed as it took: that is a hundredth of one processor at most, however often somebody asks.
type Totals struct {
	mu    sync.Mutex
	sum   Zones
	until time.Time
}

const totalsShare = 100

// Of returns the sum of zones, or of those of a moment ago.
func (t *Totals) Of(zones iter.Seq[Zone]) Zones {
	t.mu.Lock()
	defer t.mu.Unlock()
	start := time.Now()
	if start.Before(t.until) {
		return t.sum
	}
	t.sum = Zones{}
	for z := range zones {
		t.sum.Add(z)
	}
	took := time.Since(start)
	t.until = start.Add(totalsShare * took)
	return t.sum
}
