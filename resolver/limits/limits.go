// Package limits knows what clients have cost of late, by their networks, in a fixed amount of memory.
//
// A [Sketch] counts cost with exponential decay, for an address and for the networks around it: who has many addresses is no better off
// than who has one, as soon as a network of theirs costs more than the neighbours of an honest client do. Two cells count for each
// network and the smaller one is believed (count-min), so that strangers who share a cell by chance, under a secret hash, do not pay for
// each other. It has no locks, and nothing but time makes it forget. Its methods may be called by any goroutine.
//
// [Waiting] counts the queries of a network that wait for an answer.
package limits

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// halfLife is how long it takes until half of a cost is forgotten: bursts of a few seconds are what people do.
const halfLife = 4 * time.Second

// level is a length of prefix, and how much more than one client all within may cost.
type level struct {
	bits   int
	factor float64
}

// The levels of both families [Knot's for IPv4]. A household has a /64 of IPv6 at least.
var (
	levels4 = [...]level{{32, 1}, {24, 32}, {20, 256}, {18, 768}}
	levels6 = [...]level{{64, 1}, {56, 4}, {48, 32}, {32, 768}}
)

// Sketch counts cost.
type Sketch struct {
	seed  maphash.Seed
	cells [2][]atomic.Uint64 // milliseconds when the value was right, the value as float32
}

// cells is how many each row of a Sketch has: 1 MiB in all.
const cells = 1 << 16

// NewSketch returns an empty one.
func NewSketch() *Sketch {
	s := &Sketch{seed: maphash.MakeSeed()}
	for i := range s.cells {
		s.cells[i] = make([]atomic.Uint64, cells)
	}
	return s
}

// Add counts a cost of client's.
func (s *Sketch) Add(client netip.Addr, cost float64, now time.Time) {
	ms := uint32(now.UnixMilli())
	s.each(client, func(h uint64, _ float64) {
		for i := range s.cells {
			add(&s.cells[i][at(h, i)], cost, ms)
		}
	})
}

// Rate returns what client, or the worst of the networks around it for its size, costs per second.
func (s *Sketch) Rate(client netip.Addr, now time.Time) (rate float64) {
	ms := uint32(now.UnixMilli())
	s.each(client, func(h uint64, factor float64) {
		load := math.Inf(1)
		for i := range s.cells {
			load = min(load, value(s.cells[i][at(h, i)].Load(), ms))
		}
		rate = max(rate, load/factor)
	})
	return rate * math.Ln2 / halfLife.Seconds()
}

// each calls f for the networks of client, with their hash and factor.
func (s *Sketch) each(client netip.Addr, f func(hash uint64, factor float64)) {
	client = client.Unmap().WithZone("")
	levels := levels6[:]
	if client.Is4() {
		levels = levels4[:]
	}
	for _, l := range levels {
		p, err := client.Prefix(l.bits)
		if err != nil {
			return
		}
		var key [17]byte
		octets := p.Addr().As16()
		copy(key[:], octets[:])
		key[16] = byte(l.bits)
		f(maphash.Bytes(s.seed, key[:]), l.factor)
	}
}

// at is the cell of a hash in row i.
func at(hash uint64, i int) uint64 { return hash >> (32 * i) % cells }

// value returns what a cell holds now.
func value(cell uint64, now uint32) float64 {
	load := float64(math.Float32frombits(uint32(cell)))
	past := int32(now - uint32(cell>>32))
	if past <= 0 || load == 0 {
		return load // clocks of goroutines differ a little
	}
	return load * math.Exp2(-float64(past)/float64(halfLife.Milliseconds()))
}

func add(cell *atomic.Uint64, cost float64, now uint32) {
	for {
		old := cell.Load()
		load := value(old, now) + cost
		if cell.CompareAndSwap(old, uint64(now)<<32|uint64(math.Float32bits(float32(load)))) {
			return
		}
	}
}

// Waiting counts queries that wait, by network: an address of IPv4, a /64 of IPv6.
type Waiting struct {
	mu sync.Mutex
	by map[netip.Prefix]int
}

// Enter counts one more query of client's if fewer than most wait.
func (w *Waiting) Enter(client netip.Addr, most int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := network(client)
	if w.by[key] >= most {
		return false
	}
	if w.by == nil {
		w.by = map[netip.Prefix]int{}
	}
	w.by[key]++
	return true
}

// Leave ends the wait of one that has entered.
func (w *Waiting) Leave(client netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := network(client)
	if w.by[key]--; w.by[key] <= 0 {
		delete(w.by, key)
	}
}

func network(client netip.Addr) netip.Prefix {
	client = client.Unmap().WithZone("")
	bits := 64
	if client.Is4() {
		bits = 32
	}
	p, _ := client.Prefix(bits)
	return p
}
