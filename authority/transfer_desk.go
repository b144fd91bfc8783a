package authority

import (
	"net/netip"
	"sync"
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
		report := t.send()
		client := t.pending.Client.Addr()
		t.pending.Done()
		if d.options.Ended != nil {
			d.options.Ended(report)
		}
		t = d.next(client)
	}
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
