package upstream

import "sync/atomic"

// Stats are what a Network has counted since it was made.
type Stats struct {
	Spoofed   uint64 // exchanges over UDP that ended with a reply that did not match
	Junk      uint64 // datagrams passed over: not DNS, or not replies
	Private   uint64 // questions answered over connections that Config.Opportunistic made
	Fallbacks uint64 // and those that had to be asked again in the open
}

type counts struct{ spoofed, junk, private, fallbacks atomic.Uint64 }

// Stats returns what was counted so far.
func (n *Network) Stats() Stats {
	c := &n.counts
	return Stats{Spoofed: c.spoofed.Load(), Junk: c.junk.Load(), Private: c.private.Load(), Fallbacks: c.fallbacks.Load()}
}
