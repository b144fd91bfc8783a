package iterator

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
)

// Iterator answers questions by asking the servers of the DNS. It is safe for
// concurrent use.
type Iterator struct {
	Config
	servers *servers
	flights flights
	ids     atomic.Uint64
}

// New returns an Iterator that works as cfg says.
func New(cfg Config) *Iterator {
	return &Iterator{Config: cfg.withDefaults(), servers: newServers(), flights: flights{all: map[flightKey]*flight{}}}
}

// now returns the time in the seconds that the cache counts in.
func (it *Iterator) now() uint32 { return uint32(it.Env.Now().Unix()) }

// Answer is the end of a look-up that did not fail.
type Answer struct {
	RCode     dns.RCode
	Chain     []cache.RRset // aliases first and in order, then the RRset asked for
	Authority []cache.RRset // of a negative answer: SOA, then the proof
	TTL       uint32        // how long all of it may be kept; 0: not at all
	EDE       []dns.EDE
	Cost      Cost
}

// Options are what one look-up may have of its own.
type Options struct {
	Tracer    Tracer // told as well as Config.Tracer
	CacheOnly bool   // ask nobody: a question without RD
}

// ErrNotCached is the end of a look-up with CacheOnly that would have to ask.
var ErrNotCached = errors.New("not in the cache")

// Resolve answers q. A look-up that fails returns a *[Failure], ErrNotCached, or
// ctx's own error where the caller gave up.
func (it *Iterator) Resolve(ctx context.Context, q dns.Question, opts Options) (*Answer, error) {
	limited, cancel := context.WithTimeout(ctx, it.Limits.Time)
	defer cancel()
	t := &task{it: it, ctx: limited, opts: opts, id: it.ids.Add(1), question: q}
	t.budget.limits = &it.Limits
	t.traceStart()
	a, err := t.lookup(q)
	if a != nil {
		a.Cost = t.budget.cost()
	}
	t.traceEnd(a, err)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return a, err
}

// seconds turns a duration into what a TTL is counted in.
func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }
