package transport

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Seats lends Workers to the transports of other packages, counts what they do and bears their panics.
type Seats struct {
	pool   sync.Pool // of *Seat
	next   atomic.Uint32
	shards [16]counters
}

// Seat is a Worker that one goroutine has for a while.
type Seat struct {
	seat   seat
	counts *counters
}

// NewSeats makes Seats for a Handler.
func NewSeats(h Handler, log *slog.Logger) *Seats {
	s, limited := new(Seats), newLogLimit(log, time.Now)
	s.pool.New = func() any {
		shard := s.next.Add(1) % uint32(len(s.shards))
		return &Seat{seat: seat{handler: h, log: limited}, counts: &s.shards[shard]}
	}
	return s
}

// Take borrows a Seat.
func (s *Seats) Take() *Seat { return s.pool.Get().(*Seat) }

// Return gives it back.
func (s *Seats) Return(t *Seat) {
	t.counts.publish(&t.seat.tally)
	t.seat.q = Query{}
	s.pool.Put(t)
}

// Counts sums what was done on all seats.
func (s *Seats) Counts() Counts {
	var c Counts
	for i := range s.shards {
		s.shards[i].addTo(&c)
	}
	return c
}

// Replied counts a detached answer.
func (s *Seats) Replied(n int) {
	s.shards[0].v[nAnswers].Add(1)
	s.shards[0].v[nBytesOut].Add(uint64(n))
}

// Answer shows q to the Worker, and appends its answer to dst. An answer of no length says that nothing is to be sent; ok is
// false where q cannot be a query, or the Worker panicked.
func (t *Seat) Answer(dst []byte, q *Query) (answer []byte, ok bool) {
	if !t.seat.admits(q.Msg) {
		return nil, false
	}
	defer t.seat.recovered()
	t.seat.q = *q
	answer = t.seat.answer(dst)
	switch {
	case len(answer) == 0:
	case len(answer) > MaxMessage:
		t.seat.tally[nOversize]++
		return nil, false
	default:
		t.seat.tally[nAnswers]++
		t.seat.tally[nBytesOut] += uint64(len(answer))
	}
	return answer, true
}
