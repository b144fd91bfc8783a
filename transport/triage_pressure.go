package transport

import (
	"math"
	"time"
)

// load is what came to one socket in a span of time.
type load struct {
	census         // taken by the loop
	lost    uint64 // dropped by the kernel: turned away by the filter, or the buffer was full
	fill    float64
	elapsed time.Duration
}

func (l *load) taken() uint64 {
	return l.census[kindKnown] + l.census[kindCookie] + l.census[kindOther]
}

// pressure decides from the load which shares of unknown sources a socket takes. It has no clock and no socket.
//
// Everything offered is either taken or lost, so the shares need no search: what the loop can do less what the known sources
// need is for others. What the loop can do is learnt: nine tenths of what it took when its buffer was seen full, and a
// little more each time that it was seen empty.
type pressure struct {
	on     bool
	target float64 // packets a second to let in
	cookie float64 // share of packets with a cookie
	other  float64 // share of all else
	least  float64 // share that strangers have in any case
	spare  time.Duration
}

const (
	// fullAt and emptyAt are parts of the receive buffer. The kernel may count up to a quarter of it more than there is.
	fullAt  = 0.5
	emptyAt = 0.05
	// lossAt is the lost part of all packets that begins pressure even where the buffer is not seen full.
	lossAt = 0.05
	// headroom is what a loop is given of what it can do, so that its buffer drains.
	headroom = 0.9
	growth   = 1.02
	// leastShare is what strangers have where known sources need all the room, so that a new client gets in by asking again. It
	// halves each time that the buffer is full nevertheless: some questions cost a thousand times what others do.
	leastShare = 1.0 / 256
	// calmAfter is how long everything must have fitted before the filter goes.
	calmAfter = 3 * time.Second
)

// step takes one span into account. The spans are some tenth of a second long.
func (p *pressure) step(l load) {
	sec := max(l.elapsed.Seconds(), 1e-3)
	taken, offered := float64(l.taken())/sec, float64(l.taken()+l.lost)/sec
	full := l.fill >= fullAt
	if !p.on {
		if l.lost > 0 && (full || float64(l.lost) > lossAt*float64(l.taken()+l.lost)) {
			p.begin(taken, offered)
		}
		return
	}
	p.aim(taken, offered, l.fill)
	p.least = min(p.least*growth, leastShare)
	if full {
		p.least /= 2
	}
	p.share(l, sec, offered)
	p.rest(l.elapsed, full)
}

// begin knows nothing yet about who asks, nor whether cookies are part of the flood: until it does, half of the room is for
// strangers.
func (p *pressure) begin(taken, offered float64) {
	*p = pressure{on: true, target: headroom * taken, least: leastShare}
	p.other = p.clamp(p.target / 2 / max(offered, 1))
	p.cookie = p.other
}

func (p *pressure) aim(taken, offered, fill float64) {
	switch {
	case fill >= fullAt:
		p.target = min(p.target, headroom*taken)
	case fill < emptyAt && offered > p.target:
		p.target *= growth
	}
	p.target = max(p.target, 1)
}

// share gives the room to the known, what is left to cookies, and what is left then to others.
func (p *pressure) share(l load, sec, offered float64) {
	known := float64(l.census[kindKnown]) / sec
	cookie := float64(l.census[kindCookie]) / sec / p.cookie
	other := max(offered-known-cookie, 0)
	room := max(p.target-known, 0)
	p.cookie = p.clamp(room / cookie)
	room -= p.cookie * cookie
	p.other = p.clamp(room / other)
}

// rest ends the pressure when everything has fitted for long enough.
func (p *pressure) rest(elapsed time.Duration, full bool) {
	if full || p.cookie < 1 || p.other < 1 {
		p.spare = 0
		return
	}
	if p.spare += elapsed; p.spare >= calmAfter {
		*p = pressure{}
	}
}

// clamp keeps a share between the least and all; nothing of nothing is all.
func (p *pressure) clamp(share float64) float64 {
	if math.IsNaN(share) {
		return 1
	}
	return max(p.least, min(share, 1))
}

// threshold is the share as triage.admits and the filter's draw use it.
func threshold(share float64) uint32 { return uint32(share * open) }

// fairLevel is the rate that no source may pass for all of them to fit into room together: those below keep what they send,
// and the others share the rest evenly. Infinite where all fit.
func fairLevel(rates []float64, room float64) float64 {
	// rates ascend
	for i, r := range rates {
		if left := float64(len(rates) - i); r*left > room {
			return room / left
		}
		room -= r
	}
	return math.Inf(1)
}
