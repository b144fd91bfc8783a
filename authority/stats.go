package authority

import (
	"runtime"
	"sync"
	"sync/atomic"

	"onoma/dns"
	"onoma/transport/rrl"
)

// Stats are counts of messages since the Server was made.
type Stats struct {
	Queries uint64 // messages that were answered
	Dropped uint64 // messages that must not be answered: responses
	TCP     uint64 // of Queries, those over TCP
	EDNS    uint64
	DO      uint64

	Types  map[dns.Type]uint64  // by type asked for; types that are rare are all under TypeNone
	RCodes map[dns.RCode]uint64 // by response code

	Answers   uint64 // with what was asked for
	Aliases   uint64 // ended with an alias out of our zones
	NoData    uint64
	NXDomain  uint64
	Referrals uint64
	Truncated uint64

	Limited map[rrl.Class]uint64 // answers that were too many, by class
	Slipped uint64               // of Limited, those answered without records
}

// fate is what became of a question.
type fate uint8

const (
	fateError fate = iota
	fateAnswer
	fateAlias
	fateNoData
	fateNXDomain
	fateReferral
	fates
)

// counter has one writer; anybody may read it.
type counter struct{ n atomic.Uint64 }

func (c *counter) add() { c.n.Store(c.n.Load() + 1) }

const (
	plainTypes = 66 // types up to HTTPS are counted each
	slotANY    = plainTypes
	slotCAA    = plainTypes + 1
	typeSlots  = plainTypes + 2
	rcodeSlots = 24
)

// counters are those of one worker. The space around them keeps them out of
// cache lines that another processor writes.
type counters struct {
	_         [64]byte
	tcp       counter
	edns      counter
	do        counter
	dropped   counter
	truncated counter
	types     [typeSlots]counter
	rcodes    [rcodeSlots]counter
	fates     [fates]counter
	slipped   counter
	limited   [rrl.Classes]counter
	_         [64]byte
}

// count notes what became of the query.
func (w *worker) count() {
	c := w.stats
	if w.q.Name != nil {
		c.types[typeSlot(w.q.Type)].add()
	} else {
		c.types[0].add()
	}
	c.rcodes[min(int(w.rcode), rcodeSlots-1)].add()
	c.fates[w.fate].add()
	if w.tcp {
		c.tcp.add()
	}
	if w.q.EDNS {
		c.edns.add()
	}
	if w.q.DO {
		c.do.add()
	}
	if w.full {
		c.truncated.add()
	}
}

func typeSlot(t dns.Type) int {
	switch {
	case t < plainTypes:
		return int(t)
	case t == dns.TypeANY:
		return slotANY
	case t == dns.TypeCAA:
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

// workers knows the counters of all workers.
type workers struct {
	mu   sync.Mutex
	live map[*counters]bool
	past counters // of workers that are gone
}

// register returns counters for w, and keeps what they say when w is gone.
func (s *workers) register(w *worker) {
	c := new(counters)
	w.stats = c
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		s.live = make(map[*counters]bool)
	}
	s.live[c] = true
	runtime.AddCleanup(w, s.retire, c)
}

func (s *workers) retire(c *counters) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.past.merge(c)
	delete(s.live, c)
}

// merge adds the counts of o to c.
func (c *counters) merge(o *counters) {
	sum := func(c, o *counter) { c.n.Add(o.n.Load()) }
	sum(&c.tcp, &o.tcp)
	sum(&c.edns, &o.edns)
	sum(&c.do, &o.do)
	sum(&c.dropped, &o.dropped)
	sum(&c.truncated, &o.truncated)
	sum(&c.slipped, &o.slipped)
	for i := range c.limited {
		sum(&c.limited[i], &o.limited[i])
	}
	for i := range c.types {
		sum(&c.types[i], &o.types[i])
	}
	for i := range c.rcodes {
		sum(&c.rcodes[i], &o.rcodes[i])
	}
	for i := range c.fates {
		sum(&c.fates[i], &o.fates[i])
	}
}

func (s *workers) sum() Stats {
	var all counters
	s.mu.Lock()
	all.merge(&s.past)
	for c := range s.live {
		all.merge(c)
	}
	s.mu.Unlock()
	return all.stats()
}

func (c *counters) stats() Stats {
	st := Stats{
		Dropped: c.dropped.n.Load(), TCP: c.tcp.n.Load(), EDNS: c.edns.n.Load(), DO: c.do.n.Load(),
		Types: make(map[dns.Type]uint64), RCodes: make(map[dns.RCode]uint64),
		Answers: c.fates[fateAnswer].n.Load(), Aliases: c.fates[fateAlias].n.Load(),
		NoData: c.fates[fateNoData].n.Load(), NXDomain: c.fates[fateNXDomain].n.Load(),
		Referrals: c.fates[fateReferral].n.Load(), Truncated: c.truncated.n.Load(),
		Limited: make(map[rrl.Class]uint64), Slipped: c.slipped.n.Load(),
	}
	for i := range c.limited {
		if n := c.limited[i].n.Load(); n > 0 {
			st.Limited[rrl.Class(i)] = n
		}
	}
	for i := range c.types {
		if n := c.types[i].n.Load(); n > 0 {
			st.Types[slotType(i)] = n
		}
	}
	for i := range c.rcodes {
		if n := c.rcodes[i].n.Load(); n > 0 {
			st.RCodes[dns.RCode(i)] = n
			st.Queries += n
		}
	}
	return st
}
