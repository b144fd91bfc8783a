package iterator

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"onoma/dns"
)

// Who keeps silent: one server, a whole family of addresses, or everybody? A
// server pays for its own silence alone. Where several that are far apart say
// nothing and nobody of their family has said anything since, it is the family;
// where even the root servers say nothing, it is our own link.

const (
	familySilent  = 4                      // silent networks until their family is doubted [Knot 6]
	familyProbe   = 3 * time.Second        // how often a question goes to a doubted family as well
	familyRecent  = 10 * time.Second       // that the other family was heard so lately shows that the link is up
	unprovenFor   = 10 * time.Minute       // without a word from a family while the other one talks
	unprovenCost  = 60 * time.Millisecond  // a family that is not known to work is the second choice
	unprovenHabit = 50 * time.Millisecond  // and another one is asked as well after so long (RFC 8305 §5 has 250 ms for TCP)
	linkMisses    = 2                      // time-outs with not a word from anybody, until the link is looked at
	linkCheck     = 2 * time.Second        // how often that is done while it is down
	linkDoubt     = 5 * time.Second        // and while it was up when it was done last
	linkWait      = 800 * time.Millisecond // how long the root servers are waited for then
	linkServers   = 3                      // how many of them are asked
	linkRTO       = time.Second            // nobody is waited for longer while the link is down
)

// family is IPv4 or IPv6.
type family struct {
	heard  time.Time // when one of its servers answered last
	silent networks  // who did not since
	isBad  bool
	probed time.Time
}

// link is our own connection to everything.
type link struct {
	heard   time.Time // when anybody answered last
	misses  int       // time-outs since
	checked time.Time
	isDown  bool
}

// networks are some different ones.
type networks []netip.Prefix

const maxNetworks = 8

// add notes the network that a is in: /24 or /48, as one router or one attacker has them.
func (n *networks) add(a netip.Addr) {
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	if err != nil || len(*n) == maxNetworks {
		return
	}
	for _, known := range *n {
		if known == p {
			return
		}
	}
	*n = append(*n, p)
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// heard notes that a said something; mu is held.
func (s *servers) heard(a netip.Addr, now time.Time) {
	f := &s.families[familyOf(a)]
	f.heard, f.silent, f.isBad = now, f.silent[:0], false
	s.link = link{heard: now, checked: s.link.checked}
}

// missed notes that a kept silent; mu is held. What was sent before somebody else
// was heard says nothing of more than a itself.
func (s *servers) missed(a netip.Addr, sent, now time.Time) {
	if !sent.Before(s.link.heard) {
		s.link.misses++
	}
	f, other := &s.families[familyOf(a)], &s.families[1-familyOf(a)]
	if !sent.Before(f.heard) {
		f.silent.add(a)
	}
	if len(f.silent) >= familySilent && now.Sub(other.heard) < familyRecent {
		f.isBad = true
	}
}

// unproven reports whether a's family has not been heard, though the other one has; mu is held.
func (s *servers) unproven(a netip.Addr, now time.Time) bool {
	f, other := s.families[familyOf(a)].heard, s.families[1-familyOf(a)].heard
	return now.Sub(f) > unprovenFor && now.Sub(other) < unprovenFor
}

// probeFamily reports whether a, which is of a doubted family, is to be asked all
// the same, beside somebody else.
func (s *servers) probeFamily(a netip.Addr, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &s.families[familyOf(a)]
	if !f.isBad || now.Sub(f.probed) < familyProbe {
		return false
	}
	f.probed = now
	return true
}

// aFamilyIsBad reports whether there is one that is doubted.
func (s *servers) aFamilyIsBad() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.families[0].isBad || s.families[1].isBad
}

// linkIsDown reports whether our own link seems to be down.
func (s *servers) linkIsDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link.isDown
}

// suspectsLink reports whether it is time to find out whether our link is down.
func (s *servers) suspectsLink(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	every := linkDoubt
	if s.link.isDown {
		every = linkCheck
	}
	if s.link.misses < linkMisses || now.Sub(s.link.checked) < every {
		return false
	}
	s.link.checked = now
	return true
}

// linkFails notes that not even a root server answers what it was asked then. What
// servers were blamed for since the silence began is taken back. It reports whether
// that is news.
func (s *servers) linkFails(asked time.Time) (isNew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link.heard.After(asked) {
		return false
	}
	isNew = !s.link.isDown
	s.link.isDown = true
	for _, e := range s.book {
		if e.fails > 0 && !e.failing.Before(s.link.heard) {
			e.fails, e.deadUntil = 0, time.Time{}
		}
	}
	for i := range s.families {
		s.families[i].silent, s.families[i].isBad = nil, false
	}
	return isNew
}

// checkLink asks some root servers for the shortest that they can say. It runs in
// a goroutine of its own, while look-ups go on.
func (it *Iterator) checkLink() {
	defer it.background.end()
	asked := it.Env.Now()
	ctx, cancel := context.WithTimeout(it.ctx, linkWait)
	defer cancel()
	var wg sync.WaitGroup
	roots := it.someRoots()
	for _, a := range roots {
		x := exchange{server: a, to: Target{Addr: netip.AddrPortFrom(a, it.UpstreamPort)}, zone: dns.Root, sent: dns.Root, q: dns.Question{Name: dns.Root, Type: dns.TypeSOA, Class: dns.ClassIN}}
		x.plain = true
		wg.Go(func() {
			if _, err := it.Env.Exchange(ctx, x.to, it.query(&x)); err == nil {
				it.answered(x.to.Addr, asked, it.Env.Now())
			}
		})
	}
	wg.Wait()
	if len(roots) > 0 && it.ctx.Err() == nil && it.servers.linkFails(asked) {
		it.Link(true)
	}
}

// answered notes a reply.
func (it *Iterator) answered(a netip.AddrPort, sent, now time.Time) {
	if it.servers.answered(a, now.Sub(sent), now) {
		it.Link(false)
	}
}

// someRoots returns a few root servers' addresses by chance, of both families
// where there are both.
func (it *Iterator) someRoots() []netip.Addr {
	var all [2][]netip.Addr
	for _, h := range it.Hints {
		for _, a := range h.Addrs {
			if it.usable(a) {
				all[familyOf(a)] = append(all[familyOf(a)], a)
			}
		}
	}
	var list []netip.Addr
	for i := 0; len(list) < linkServers && len(all[0])+len(all[1]) > 0; i++ {
		f := all[i%2]
		if len(f) == 0 {
			continue
		}
		n := int(it.Env.Uint64() % uint64(len(f)))
		list = append(list, f[n])
		f[n] = f[len(f)-1]
		all[i%2] = f[:len(f)-1]
	}
	return list
}
