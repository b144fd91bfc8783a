package iterator

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/resolver/policy"
)

// candidate is an address that a zone's question can be sent to.
type candidate struct {
	addr  netip.Addr
	to    Target
	name  dns.Name
	tries int
	most  int  // tries that it gets, by its standing when it was first asked
	out   bool // said something useless: not asked again in this step
}

// What is sent to one address in one step: it may be a packet that got lost, or
// two. A server that has answered before gets more chances, one in doubt fewer.
const (
	maxTries    = 4
	maxUnknown  = 3
	maxDoubtful = 2
)

// exploreOneIn is how rarely a server is chosen by chance among the known ones,
// so that one that became quick is noticed [Knot 1/20].
const exploreOneIn = 20

// search is one step: one question for one zone's servers.
type search struct {
	t       *task
	zone    *cache.Delegation
	route   *Route // nil: zone is a delegation
	list    []*candidate
	pending []dns.Name // servers of which no address is known
	below   []dns.Name // those of them that are in the zone itself: only the parent can know
	lookups int        // of those, made in this step
	notes   []string   // what went wrong, for a person
	network bool       // some server did not answer at all
	heard   bool       // some server did
	spare   *reply     // a reply to be used if nothing better comes
	begun   time.Time
	onWay   []*attempt    // not over yet, at most two
	space   [2]*attempt   // for them
	done    chan *attempt // those that are; nil before it is needed
	habit   time.Duration // of the server asked last
	hedged  bool          // a second one was asked, or there is none
	subnet  netip.Prefix  // that servers are told of
}

func (t *task) newSearch(zone *cache.Delegation) *search {
	s := &search{t: t, zone: zone, route: t.routes.behind(zone), begun: t.it.Env.Now()}
	s.onWay = s.space[:0]
	if s.route != nil {
		s.addConfigured()
		return s
	}
	for _, ns := range zone.Servers {
		known := s.add(ns.Name, ns.Addrs)
		for _, typ := range t.it.addressTypes() {
			if e, ok := t.it.Cache.RRset(ns.Name, typ, t.it.now()); ok {
				known = s.add(ns.Name, addresses(e.Sets[0], t.it.Limits.Addresses)) || known
			}
		}
		known = known || s.add(ns.Name, t.knownGlue(ns.Name))
		switch {
		case known:
		case ns.Name.IsSubdomainOf(zone.Zone): // cannot be found without the zone's servers
			s.below = append(s.below, ns.Name)
		default:
			s.pending = append(s.pending, ns.Name)
		}
	}
	return s
}

// leaveOut passes over those whose answer to q was found wrong.
func (s *search) leaveOut(q dns.Question) {
	for _, d := range s.t.opts.Doubted {
		for i := range s.list {
			if c := s.list[i]; c.addr == d.Addr && d.Type == q.Type && d.Name.Equal(q.Name) {
				c.out = true
				s.note(c.addr.String() + ": its answer is bogus")
			}
		}
	}
}

// knownGlue returns the glue that a parent gave for a server, whichever zone it
// was for: it is good enough to ask there, and saves asking for its address.
func (t *task) knownGlue(name dns.Name) []netip.Addr {
	now := t.it.now()
	for zone := name; !zone.IsRoot(); zone = zone.Parent() {
		d, ok := t.it.Cache.Delegation(zone, now)
		if !ok {
			continue
		}
		for _, s := range d.Servers {
			if s.Name.Equal(name) {
				return s.Addrs
			}
		}
	}
	return nil
}

// add takes addresses as candidates, each once: many names for one machine do
// not make it be asked more often.
func (s *search) add(name dns.Name, addrs []netip.Addr) (any bool) {
next:
	for _, a := range addrs {
		if !s.t.it.usable(a) {
			continue
		}
		any = true
		if a.Is4() && s.t.it.NAT64.IsValid() {
			a = policy.Embed(s.t.it.NAT64, a)
		}
		for i := range s.list {
			if s.list[i].addr == a {
				continue next
			}
		}
		to := s.targetOf(name)
		to.Addr = netip.AddrPortFrom(a, to.Addr.Port())
		s.list = append(s.list, &candidate{addr: a, name: name, to: to, out: s.t.budget.isMute(a)})
	}
	return any
}

// addressTypes returns the types of address that can be used, IPv4 first.
func (it *Iterator) addressTypes() []dns.Type {
	switch {
	case it.NoIPv4 && !it.NAT64.IsValid():
		return []dns.Type{dns.TypeAAAA}
	case it.NoIPv6:
		return []dns.Type{dns.TypeA}
	}
	return []dns.Type{dns.TypeA, dns.TypeAAAA}
}

// addresses reads an address RRset, at most limit of it.
func addresses(set cache.RRset, limit int) []netip.Addr {
	var list []netip.Addr
	for _, d := range set.Data[:min(len(set.Data), limit)] {
		if a, ok := netip.AddrFromSlice(d); ok {
			list = append(list, a)
		}
	}
	return list
}

// next chooses whom to ask: a server not yet tried that seems well; failing
// that, one whose address must be found first; failing that, one more try of
// those that kept silent or are in doubt.
func (s *search) next() (*candidate, standing, error) {
	for {
		if c, st := s.choose(func(c *candidate, st standing) bool { return c.tries == 0 && !st.doubtful }); c != nil {
			return c, st, nil
		}
		more, err := s.lookUpServer()
		if err != nil {
			return nil, standing{}, err
		}
		if !more {
			break
		}
	}
	for tries := range maxTries {
		if tries > 1 && s.spare != nil || tries > 0 && !s.heard && s.t.it.Env.Now().Sub(s.begun) > silentStep {
			break
		}
		fit := func(c *candidate, st standing) bool {
			return c.tries == tries && (tries == 0 || tries < c.most) && !st.hopeless
		}
		if c, st := s.choose(fit); c != nil {
			return c, st, nil
		}
	}
	return nil, standing{}, nil
}

// choose returns the best candidate that is fit, nil where none is.
func (s *search) choose(fit func(*candidate, standing) bool) (best *candidate, chosen standing) {
	it, now := s.t.it, s.t.it.Env.Now()
	dice := it.Env.Uint64()
	explore, quickest := dice%exploreOneIn == 0, maxRTO
	for _, c := range s.list {
		if c.out || s.isOnWay(c) {
			continue
		}
		roll := it.Env.Uint64()
		st := it.servers.standing(c.to.Addr, s.zone.Zone, now, roll)
		if st.known {
			quickest = min(quickest, st.rto)
		}
		if st.hopeless {
			s.note(c.addr.String() + " has kept silent for a while")
		}
		if !fit(c, st) {
			continue
		}
		if explore {
			st.score = time.Duration(roll % uint64(time.Second))
		}
		if best == nil || st.score < chosen.score {
			best, chosen = c, st
		}
	}
	if explore { // curiosity must not cost the client much
		chosen.rto = min(chosen.rto, 2*quickest)
		chosen.habit = min(chosen.habit, quickest)
	}
	return best, chosen
}

func (s *search) isOnWay(c *candidate) bool {
	return slices.ContainsFunc(s.onWay, func(a *attempt) bool { return a.c == c })
}

// patience is how long to wait for a candidate. One that kept silent in this step
// may be slower than it was: only the first wait is as short as its habit allows.
func (c *candidate) patience(st standing) time.Duration {
	wait := max(st.rto, secondWait[c.tries])
	if !st.known {
		wait = min(wait, unknownMost)
	}
	return wait
}

var secondWait = [maxTries]time.Duration{0, 600 * time.Millisecond, 1200 * time.Millisecond, 1800 * time.Millisecond}

// chances returns how often a server of that standing may be asked in one step.
func (st standing) chances() int {
	switch {
	case st.doubtful:
		return maxDoubtful
	case st.known:
		return maxTries
	}
	return maxUnknown
}

// unknownMost is the longest wait for a server that has never answered.
const unknownMost = 1200 * time.Millisecond

// probeFamily asks a server of a family that seems down, beside the one that was
// asked just now: so it is noticed within seconds that it is back.
func (s *search) probeFamily(q dns.Question) error {
	it := s.t.it
	if len(s.list) < 2 || s.hedged || !it.servers.aFamilyIsBad() {
		return nil
	}
	habit := s.habit
	c, st := s.choose(func(c *candidate, st standing) bool { return c.tries == 0 && st.doubtful && !st.hopeless })
	if c == nil || !it.servers.probeFamily(c.addr, it.Env.Now()) {
		return nil
	}
	s.hedged = true
	defer func() { s.habit = habit }()
	return s.start(c, q, st)
}

// lookUpServer finds the addresses of one more server by a look-up of its own,
// on the same budget. It reports whether there was one to look up.
func (s *search) lookUpServer() (bool, error) {
	t := s.t
	if len(s.pending) == 0 && len(s.list) == 0 && len(s.below) > 0 {
		return true, s.askParent()
	}
	if len(s.pending) == 0 || s.lookups >= s.mostLookups() {
		return false, nil
	}
	i := int(t.it.Env.Uint64() % uint64(len(s.pending)))
	name := s.pending[i]
	s.pending = append(s.pending[:i], s.pending[i+1:]...)
	s.lookups++
	found := false
	for _, typ := range t.it.addressTypes() {
		q := dns.Question{Name: name, Type: typ, Class: dns.ClassIN}
		if t.inProgress(q) {
			continue // it is for this very name that we are here
		}
		if err := t.budget.takeLookup(); err != nil {
			return false, err
		}
		t.traceNSLookup(s.zone.Zone, q)
		set, err := t.address(q)
		if err != nil {
			if t.ctx.Err() != nil || t.spent() != nil {
				return false, err
			}
			continue
		}
		if found = s.add(name, addresses(set, t.it.Limits.Addresses)) || found; found {
			break // one family will do: the other is found when it is asked for
		}
	}
	found = found || s.add(name, t.knownGlue(name)) // learnt on the way, and better than nothing
	if !found {
		s.note(name.String() + " has no usable address")
	}
	return true, nil
}

// mostLookups is how many servers' addresses are looked for in one step: twice as
// many where none was found yet and there is little else to do, as zones with
// dead names among their servers are not all attacks (Unbound issue 362).
func (s *search) mostLookups() int {
	most := s.t.it.Limits.ZoneNSLookups
	if len(s.list) == 0 && s.t.it.busy() < calmBelow {
		most *= 2
	}
	return most
}

// askParent asks the parent for the addresses of servers that lie in their own zone
// and came without glue, as a referral may be short of it. What it says serves to
// ask there, and for nothing else: it is not the parent's to say.
func (s *search) askParent() error {
	t, names := s.t, s.below
	s.below = nil
	parent, ok := t.it.Cache.Delegation(s.zone.Parent, t.it.now())
	if !ok || s.zone.Zone.IsRoot() || s.route != nil {
		return nil
	}
	var found []cache.NameServer
	for _, name := range names[:min(len(names), t.it.Limits.ZoneNSLookups)] {
		for _, typ := range t.it.addressTypes() {
			q := dns.Question{Name: name, Type: typ, Class: dns.ClassIN}
			if err := t.budget.takeLookup(); err != nil {
				return err
			}
			t.traceNSLookup(s.zone.Zone, q)
			r, err := t.newSearch(parent).run(q)
			if err != nil && t.final(err) {
				return err
			}
			if err == nil && s.add(name, r.addressesOf(q, t.it.Limits.Addresses)) {
				found = append(found, cache.NameServer{Name: name, Addrs: r.addressesOf(q, t.it.Limits.Addresses)})
				break
			}
		}
	}
	if len(found) > 0 { // remembered, for as long as the delegation
		with := *s.zone
		with.Servers = append(found, slices.DeleteFunc(slices.Clone(with.Servers), func(ns cache.NameServer) bool {
			return slices.ContainsFunc(found, func(f cache.NameServer) bool { return f.Name.Equal(ns.Name) })
		})...)
		t.it.Cache.PutDelegation(&with, t.it.now())
	}
	return nil
}

// addressesOf returns the addresses of q's name in a reply: as an answer, or as
// glue of a referral.
func (r *reply) addressesOf(q dns.Question, limit int) []netip.Addr {
	if r.outcome == OutcomeAnswer && len(r.chain) == 1 {
		return addresses(r.chain[0], limit)
	}
	for _, server := range r.child.servers {
		if server.Name.Equal(q.Name) {
			return server.Addrs
		}
	}
	return nil
}

// maxNotes bounds the text of an extended error.
const maxNotes = 4

func (s *search) note(text string) {
	if len(s.notes) < maxNotes && !slices.Contains(s.notes, text) {
		s.notes = append(s.notes, text)
	}
}

// failure says why the step came to nothing (RFC 8914 §4.23, §4.24).
func (s *search) failure(q dns.Question) *Failure {
	if len(s.notes) == 0 {
		s.note("none has a usable address")
	}
	f := failure(dns.EDENoReachableAuthority, "no server of %s gave an answer for %s %s: %s",
		s.zone.Zone, q.Name, q.Type, strings.Join(s.notes, "; "))
	f.silent = s.network && !s.heard
	if f.silent && s.t.it.servers.linkIsDown() {
		f.EDE[0].Text += "; the root servers are silent, too: our own link seems to be down"
	}
	if s.network {
		f.EDE = append(f.EDE, dns.EDE{Code: dns.EDENetworkError})
	}
	return f
}
