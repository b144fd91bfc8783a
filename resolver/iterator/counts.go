package iterator

import (
	"sync/atomic"

	"onoma/transport"
)

// Counts are numbers of questions to servers since the Iterator was made, by
// transport, and of those that no reply came to, by reason.
type Counts struct {
	Sent   map[string]uint64
	Failed map[string]uint64
	Octets uint64 // of replies
}

// counts is what Counts reads.
type counts struct {
	sent   [transport.HTTPS + 1]atomic.Uint64
	failed [8]atomic.Uint64 // by transport.Kind
	octets atomic.Uint64
}

func (c *counts) exchanged(p transport.Proto, reply []byte, err error) {
	c.sent[p].Add(1)
	c.octets.Add(uint64(len(reply)))
	if err != nil {
		c.failed[exchangeKind(err)&7].Add(1)
	}
}

// Counts returns what was counted so far.
func (it *Iterator) Counts() Counts {
	out := Counts{Sent: map[string]uint64{}, Failed: map[string]uint64{}, Octets: it.counts.octets.Load()}
	for p := range it.counts.sent {
		if n := it.counts.sent[p].Load(); n > 0 {
			out.Sent[transport.Proto(p).String()] = n
		}
	}
	for k := range it.counts.failed {
		if n := it.counts.failed[k].Load(); n > 0 {
			out.Failed[transport.Kind(k).String()] = n
		}
	}
	return out
}
