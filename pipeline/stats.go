package pipeline

import (
	"errors"
	"maps"
	"sync"
	"time"

	"onoma/zone"
)

// Outcome is what became of a change, for counting.
type Outcome string

// The outcomes.
const (
	Committed Outcome = "committed" // there is a new version
	Unchanged Outcome = "unchanged" // the zone was like that already
	Rejected  Outcome = "refused"   // by the gate
	Conflict  Outcome = "conflict"  // made for another version
	Busy      Outcome = "busy"      // too many waited
	Failed    Outcome = "failed"    // anything else
)

// CommitBuckets are the upper bounds of Stats.Latency, but for the last one.
var CommitBuckets = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second,
}

// GroupBuckets are the upper bounds of Stats.Groups, but for the last one.
var GroupBuckets = [...]int{1, 2, 4, 8, 16, 32, 64, 128, 256}

// Counted is a kind of changes.
type Counted struct {
	Door    zone.Door
	Outcome Outcome
}

// Stats counts what the Pipeline has done since its start.
type Stats struct {
	Changes map[Counted]uint64
	Refused map[string]uint64 // by the rule of the gate

	Commits    uint64
	Latency    [len(CommitBuckets) + 1]uint64 // commits by how long they took
	LatencySum time.Duration
	Groups     [len(GroupBuckets) + 1]uint64 // commits by how many versions they had
	Versions   uint64                        // in commits

	Queue int // changes that wait or are being made
	Zones int
}

// counters is updated a few times for each group, so that a lock does no harm.
type counters struct {
	mu sync.Mutex
	s  Stats
}

// Stats returns the counters.
func (p *Pipeline) Stats() Stats {
	p.stats.mu.Lock()
	s := p.stats.s
	s.Changes, s.Refused = maps.Clone(s.Changes), maps.Clone(s.Refused)
	p.stats.mu.Unlock()
	s.Queue = p.queue.len()
	p.mu.RLock()
	defer p.mu.RUnlock()
	s.Zones = len(p.zones)
	return s
}

// outcomeOf returns what became of changes that ended with err.
func outcomeOf(err error) Outcome {
	var r *zone.Refusal
	switch {
	case errors.As(err, &r):
		return Rejected
	case errors.Is(err, zone.ErrConflict):
		return Conflict
	case errors.Is(err, zone.ErrBusy):
		return Busy
	}
	return Failed
}

func (c *counters) count(changes []zone.Change, receipts []zone.Receipt, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.s.Changes == nil {
		c.s.Changes, c.s.Refused = make(map[Counted]uint64), make(map[string]uint64)
	}
	what := outcomeOf(err)
	for i := range changes {
		if err == nil {
			what = Unchanged
			if receipts[i].Changed {
				what = Committed
			}
		}
		c.s.Changes[Counted{changes[i].By.Door, what}]++
	}
	var r *zone.Refusal
	if errors.As(err, &r) {
		c.s.Refused[r.Rule]++
	}
}

// group counts a commit.
func (c *counters) group(versions int, took time.Duration) {
	if versions == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at, size := 0, 0
	for at < len(CommitBuckets) && took > CommitBuckets[at] {
		at++
	}
	for size < len(GroupBuckets) && versions > GroupBuckets[size] {
		size++
	}
	c.s.Commits++
	c.s.Versions += uint64(versions)
	c.s.Latency[at]++
	c.s.LatencySum += took
	c.s.Groups[size]++
}
