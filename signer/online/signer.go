package online

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Options say how much online signing may take of the server. The zero Options
// are good.
type Options struct {
	// Cache is how many octets of memory signatures may be kept in; 0: 64 MiB.
	Cache int
	// PerSecond is how many signatures may be made in a second, counted in those
	// of ECDSA P-256; others weigh as much as they take longer. 0: 10,000 for each
	// processor, about a third of its time.
	PerSecond int
	// Clock is the time; nil: that of the system.
	Clock func() time.Time
}

const (
	defaultCache     = 64 << 20
	defaultPerSecond = 10_000
)

// How the budget is shared, in percent: names that are not known get no more than
// the first together and no more than the second in one zone.
const (
	shareOfOthers = 75
	shareOfZone   = 50
)

// burst is how long work may be done ahead after a time without any.
const burst = 250 * time.Millisecond

// Signer is the cache and the budget that all zones share.
type Signer struct {
	clock   func() time.Time
	cost    int64 // of a signature of weight 1, in nanoseconds of the whole budget
	all     bucket
	others  bucket // names that are not known
	caches  [2]cache
	keysets atomic.Uint64 // numbers of sets of keys
	counts  counters
}

// The caches: names that anybody may make up drive no others out.
const (
	known = iota
	made
)

// New returns a Signer. It holds nothing that must be closed.
func New(o Options) *Signer {
	s := &Signer{clock: o.Clock}
	if s.clock == nil {
		s.clock = time.Now
	}
	if o.Cache <= 0 {
		o.Cache = defaultCache
	}
	if o.PerSecond <= 0 {
		o.PerSecond = defaultPerSecond * runtime.GOMAXPROCS(0)
	}
	s.cost = max(int64(time.Second)/int64(o.PerSecond), 1)
	s.all.init(100)
	s.others.init(shareOfOthers)
	for i := range s.caches {
		s.caches[i].init(o.Cache / len(s.caches))
	}
	return s
}

// Counts are what has happened since the start.
type Counts struct {
	Signed  uint64 // signatures made
	Hits    uint64 // sets whose signatures were found in the cache
	Refused uint64 // sets that were not signed because the budget was spent
	Failed  uint64 // sets that were not signed because there is no key, or it failed
	Later   uint64 // sets put off, because a key is slow and the caller not patient
}

// Counts returns what all zones have counted, those of the past included.
func (s *Signer) Counts() Counts { return s.counts.read() }

// Octets returns how much memory signatures are kept in.
func (s *Signer) Octets() int64 { return s.caches[known].used.Load() + s.caches[made].used.Load() }

// event is one of those that are counted.
type event uint8

const (
	signed event = iota
	hit
	refused
	failed
	later
	events
)

type counters [events]atomic.Uint64

func (c *counters) read() Counts {
	return Counts{c[signed].Load(), c[hit].Load(), c[refused].Load(), c[failed].Load(), c[later].Load()}
}
