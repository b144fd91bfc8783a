package telemetry

import (
	"sync"
	"time"
)

// Changing is what a server tells of zones that change: what became of changes, of transfers and of notices, and how far the
// secondaries are.
type Changing struct {
	Changes []ChangeCount     `json:"changes"`
	Refused map[string]uint64 `json:"refused,omitempty"` // changes, by the rule of the publish gate
	Commits Histogram         `json:"commits"`           // seconds that groups of changes took until they were on the disk
	Saved   uint64            `json:"versions_saved"`    // versions in commits
	Queue   int               `json:"queue"`             // changes that wait
	Updates map[string]uint64 `json:"updates,omitempty"` // RFC 2136, by response code; "forwarded" went to a primary

	TransfersOut []TransferCount   `json:"transfers_out,omitempty"`
	TransfersIn  []TransferCount   `json:"transfers_in,omitempty"`
	NotifyOut    map[string]uint64 `json:"notify_out,omitempty"` // "sent" messages; of versions "acknowledged" and "given up"
	NotifyIn     map[string]uint64 `json:"notify_in,omitempty"`  // "taken" and "refused"

	States      []StateCount  `json:"states"` // of zones
	Propagation *Propagations `json:"propagation,omitempty"`
	Signing     *Signing      `json:"signing,omitempty"`
	StoreBytes  int64         `json:"store_bytes,omitempty"` // of the database's files, where it has any here
}

// ChangeCount is how many changes came by a door and had that outcome.
type ChangeCount struct {
	Door    string `json:"door"`
	Outcome string `json:"outcome"`
	Count   uint64 `json:"count"`
}

// TransferCount is how many transfers of a kind had an outcome, and what was in them.
type TransferCount struct {
	Kind    string `json:"kind"`    // "axfr", "ixfr" and so on
	Outcome string `json:"outcome"` // "done", "failed"
	Count   uint64 `json:"count"`
	Records uint64 `json:"records"`
	Octets  uint64 `json:"octets"`
}

// StateCount is how many zones of a kind are in a state.
type StateCount struct {
	Kind  string `json:"kind"`
	State string `json:"state"`
	Count int    `json:"count"`
}

// Propagations sums up how far secondaries are.
type Propagations struct {
	Zones       int            `json:"zones"`       // followed
	Lagging     int            `json:"lagging"`     // of them, those that not all secondaries serve as they are
	Secondaries map[string]int `json:"secondaries"` // by condition; a server counts once for each of its zones
	Failing     int            `json:"failing"`     // of them, those whose last question brought no answer of use
	Asked       uint64         `json:"asked"`       // questions
	Unanswered  uint64         `json:"unanswered"`  // of them, those without an answer of use
	LagSeconds  float64        `json:"lag_seconds"` // the longest
	Worst       []ZoneLag      `json:"worst,omitempty"`
}

// ZoneLag is a zone that not all of its secondaries serve as it is.
type ZoneLag struct {
	Zone    string  `json:"zone"`
	View    string  `json:"view,omitempty"`
	Serial  uint32  `json:"serial"` // published here
	Behind  int     `json:"behind"` // secondaries
	Seconds float64 `json:"lag_seconds"`
}

// TransferCounter counts transfers. It may be used by any number of goroutines.
type TransferCounter struct {
	mu     sync.Mutex
	counts []TransferCount
}

// Count counts a transfer of a kind; err says why it has failed.
func (c *TransferCounter) Count(kind string, records int, octets int64, err error) {
	outcome := "done"
	if err != nil {
		outcome = "failed"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.find(kind, outcome)
	t.Count++
	t.Records += uint64(max(records, 0))
	t.Octets += uint64(max(octets, 0))
}

func (c *TransferCounter) find(kind, outcome string) *TransferCount {
	for i := range c.counts {
		if t := &c.counts[i]; t.Kind == kind && t.Outcome == outcome {
			return t
		}
	}
	c.counts = append(c.counts, TransferCount{Kind: kind, Outcome: outcome})
	return &c.counts[len(c.counts)-1]
}

// Counts returns what was counted.
func (c *TransferCounter) Counts() []TransferCount {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]TransferCount(nil), c.counts...)
}

// Latencies makes a Histogram of counts of durations, of which the last one has those beyond all bounds.
func Latencies(bounds []time.Duration, counts []uint64, sum time.Duration) Histogram {
	h := Histogram{Counts: append([]uint64(nil), counts...), Sum: sum.Seconds()}
	for _, b := range bounds {
		h.Bounds = append(h.Bounds, b.Seconds())
	}
	for _, n := range counts {
		h.Count += n
	}
	return h
}
