package iterator

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/transport"
)

// ask puts q to the servers of zone until one gives a reply that can be used,
// and remembers that.
func (t *task) ask(zone *cache.Delegation, q dns.Question) (*reply, error) {
	route := t.routes.behind(zone)
	if route != nil && route.Kind == RouteLocal {
		return t.fromLocal(route, q)
	}
	tells := t.tells(zone, q)
	ask := func(subnet netip.Prefix) (*reply, error) {
		if err := t.it.crowds.enter(zone.Zone, t.it.busy(), t.it.Env.Now()); err != nil {
			return nil, err
		}
		s := t.newSearch(zone)
		s.leaveOut(q)
		s.subnet = subnet
		r, err := s.run(q)
		t.it.crowds.leave(zone.Zone, silence(err) && !t.it.servers.linkIsDown(), t.it.Env.Now())
		if err != nil {
			return nil, err
		}
		if tells && !subnet.IsValid() {
			r.forWhom(Untold)
		} else {
			r.forWhom(r.scope)
		}
		t.learn(zone, q, r)
		return r, nil
	}
	var subnet netip.Prefix
	if tells {
		subnet = t.opts.Subnet
	}
	if len(t.opts.Doubted) > 0 {
		return ask(subnet) // what others are told may be what is doubted
	}
	return t.shared(flightKey{zone.Zone.Fold().Wire(), q.Name.Fold().Wire(), q.Type, route, subnet}, zone.Zone, q, ask)
}

const (
	// silentStep is how long a step goes on where nobody at all answers, once everybody was asked.
	silentStep = 3 * time.Second
	// downQueries is what a step sends while our own link is down: enough to notice that it is back.
	downQueries = 3
)

func (s *search) run(q dns.Question) (r *reply, err error) {
	defer func() { s.abandon(r == nil) }()
	sent := int(s.t.budget.queries.Load())
	for {
		if len(s.onWay) == 0 {
			if c, st, err := s.next(); err != nil {
				return nil, err
			} else if c == nil || int(s.t.budget.queries.Load())-sent >= s.most() {
				break
			} else if err := s.start(c, q, st); err != nil {
				return nil, err
			}
			if err := s.probeFamily(q); err != nil {
				return nil, err
			}
		}
		a, err := s.await()
		switch {
		case err != nil:
			return nil, err
		case a == nil:
			err = s.hedge(q)
		default:
			r, err = s.settle(a)
		}
		if r != nil || err != nil {
			return r, err
		}
	}
	if s.spare != nil {
		return s.spare, nil
	}
	return nil, s.failure(q)
}

// most is how many packets one step may send.
func (s *search) most() int {
	if s.t.it.servers.linkIsDown() {
		return downQueries
	}
	return s.t.it.Limits.ZoneQueries
}

// start asks a server in the way that suits it. One that says nothing to EDNS and
// was never seen to know it is asked without (RFC 6891 §6.2.2), unless its zone is
// signed: then only the cookie is left out, as signatures come with EDNS alone.
func (s *search) start(c *candidate, q dns.Question, st standing) error {
	it := s.t.it
	now := it.Env.Now()
	x := exchange{server: c.addr, to: c.to, name: c.name, zone: s.zone.Zone, route: s.route, q: q, subnet: s.subnet}
	x.manners = it.servers.manners(c.to.Addr, now, it.Env.Uint64())
	x.wait, s.habit = s.route.patience(&c.to, c.patience(st)), st.habit
	if s.route != nil {
		s.habit = max(s.habit, x.wait/4)
	} else if it.servers.linkIsDown() {
		x.wait = min(x.wait, linkRTO)
	}
	switch isSigned := (x.plain || c.tries > 0) && s.isSigned(); {
	case isSigned && x.plain:
		x.plain = false
	case isSigned:
		if !x.doesCookies {
			x.cookie = nil
		}
	case c.tries > 0 && !x.knowsEDNS:
		x.plain = true
	}
	it.servers.takeDead(c.to.Addr, x.wait, now)
	if c.tries == 0 {
		c.most = st.chances()
	}
	c.tries++
	return s.launch(c, x)
}

// isSigned reports whether the zone is known to be signed.
func (s *search) isSigned() bool {
	if s.zone.Zone.IsRoot() {
		return true
	}
	_, ok := s.t.it.Cache.RRset(s.zone.Zone, dns.TypeDS, s.t.it.now())
	return ok
}

// settle decides what an attempt that is over amounts to. A nil reply without an
// error means: the next one, please.
func (s *search) settle(a *attempt) (*reply, error) {
	if x, ok := s.followUp(a); ok {
		return nil, s.launch(a.c, x)
	}
	if a.err != nil {
		return nil, s.noReply(a)
	}
	r, c := a.reply, a.c
	r.source = Source{a.q.Name, a.q.Type, c.addr, reportAgent(r.msg)}
	s.heard = s.heard || !r.suspect
	switch {
	case r.outcome == OutcomeLame || r.outcome == OutcomeError && r.rcode == dns.RCodeRefused:
		c.out = true
		if isCommon(a.q.Type) { // some refuse types that they do not know, and serve the zone otherwise
			s.t.it.servers.markLame(c.to.Addr, s.zone.Zone, a.end)
		}
		s.note(fmt.Sprintf("%s: %s", c.addr, r.reason))
		return nil, nil
	case r.outcome == OutcomeError || r.outcome == OutcomeTruncated:
		c.out = true
		s.note(fmt.Sprintf("%s: %s", c.addr, r.reason))
		return nil, nil
	}
	s.draw(a)
	switch {
	case r.recursive && r.outcome != OutcomeReferral:
		// It offers recursion and claims no authority: perhaps only a cache
		// speaks. Some broken authorities do that; their word is better than none.
		return s.doubt(c, r), nil
	case r.hollow():
		if s.spare != nil && s.spare.hollow() {
			return r, nil // a second server says the same
		}
		return s.doubt(c, r), nil
	}
	return r, nil
}

// maxFollowUps bounds how often a server is asked in another way: without a
// cookie, without EDNS, over TCP.
const maxFollowUps = 3

// followUp says how to ask the same server again where its reply calls for that:
// without EDNS where it does not know that (RFC 6891 §6.2.2), with the cookie that
// it wants (RFC 7873 §5.3), over TCP where the reply was cut short, or where
// somebody seems to send forged ones.
func (s *search) followUp(a *attempt) (x exchange, ok bool) {
	x = a.exchange
	x.followUps++
	x.after = a.reply
	r := a.reply
	overTCP := func() (exchange, bool) {
		x.to.Proto, x.wait = transport.TCP, max(2*x.wait, unknownRTO) // two round trips
		return x, a.to.Proto == transport.UDP
	}
	switch {
	case a.followUps >= maxFollowUps:
		return x, false
	case a.err != nil && exchangeKind(a.err) == transport.Spoofed:
		return overTCP()
	case a.err != nil:
		// Without TCP there is no proof, but perhaps it just does not keep the case.
		x.to.Proto, x.sameCase, x.wait = transport.UDP, true, a.wait/2
		return x, a.to.Proto == transport.TCP && a.after != nil && a.after.loose
	case r.outcome == OutcomeTruncated:
		return overTCP()
	case r.outcome == OutcomeError && r.rcode == dns.RCodeBadCookie && a.to.Proto == transport.UDP && r.cookie.isGood && a.followUps == 0:
		x.manners = s.t.it.servers.manners(a.to.Addr, a.end, s.t.it.Env.Uint64())
		return x, true
	case r.outcome == OutcomeError && r.rcode == dns.RCodeBadCookie:
		return overTCP()
	case a.balks(r):
		x.subnet = netip.Prefix{}
		return x, true
	case !a.plain && ednsTrouble(r):
		if len(x.cookie) > 0 && r.msg.EDNS != nil {
			x.cookie, x.doesCookies = nil, false // it knows EDNS, so it is the option
		} else {
			x.plain = true
		}
		return x, true
	}
	return x, false
}

// ednsTrouble reports whether a reply may be a server's helplessness before EDNS,
// or before an option. One that knows EDNS puts it into errors, too.
func ednsTrouble(r *reply) bool {
	if r.outcome != OutcomeError {
		return false
	}
	switch r.rcode {
	case dns.RCodeFormErr, dns.RCodeNotImp, dns.RCodeBadVers:
		return true
	case dns.RCodeServFail:
		return r.msg.EDNS == nil
	}
	return false
}

// draw remembers what it took to get a good reply out of a server.
func (s *search) draw(a *attempt) {
	book := s.t.it.servers
	switch said := a.after; {
	case a.plain && said != nil && ednsTrouble(said):
		book.markPlain(a.to.Addr, a.end.Add(plainFor))
	case a.plain && !a.knowsEDNS && a.c.tries > 1:
		book.markPlain(a.to.Addr, a.end.Add(plainSilence))
	case said != nil && len(a.cookie) == 0 && ednsTrouble(said):
		book.noCookies(a.to.Addr, a.end)
	}
	isProven := a.to.Proto != transport.UDP || a.reply.cookie.isGood
	if isProven && a.reply.loose {
		book.markCaseless(a.to.Addr, a.end)
	}
	if a.to.Proto != transport.UDP && a.doesCookies && !a.reply.cookie.isGood {
		book.noCookies(a.to.Addr, a.end) // as it says itself
	}
}

// doubt keeps a reply that may do if no server says better.
func (s *search) doubt(c *candidate, r *reply) *reply {
	c.out = true
	if s.spare == nil {
		s.spare = r
	}
	return nil
}

// hollow reports whether the reply is NODATA with nothing to show for it: some
// servers say that of zones that they have lost.
func (r *reply) hollow() bool {
	return r.outcome == OutcomeNoData && len(r.authority) == 0 && len(r.chain) == 0
}

// noReply notes why no reply came; it returns an error where that ends the step.
func (s *search) noReply(a *attempt) error {
	var f *Failure
	if errors.As(a.err, &f) {
		return f
	}
	if s.t.ctx.Err() != nil {
		return s.t.outOfTime(s.notes...)
	}
	s.network = true
	kind := exchangeKind(a.err)
	if kind != transport.Timeout || a.to.Proto != transport.UDP || s.t.budget.mute(a.server) {
		a.c.out = true
	}
	text := fmt.Sprintf("%s %s", a.server, kind)
	if a.to.Proto != transport.UDP {
		text += " over " + a.to.Proto.String()
	}
	if a.to.Name != "" && strings.Contains(a.err.Error(), "certificate") {
		text = fmt.Sprintf("%s does not prove to be %s over %s", a.server, a.to.Name, a.to.Proto)
	}
	s.note(text)
	return nil
}
