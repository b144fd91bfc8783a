package telemetry

import (
	"net/netip"
	"sync"
	"time"

	"onoma/telemetry/sketch"
)

const (
	slice      = 5 * time.Second
	sliceCount = 12  // a minute
	perSketch  = 256 // counters
	clientKey  = 7   // octets: 56 bits of IPv6, 24 of IPv4
)

// sampler looks for heavy hitters in what one lane sees. The writer never waits for mu, which a reader holds for some
// microseconds: it skips the query.
type sampler struct {
	mu      sync.Mutex
	in      *sketches // nil before the first query
	skipped counter
}

// sketches are what one sampler fills.
type sketches struct{ names, clients, denied *sketch.Sketch }

func newSketches() *sketches {
	return &sketches{sketch.New(perSketch, 255), sketch.New(perSketch, clientKey), sketch.New(perSketch, 255)}
}

// add counts a query. name and denied are folded; nil: none.
func (s *sampler) add(name []byte, client netip.Addr, denied []byte) {
	if !s.mu.TryLock() {
		s.skipped.add(1)
		return
	}
	defer s.mu.Unlock()
	if s.in == nil {
		s.in = newSketches()
	}
	if len(name) > 0 {
		s.in.names.Add(name)
	}
	if len(denied) > 0 {
		s.in.denied.Add(denied)
	}
	if a := client.Unmap(); a.Is4() {
		b := a.As4()
		s.in.clients.Add(b[:3])
	} else {
		b := a.As16()
		s.in.clients.Add(b[:clientKey])
	}
}

// deny counts a name error of a query that add has counted, maybe in another lane.
func (s *sampler) deny(suffix []byte) {
	if len(suffix) == 0 || !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if s.in == nil {
		s.in = newSketches()
	}
	s.in.denied.Add(suffix)
}

// swap gives the sampler empty sketches and returns those that it has filled, nil where there are none.
func (s *sampler) swap(empty *sketches) *sketches {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.in == nil {
		return nil
	}
	full := s.in
	s.in = empty
	return full
}

// look returns what the sampler has seen since the last swap.
func (s *sampler) look() (found, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.in == nil {
		return found{}, false
	}
	return s.in.summary(), true
}

// found is what sketches say.
type found struct{ names, clients, denied sketch.Summary }

func (s *sketches) summary() found {
	return found{s.names.Summary(), s.clients.Summary(), s.denied.Summary()}
}

func (s *sketches) reset() {
	s.names.Reset()
	s.clients.Reset()
	s.denied.Reset()
}

func merge(parts []found) found {
	var names, clients, denied []sketch.Summary
	for _, p := range parts {
		names, clients, denied = append(names, p.names), append(clients, p.clients), append(denied, p.denied)
	}
	return found{sketch.Merge(perSketch, names...), sketch.Merge(perSketch, clients...), sketch.Merge(perSketch, denied...)}
}

// history is what was found in the slices of time that are over, the last one first.
type history struct {
	mu    sync.Mutex
	since time.Time // of the slice that goes on
	past  []past
	spare *sketches
}

type past struct {
	from  time.Time
	found found
}

func (h *history) begin(now time.Time) { h.since = now }

// turn ends a slice of time.
func (h *Hub) turn() {
	now := h.opts.Clock()
	t := &h.heavy
	t.mu.Lock()
	defer t.mu.Unlock()
	var parts []found
	h.each(func(l *lane) {
		if t.spare == nil {
			t.spare = newSketches()
		}
		full := l.heavy.swap(t.spare)
		if full == nil {
			return
		}
		parts = append(parts, full.summary())
		full.reset()
		t.spare = full
	})
	t.past = append([]past{{t.since, merge(parts)}}, t.past[:min(len(t.past), sliceCount-1)]...)
	t.since = now
}
