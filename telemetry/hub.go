package telemetry

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"onoma/telemetry/dnstap"
	"onoma/transport"
)

// Options say which instruments a Hub has besides counters.
type Options struct {
	// TopSample is in how many queries one is looked at for heavy hitters; 0: none is.
	TopSample int
	// Taps are told of queries and answers: maxTaps at most, the rest is not.
	Taps []*dnstap.Output
	// Clock is time.Now where nil.
	Clock func() time.Time
}

// Hub holds the instruments of one server. It may be used by any number of goroutines.
type Hub struct {
	opts   Options
	shared [sharedLanes]lane

	mu    sync.Mutex
	lanes []*lane // of loops, idle ones included; only grows
	idle  []*lane // of those, the ones whose Worker is gone
	next  int     // of shared, for the next Worker

	heavy history
}

// sharedLanes are for streams and for answers that come later.
const sharedLanes = 8

const maxTaps = 2

const (
	loopRing   = 1 << 20 // octets for dnstap, each UDP loop
	sharedRing = 256 << 10
)

// NewHub returns a Hub.
func NewHub(o Options) *Hub {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	o.Taps = o.Taps[:min(len(o.Taps), maxTaps)]
	h := &Hub{opts: o}
	h.heavy.begin(o.Clock())
	for i := range h.shared {
		h.equip(&h.shared[i], sharedRing)
	}
	return h
}

func (h *Hub) equip(l *lane, ring int) {
	for i, tap := range h.opts.Taps {
		l.rings[i] = tap.NewRing(ring)
	}
}

// lane is where one Worker at a time writes. What is written on the way of every query comes first, apart from the rest.
type lane struct {
	mu sync.Mutex // of shared lanes: held while writing
	counters
	rings [maxTaps]*dnstap.Ring
	heavy sampler
}

// lease returns a lane for a Worker's own use, until the Worker is garbage.
func (h *Hub) lease(w *worker) *lane {
	h.mu.Lock()
	defer h.mu.Unlock()
	var l *lane
	if n := len(h.idle); n > 0 {
		l, h.idle = h.idle[n-1], h.idle[:n-1]
	} else {
		l = new(lane)
		h.equip(l, loopRing)
		h.lanes = append(h.lanes, l)
	}
	runtime.AddCleanup(w, h.giveBack, l)
	return l
}

func (h *Hub) giveBack(l *lane) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.idle = append(h.idle, l)
}

// pick returns the lane that a Worker shares with others.
func (h *Hub) pick() *lane {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next++
	return &h.shared[h.next%sharedLanes]
}

// each calls f with every lane.
func (h *Hub) each(f func(*lane)) {
	h.mu.Lock()
	lanes := h.lanes
	h.mu.Unlock()
	for i := range h.shared {
		f(&h.shared[i])
	}
	for _, l := range lanes {
		f(l)
	}
}

// Watch returns a Handler that answers as inner does, in that role, and is watched.
func (h *Hub) Watch(role dnstap.Role, inner transport.Handler) transport.Handler {
	return &handler{h, inner, role}
}

type handler struct {
	hub   *Hub
	inner transport.Handler
	role  dnstap.Role
}

func (h *handler) NewWorker() transport.Worker {
	return &worker{hub: h.hub, role: h.role, inner: h.inner.NewWorker(), shared: h.hub.pick(), dice: rand.Uint64() | 1}
}

// Run keeps the windows of heavy hitters moving until ctx ends.
func (h *Hub) Run(ctx context.Context) {
	if h.opts.TopSample == 0 {
		return
	}
	tick := time.NewTicker(slice)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.turn()
		}
	}
}
