package iterator

import (
	"net/netip"
	"sync"
	"time"

	"onoma/dns"
)

const (
	unknownRTO  = 400 * time.Millisecond // first time-out for a server never heard of [Knot 400 ms, Unbound 376 ms]
	minRTO      = 100 * time.Millisecond
	maxRTO      = 3 * time.Second
	deadAfter   = 3                // time-outs in succession until a server is left alone
	deadFirst   = 2 * time.Second  // for so long at first, doubling
	deadMax     = 30 * time.Second // so that an outage of ours is over within seconds after its end
	lameFor     = 5 * time.Minute
	plainFor    = time.Hour // that a server is asked without EDNS
	familyFails = 6         // time-outs of different silent servers until their family is doubted [Knot: 6 prefixes]
	familyFor   = 30 * time.Second
	halfLife    = 5 * time.Minute // in which an unused server's SRTT is halved, so that it is tried again

	maxServers = 20_000
	maxLame    = 10_000
)

// server is what is known of one address.
type server struct {
	srtt, rttvar time.Duration // 0: never answered
	used         time.Time
	fails        int // time-outs in succession
	deadUntil    time.Time
	plainUntil   time.Time // no EDNS until then
}

type lameKey struct {
	addr netip.Addr
	zone string // wire form, folded
}

type family struct {
	fails    int
	badUntil time.Time
}

// servers is the book of all name servers' habits. It is guarded by one mutex:
// only misses come here, and they wait for the network a thousand times longer.
type servers struct {
	mu       sync.Mutex
	book     map[netip.Addr]*server
	lame     map[lameKey]time.Time
	families [2]family // IPv4, IPv6
}

func newServers() *servers {
	return &servers{book: map[netip.Addr]*server{}, lame: map[lameKey]time.Time{}}
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// get returns the entry for a, made if need be; mu is held. A full book loses
// entries at random: map order is as good as any.
func (s *servers) get(a netip.Addr) *server {
	if e := s.book[a]; e != nil {
		return e
	}
	for old := range s.book {
		if len(s.book) < maxServers {
			break
		}
		delete(s.book, old)
	}
	e := &server{}
	s.book[a] = e
	return e
}

// standing is how a server looks to a look-up that may choose it.
type standing struct {
	known    bool
	score    time.Duration // expected time to an answer
	rto      time.Duration // how long to wait for it
	doubtful bool          // dead, lame or of a family that seems down: the last choice
}

// standing judges server a of zone at now. dice spreads the choice among servers
// never heard of, and lets one in a while win over known ones.
func (s *servers) standing(a netip.Addr, zone dns.Name, now time.Time, dice uint64) standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := standing{score: time.Duration(dice % uint64(120*time.Millisecond)), rto: unknownRTO}
	st.doubtful = now.Before(s.families[familyOf(a)].badUntil) || now.Before(s.lame[lameKey{a, zone.Fold().Wire()}])
	e := s.book[a]
	if e == nil {
		return st
	}
	st.doubtful = st.doubtful || now.Before(e.deadUntil)
	if e.srtt > 0 {
		st.known = true
		st.rto = e.srtt + 4*e.rttvar // RFC 6298 §2
		st.score = e.srtt
		for idle := now.Sub(e.used); idle > halfLife && st.score > time.Millisecond; idle -= halfLife {
			st.score /= 2
		}
	}
	// Back off, but not far: a server that is back answers as quickly as ever.
	st.rto = min(max(st.rto, minRTO)<<min(e.fails, 2), maxRTO)
	if e.fails > 0 {
		st.score = max(st.score, st.rto)
	}
	return st
}

// answered notes a reply of a after rtt.
func (s *servers) answered(a netip.Addr, rtt time.Duration, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.get(a)
	rtt = max(rtt, time.Microsecond)
	if e.srtt == 0 || e.fails > 0 {
		e.srtt, e.rttvar = rtt, rtt/2 // RFC 6298 §2.2; what was before an outage says little
	} else {
		e.rttvar += ((e.srtt - rtt).Abs() - e.rttvar) / 4
		e.srtt += (rtt - e.srtt) / 8
	}
	e.used, e.fails, e.deadUntil = now, 0, time.Time{}
	s.families[familyOf(a)] = family{}
}

// silent notes that a did not answer in time. heard tells whether the wait was
// long enough to count against it.
func (s *servers) silent(a netip.Addr, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.get(a)
	f := &s.families[familyOf(a)]
	if e.fails == 0 && e.srtt == 0 {
		if f.fails++; f.fails >= familyFails {
			f.badUntil = now.Add(familyFor)
		}
	}
	e.used = now
	if e.fails++; e.fails >= deadAfter {
		e.deadUntil = now.Add(min(deadFirst<<min(e.fails-deadAfter, 10), deadMax))
	}
}

// unreachable notes that packets to a cannot even be sent: no route.
func (s *servers) unreachable(a netip.Addr, now time.Time) {
	s.silent(a, now)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.get(a)
	e.fails = max(e.fails, deadAfter)
	e.deadUntil = now.Add(deadFirst)
}

// markLame notes that a does not serve zone properly.
func (s *servers) markLame(a netip.Addr, zone dns.Name, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for old := range s.lame {
		if len(s.lame) < maxLame {
			break
		}
		delete(s.lame, old)
	}
	s.lame[lameKey{a, zone.Fold().Wire()}] = now.Add(lameFor)
}

// plain reports whether a is to be asked without EDNS.
func (s *servers) plain(a netip.Addr, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.book[a]
	return e != nil && now.Before(e.plainUntil)
}

// markPlain notes that a answers without EDNS what it refuses with it.
func (s *servers) markPlain(a netip.Addr, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.get(a).plainUntil = now.Add(plainFor)
}
