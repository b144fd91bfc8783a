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
// cache lines that another processor writes. An atomic store is what counting
// costs, so a query takes three: what is known together is one table.
type counters struct {
	_       [64]byte
	types   [typeSlots]counter
	kinds   [kinds]counter
	results [2][fates][rcodeSlots]counter // the second half: truncated
	dropped counter
	slipped counter
	limited [rrl.Classes]counter
	_       [64]byte
}

// kinds of queries are sums of these.
const (
	kindTCP = 1 << iota
	kindEDNS
	kindDO
	kinds
)

// count notes what became of the query.
func (w *worker) count() {
	c := w.stats
	if w.q.Name != nil {
		c.types[typeSlot(w.q.Type)].add()
	} else {
		c.types[0].add()
	}
	c.kinds[w.queryKind()].add()
	full := 0
	if w.full {
		full = 1
	}
	c.results[full][w.fate][min(int(w.rcode), rcodeSlots-1)].add()
}

// queryKind returns the sum of the kinds that the query is of.
func (w *worker) queryKind() int {
	kind := 0
	if w.tcp {
		kind |= kindTCP
	}
	if w.q.EDNS {
		kind |= kindEDNS
	}
	if w.q.DO {
		kind |= kindDO
	}
	return kind
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

// Add adds the counts of another server.
func (s *Stats) Add(o Stats) {
	for _, x := range []struct {
		sum *uint64
		n   uint64
	}{
		{&s.Queries, o.Queries}, {&s.Dropped, o.Dropped}, {&s.TCP, o.TCP}, {&s.EDNS, o.EDNS}, {&s.DO, o.DO},
		{&s.Answers, o.Answers}, {&s.Aliases, o.Aliases}, {&s.NoData, o.NoData}, {&s.NXDomain, o.NXDomain},
		{&s.Referrals, o.Referrals}, {&s.Truncated, o.Truncated}, {&s.Slipped, o.Slipped},
	} {
		*x.sum += x.n
	}
	addCounts(&s.Types, o.Types)
	addCounts(&s.RCodes, o.RCodes)
	addCounts(&s.Limited, o.Limited)
}

func addCounts[K comparable](sum *map[K]uint64, m map[K]uint64) {
	if *sum == nil {
		*sum = make(map[K]uint64, len(m))
	}
	for k, n := range m {
		(*sum)[k] += n
	}
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
	sum := func(c, o []counter) {
		for i := range c {
			c[i].n.Add(o[i].n.Load())
		}
	}
	sum(c.types[:], o.types[:])
	sum(c.kinds[:], o.kinds[:])
	for full := range c.results {
		for f := range c.results[full] {
			sum(c.results[full][f][:], o.results[full][f][:])
		}
	}
	sum(c.limited[:], o.limited[:])
	c.dropped.n.Add(o.dropped.n.Load())
	c.slipped.n.Add(o.slipped.n.Load())
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
		Dropped: c.dropped.n.Load(), Slipped: c.slipped.n.Load(),
		Types: make(map[dns.Type]uint64), RCodes: make(map[dns.RCode]uint64), Limited: make(map[rrl.Class]uint64),
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
	for kind := range c.kinds {
		n := c.kinds[kind].n.Load()
		for bit, sum := range map[int]*uint64{kindTCP: &st.TCP, kindEDNS: &st.EDNS, kindDO: &st.DO} {
			if kind&bit != 0 {
				*sum += n
			}
		}
	}
	c.addResults(&st)
	return st
}

// addResults adds what became of questions.
func (c *counters) addResults(st *Stats) {
	var other uint64 // errors: only their codes are told
	sums := [fates]*uint64{
		fateError: &other, fateAnswer: &st.Answers, fateAlias: &st.Aliases, fateNoData: &st.NoData,
		fateNXDomain: &st.NXDomain, fateReferral: &st.Referrals,
	}
	for full := range c.results {
		for f := range c.results[full] {
			for code := range c.results[full][f] {
				n := c.results[full][f][code].n.Load()
				if n == 0 {
					continue
				}
				st.Queries += n
				st.RCodes[dns.RCode(code)] += n
				*sums[f] += n
				if full == 1 {
					st.Truncated += n
				}
			}
		}
	}
}
