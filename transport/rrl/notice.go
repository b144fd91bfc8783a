package rrl

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// notice lets one event a second through.
type notice struct {
	tell func(Event)
	last atomic.Int64
}

func (n *notice) tellOf(e Event, client netip.Addr, now int64) {
	if n.tell == nil {
		return
	}
	last := n.last.Load()
	if now-last < int64(time.Second) && now >= last || !n.last.CompareAndSwap(last, now) {
		return
	}
	e.Network = network(client, e.Wide)
	n.tell(e)
}
