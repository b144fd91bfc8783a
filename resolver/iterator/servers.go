package iterator

import (
	"net/netip"
	"sync"
	"time"

	"onoma/dns"
)

const (
	unknownRTO   = 400 * time.Millisecond // first time-out for a server never heard of [Knot 400 ms, Unbound 376 ms]
	minRTO       = 100 * time.Millisecond
	maxRTO       = 3 * time.Second
	unknownHabit = 150 * time.Millisecond // after so long another one is asked as well
	minHabit     = 25 * time.Millisecond  // what is lost in a busy machine is not the server's fault
	deadAfter    = 3                      // time-outs in succession until a server is left alone
	hopeless     = 6                      // time-outs in succession until it is not even asked where there is no other
	deadFirst    = 2 * time.Second        // for so long at first, doubling
	deadMax      = 30 * time.Second       // so that one that is back is noticed soon
	lastResort   = 5 * time.Second        // how often one look-up may find out whether the only servers are back
	lameFor      = 5 * time.Minute
	plainFor     = time.Hour        // that a server is asked without EDNS which says that it has none
	plainSilence = 10 * time.Minute // and one that only seems to drop it
	caselessFor  = time.Hour        // that a server is asked in lower case
	halfLife     = 5 * time.Minute  // in which an unused server's SRTT is halved, so that it is tried again

	maxServers = 20_000
	maxLame    = 10_000
)

// server is what is known of one address and port.
type server struct {
	srtt, rttvar  time.Duration // 0: never answered
	used          time.Time
	fails         int       // time-outs in succession, those of one moment counted once
	failing       time.Time // when the first of them was
	failed        time.Time // when the last of them was
	deadUntil     time.Time
	asked         time.Time // when it was asked last although it is dead
	plainUntil    time.Time // no EDNS until then
	caselessUntil time.Time // no random case until then
	knowsEDNS     bool      // it has answered with an OPT record
	cookies       cookies
}

type lameKey struct {
	addr netip.AddrPort
	zone string // wire form, folded
}

// servers is the book of all name servers' habits, and of our link's. It is guarded
// by one mutex: only misses come here, and they wait for the network a thousand
// times longer.
type servers struct {
	mu       sync.Mutex
	book     map[netip.AddrPort]*server
	lame     map[lameKey]time.Time
	families [2]family // IPv4, IPv6
	link     link
	hedges   float64 // how many more questions may be hedged
}

func newServers() *servers {
	return &servers{book: map[netip.AddrPort]*server{}, lame: map[lameKey]time.Time{}, hedges: mostHedges}
}

// get returns the entry for a, made if need be; mu is held. A full book loses
// entries at random: map order is as good as any.
func (s *servers) get(a netip.AddrPort) *server {
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
	habit    time.Duration // what it is slower than one time in twenty
	rto      time.Duration // how long to wait for it
	doubtful bool          // dead, lame or of a family that seems down: the last choice
	hopeless bool          // dead for so long that it is asked now and then only
}

// standing judges server a of zone at now. dice spreads the choice among servers
// never heard of, and lets one in a while win over known ones.
func (s *servers) standing(a netip.AddrPort, zone dns.Name, now time.Time, dice uint64) standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := standing{score: time.Duration(dice % uint64(120*time.Millisecond)), rto: unknownRTO, habit: unknownHabit}
	f := &s.families[familyOf(a.Addr())]
	st.doubtful = f.isBad || now.Before(s.lame[lameKey{a, zone.Fold().Wire()}])
	if s.unproven(a.Addr(), now) {
		st.score += unprovenCost
		st.habit = unprovenHabit
	}
	e := s.book[a]
	if e == nil {
		return st
	}
	if e.fails >= deadAfter {
		st.doubtful = st.doubtful || now.Before(e.deadUntil)
		st.hopeless = e.fails >= hopeless && now.Before(e.deadUntil) && now.Sub(e.asked) < lastResort
	}
	if e.srtt > 0 {
		st.known = true
		st.rto = e.srtt + 4*e.rttvar // RFC 6298 §2
		st.habit = e.srtt + 2*e.rttvar
		st.score = e.srtt
		for idle := now.Sub(e.used); idle > halfLife && st.score > time.Millisecond; idle -= halfLife {
			st.score /= 2
		}
	}
	// Back off, but not far: a server that is back answers as quickly as ever.
	st.rto = min(max(st.rto, minRTO)<<min(e.fails, 2), maxRTO)
	st.habit = min(max(st.habit, minHabit), st.rto)
	if e.fails > 0 {
		st.score = max(st.score, st.rto)
	}
	return st
}

// takeDead notes that a look-up asks a server that has kept silent, so that
// others leave it alone until the outcome is known.
func (s *servers) takeDead(a netip.AddrPort, wait time.Duration, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.book[a]; e != nil && e.fails >= deadAfter {
		e.asked = now
		if until := now.Add(wait); e.deadUntil.Before(until) {
			e.deadUntil = until
		}
	}
}

// answered notes a reply of a after rtt. It reports whether that shows that our
// link is back.
func (s *servers) answered(a netip.AddrPort, rtt time.Duration, now time.Time) (isBack bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	isBack = s.link.isDown
	s.heard(a.Addr(), now)
	e := s.get(a)
	rtt = max(rtt, time.Microsecond)
	if e.srtt == 0 || e.fails > 0 {
		e.srtt, e.rttvar = rtt, rtt/2 // RFC 6298 §2.2; what was before an outage says little
	} else {
		e.rttvar += ((e.srtt - rtt).Abs() - e.rttvar) / 4
		share := time.Duration(8)
		if rtt < e.srtt {
			share = 4 // one that is asked rarely must not take long to be seen to be quick
		}
		e.srtt += (rtt - e.srtt) / share
	}
	e.used, e.fails, e.deadUntil = now, 0, time.Time{}
	return isBack
}

// silent notes that a did not answer what was sent to it then. Time-outs of
// questions that were on their way together count once: they may have got lost
// together. Nothing counts while our own link is down.
func (s *servers) silent(a netip.AddrPort, sent, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missed(a.Addr(), sent, now)
	if s.link.isDown {
		return
	}
	e := s.get(a)
	e.used = now
	if e.fails > 0 && sent.Before(e.failed) {
		return
	}
	if e.fails == 0 {
		e.failing = sent
	}
	e.failed = now
	if e.fails++; e.fails >= deadAfter {
		e.deadUntil = now.Add(min(deadFirst<<min(e.fails-deadAfter, 10), deadMax))
	}
}

// unreachable notes that packets to a cannot even be sent: no route.
func (s *servers) unreachable(a netip.AddrPort, sent, now time.Time) {
	s.silent(a, sent, now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link.isDown {
		return
	}
	e := s.get(a)
	e.fails = max(e.fails, deadAfter)
	e.deadUntil = now.Add(deadFirst)
}

// markLame notes that a does not serve zone properly.
func (s *servers) markLame(a netip.AddrPort, zone dns.Name, now time.Time) {
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

// manners is how a server is to be asked.
type manners struct {
	plain       bool   // without EDNS
	sameCase    bool   // without random case
	cookie      []byte // with this one; nil: none
	doesCookies bool   // and an answer over UDP without it is not the server's
	knowsEDNS   bool   // it has answered with an OPT record before
}

// manners says how a is to be asked. fresh are eight octets that nobody knows.
func (s *servers) manners(a netip.AddrPort, now time.Time, fresh uint64) manners {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hedges = min(s.hedges+hedgeShare, mostHedges)
	e := s.get(a)
	m := manners{plain: now.Before(e.plainUntil), sameCase: now.Before(e.caselessUntil), knowsEDNS: e.knowsEDNS}
	m.cookie = e.cookies.cookie(now, fresh)
	m.doesCookies = len(m.cookie) > clientCookieLen
	return m
}

// isProven reports whether a's family is known to work.
func (s *servers) isProven(a netip.Addr, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Sub(s.families[familyOf(a)].heard) < unprovenFor
}

// markPlain notes that a answers without EDNS what it does not with it.
func (s *servers) markPlain(a netip.AddrPort, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.get(a).plainUntil = until
}

// markEDNS notes that a knows EDNS.
func (s *servers) markEDNS(a netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.get(a)
	e.knowsEDNS, e.plainUntil = true, time.Time{}
}

// markCaseless notes that a does not keep the case of names.
func (s *servers) markCaseless(a netip.AddrPort, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.get(a).caselessUntil = now.Add(caselessFor)
}
