package telemetry

import (
	"sync/atomic"

	"onoma/dns"
	"onoma/transport"
)

// counter has one writer at a time; anybody may read it.
type counter struct{ n atomic.Uint64 }

func (c *counter) add(n uint64)  { c.n.Store(c.n.Load() + n) }
func (c *counter) value() uint64 { return c.n.Load() }

const (
	protos    = int(transport.HTTPS) + 1
	families  = 2
	classes   = 3
	kinds     = protos * families * classes * int(ednsStates)
	rcodes    = 24        // up to BADCOOKIE; what is beyond counts as the last
	typeSlots = 66        // up to HTTPS
	slotANY   = typeSlots // RFC 8482
	slotCAA   = typeSlots + 1
	allTypes  = typeSlots + 2
)

// counters are those of one lane. An atomic store is what counting costs, so a query takes as few as can be: what is told
// apart by protocol, family, class and EDNS is one table.
type counters struct {
	_          [64]byte
	kinds      [kinds]counter
	types      [allTypes]counter
	results    [2 * rcodes]counter // by code; the second half with TC
	sizes      [2][len(sizeBounds) + 1]counter
	octets     [2]counter
	unanswered counter
	deferred   counter
	waits      [len(waitBounds) + 1]counter
	waited     counter // nanoseconds
	_          [64]byte
}

// sizeBounds are the upper bounds, inclusive, of the histogram of response sizes, and waitBounds, in nanoseconds, of the time
// that answers from elsewhere took.
var (
	sizeBounds = [...]int{64, 128, 256, 512, 1024, 1232, 2048, 4096, 16384}
	waitBounds = [...]int64{1e6, 2e6, 5e6, 10e6, 20e6, 50e6, 100e6, 200e6, 500e6, 1e9, 2e9, 5e9}
)

// smallSizes has the bucket of each size up to 4096, in steps of 16.
var smallSizes = func() (t [4096/16 + 1]uint8) {
	for i := range t {
		for t[i] = 0; sizeBounds[t[i]] < i*16; t[i]++ {
		}
	}
	return t
}()

func sizeBucket(n int) int {
	switch {
	case n <= 4096:
		return int(smallSizes[(n+15)/16])
	case n <= sizeBounds[len(sizeBounds)-1]:
		return len(sizeBounds) - 1
	}
	return len(sizeBounds)
}

// isStream tells the two histograms of sizes apart: what a datagram holds, and everything else.
func isStream(p transport.Proto) int {
	if p == transport.UDP {
		return 0
	}
	return 1
}

func (c *counters) query(q *transport.Query, g *glance) {
	family := 0
	if a := q.Client.Addr(); a.Is6() && !a.Is4In6() {
		family = 1
	}
	class := 2
	switch g.class {
	case dns.ClassIN:
		class = 0
	case dns.ClassCH:
		class = 1
	}
	proto := min(int(q.Proto), protos-1)
	c.kinds[((proto*families+family)*classes+class)*int(ednsStates)+int(g.edns)].add(1)
	c.types[typeSlot(g)].add(1)
}

func typeSlot(g *glance) int {
	switch {
	case g.name == nil:
		return 0
	case g.typ < typeSlots:
		return int(g.typ)
	case g.typ == dns.TypeANY:
		return slotANY
	case g.typ == dns.TypeCAA:
		return slotCAA
	}
	return 0
}

func slotType(slot int) dns.Type {
	switch slot {
	case slotANY:
		return dns.TypeANY
	case slotCAA:
		return dns.TypeCAA
	}
	return dns.Type(slot)
}

// answer counts a response, at least a header, to a question that ends at end.
func (c *counters) answer(p transport.Proto, msg []byte, end int) (rcode dns.RCode) {
	rcode, tc := readRCode(msg, end)
	slot := min(int(rcode), rcodes-1)
	if tc {
		slot += rcodes
	}
	c.results[slot].add(1)
	stream := isStream(p)
	c.sizes[stream][sizeBucket(len(msg))].add(1)
	c.octets[stream].add(uint64(len(msg)))
	return rcode
}

// wait counts how long an answer took that had to be fetched.
func (c *counters) wait(nanos int64) {
	i := 0
	for i < len(waitBounds) && waitBounds[i] < nanos {
		i++
	}
	c.waits[i].add(1)
	c.waited.add(uint64(max(nanos, 0)))
}
