package update

import (
	"sync/atomic"

	"onoma/dns"
)

// counts has the requests by the response code that they got.
type counts [16]atomic.Uint64

func (c *counts) add(code dns.RCode) { c[code&0xF].Add(1) }

// Stats are counts of requests since the Handler was made.
type Stats struct {
	RCodes    map[dns.RCode]uint64 // answered here, by response code
	Forwarded uint64
	Waiting   int // for the pipeline, now
	Octets    int // of these
}

// Stats returns the counts.
func (h *Handler) Stats() Stats {
	s := Stats{
		RCodes: make(map[dns.RCode]uint64), Forwarded: h.forwards.count.Load(),
		Waiting: int(h.inFlight.Load()), Octets: int(h.octets.Load()),
	}
	for code := range h.counts {
		if n := h.counts[code].Load(); n > 0 {
			s.RCodes[dns.RCode(code)] = n
		}
	}
	return s
}
