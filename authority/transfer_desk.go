package authority

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"onoma/transport"
)

// transfers has the ones under way and those that wait. A goroutine sends one
// after the other and ends when none waits that may begin.
type transfers struct {
	options TransferOptions

	mu      sync.Mutex
	running int
	each    map[netip.Addr]int // of running, those to one client
	waiting []*transfer        // the one that came first, first
	counts  transferTotals
}

// transferTotals are counts since the start.
type transferTotals struct {
	kinds              [len(transferKinds)]atomic.Uint64 // that went well
	failed, turnedAway atomic.Uint64
	records, octets    atomic.Uint64
}

// TransferStats counts transfers since the Server was made.
type TransferStats struct {
	Kinds      map[TransferKind]uint64 // that went well
	Failed     uint64                  // the client has gone, or did not read
	TurnedAway uint64                  // who may not have the zone, and who came when too many waited
	Records    uint64
	Octets     uint64
}

// TransferStats returns the counts.
func (s *Server) TransferStats() TransferStats {
	c := &s.transfers.counts
	out := TransferStats{
		Kinds: make(map[TransferKind]uint64), Failed: c.failed.Load(), TurnedAway: c.turnedAway.Load(),
		Records: c.records.Load(), Octets: c.octets.Load(),
	}
	for k := range c.kinds {
		out.Kinds[TransferKind(k)] = c.kinds[k].Load()
	}
	return out
}

func (c *transferTotals) add(r *TransferReport) {
	c.records.Add(uint64(r.Records))
	c.octets.Add(uint64(r.Octets))
	if r.Err != nil {
		c.failed.Add(1)
		return
	}
	c.kinds[r.Kind].Add(1)
}

func (d *transfers) init(o TransferOptions) {
	for _, x := range []struct {
		n       *int
		without int
	}{{&o.Most, 100}, {&o.MostEach, 10}, {&o.MostWaiting, 1000}} {
		if *x.n <= 0 {
			*x.n = x.without
		}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	d.options, d.each = o, make(map[netip.Addr]int)
}

// accept sees to it that t is sent, now or later, and reports false where too
// many wait already.
func (d *transfers) accept(t *transfer, tq *transport.Query) bool {
	client := tq.Client.Addr()
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.running < d.options.Most && d.each[client] < d.options.MostEach
	if !now && len(d.waiting) >= d.options.MostWaiting {
		return false
	}
	t.pending = tq.Detach()
	if !now {
		d.waiting = append(d.waiting, t)
		return true
	}
	d.running++
	d.each[client]++
	go d.run(t)
	return true
}

// run sends t, and then whatever is next.
func (d *transfers) run(t *transfer) {
	for t != nil {
		report := t.attempt()
		d.counts.add(&report)
		client := t.pending.Client.Addr()
		t.pending.Done()
		if d.options.Ended != nil {
			d.options.Ended(report)
		}
		t = d.next(client)
	}
}

// attempt sends t. Should that panic, it is this client alone that has no answer.
func (t *transfer) attempt() (r TransferReport) {
	defer func() {
		if p := recover(); p != nil {
			r = TransferReport{Zone: t.zone.Origin(), Client: t.pending.Client, Proto: t.pending.Proto, Key: t.key, Err: fmt.Errorf("internal error: %v", p)}
			defer func() { _ = recover() }() // the client will notice by itself
			_ = t.abort()
		}
	}()
	return t.send()
}

// next returns the first of those that wait and may begin, now that one to
// client has ended; nil where there is none.
func (d *transfers) next(client netip.Addr) *transfer {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.each[client]--; d.each[client] == 0 {
		delete(d.each, client)
	}
	for i, t := range d.waiting {
		addr := t.pending.Client.Addr()
		if d.each[addr] < d.options.MostEach {
			copy(d.waiting[i:], d.waiting[i+1:])
			d.waiting[len(d.waiting)-1] = nil
			d.waiting = d.waiting[:len(d.waiting)-1]
			d.each[addr]++
			return t
		}
	}
	d.running--
	return nil
}

// TransferCounts are transfers at this moment.
type TransferCounts struct{ Running, Waiting int }

// Transfers returns how many transfers are under way, and how many wait.
func (s *Server) Transfers() TransferCounts {
	s.transfers.mu.Lock()
	defer s.transfers.mu.Unlock()
	return TransferCounts{s.transfers.running, len(s.transfers.waiting)}
}
