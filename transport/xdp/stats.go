package xdp

import (
	"sync/atomic"

	"onoma/transport"
)

// Counts is what was done with the frames of one queue, or of all.
type Counts struct {
	transport.Counts        // as of sockets; Oversize are answers too long even without their records
	Truncated        uint64 // answers sent with TC, for the interface's MTU
	Alien            uint64 // dropped: not UDP over IP for our addresses and port
	Malformed        uint64 // dropped: lengths that contradict each other
	BadChecksum      uint64 // dropped: IPv4's or UDP's checksum is wrong, or missing over IPv6
	BadSource        uint64 // dropped: a source address that nobody may answer
	NoFrame          uint64 // answers dropped: all frames were still with the card
}

// Kernel is what the kernel says of the sockets (XDP_STATISTICS).
type Kernel struct {
	Dropped       uint64 // queries dropped for other reasons
	RingFull      uint64 // queries dropped: the loop was behind by a whole ring
	FillEmpty     uint64 // times that no free frame was there for a query
	BadRx         uint64 // descriptors of ours that the kernel refused
	BadTx         uint64
	SendRingEmpty uint64 // times that the driver looked for answers and found none
}

// Stats is the sum over all queues, read while they run: each number is right, but not all at one instant.
type Stats struct {
	Counts
	Loops   []Counts // one for each receive queue
	Kernel  Kernel
	Sockets transport.Stats // of what the kernel was passed, and detached answers
}

// The counters.
const (
	nQueries = iota
	nAnswers
	nBytesIn
	nBytesOut
	nShort
	nResponses
	nPortZero
	nOversize
	nPanics
	nSendErrors
	nTruncated
	nAlien
	nMalformed
	nBadSum
	nBadSource
	nNoFrame
	nCounters
)

// ofVerdict is where a frame that is dropped is counted.
var ofVerdict = [...]int{alien: nAlien, malformed: nMalformed, badSum: nBadSum, badSource: nBadSource}

// tally is what a loop counts for itself until it publishes.
type tally [nCounters]uint64

// counters are the published numbers of one loop. A cache line's length of nothing stands on each side, so that the numbers
// of two loops never share a line, however they lie in memory.
type counters struct {
	_ [64]byte
	v [nCounters]atomic.Uint64
	_ [64]byte
}

// publish adds t and clears it, once a batch. The loop is the only writer.
func (c *counters) publish(t *tally) {
	for i, n := range t {
		if n != 0 {
			c.v[i].Store(c.v[i].Load() + n)
			t[i] = 0
		}
	}
}

func (c *counters) addTo(s *Counts) {
	for i, field := range s.fields() {
		*field += c.v[i].Load()
	}
}

func (s *Counts) fields() [nCounters]*uint64 {
	return [...]*uint64{
		nQueries: &s.Queries, nAnswers: &s.Answers, nBytesIn: &s.BytesIn, nBytesOut: &s.BytesOut, nShort: &s.Short,
		nResponses: &s.Responses, nPortZero: &s.PortZero, nOversize: &s.Oversize, nPanics: &s.Panics,
		nSendErrors: &s.SendErrors, nTruncated: &s.Truncated, nAlien: &s.Alien, nMalformed: &s.Malformed,
		nBadSum: &s.BadChecksum, nBadSource: &s.BadSource, nNoFrame: &s.NoFrame,
	}
}

// Stats sums the counters of all queues.
func (s *Server) Stats() Stats {
	st := Stats{Sockets: s.sockets.Stats()}
	if s.engine != nil {
		s.engine.addTo(&st)
	}
	return st
}
