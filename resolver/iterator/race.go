package iterator

import (
	"context"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// A step asks one server, and where that one is slower than its own habit, one
// more: the first good reply wins, and the other one still goes into the book of
// servers. What is asked twice is a small part of all that is asked, so that a
// network which is slow as a whole, or overloaded, is not made worse.

const (
	hedgeShare = 0.1  // of all questions may be asked of a second server
	mostHedges = 20   // that may be saved up
	hedgeBelow = 1000 // look-ups at the same time; with more there is no second question
)

// attempt is one question on its way to one server.
type attempt struct {
	exchange
	c      *candidate
	start  time.Time
	end    time.Time
	size   int
	reply  *reply
	err    error
	cancel context.CancelFunc // nil: not begun
}

// launch sends a question; its attempt will come through s.done.
func (s *search) launch(c *candidate, x exchange) error {
	t := s.t
	if t.ctx.Err() != nil {
		return t.outOfTime(s.notes...)
	}
	if err := t.budget.takeQuery(); err != nil {
		return err
	}
	if !t.it.background.begin() {
		return failure(dns.EDENotReady, "the resolver is shutting down")
	}
	x.sent = x.q.Name
	if !t.it.NoRandomCase && !x.sameCase {
		x.sent = t.it.randomCase(x.sent)
	}
	a := &attempt{exchange: x, c: c, start: t.it.Env.Now()}
	t.traceAsk(&a.exchange)
	s.onWay = append(s.onWay, a)
	return nil
}

// here has an exchange in the look-up's own goroutine, where most are over before
// there is anything else to do. One that takes longer than the server's habit goes
// on in another; here returns nil then.
func (s *search) here(a *attempt, mayHedge bool) (*attempt, error) {
	it, wait := s.t.it, a.wait
	if mayHedge {
		wait = min(wait, s.habit)
	}
	s.onWay = s.onWay[:0]
	defer func() {
		if a.cancel == nil {
			it.background.end()
		}
	}()
	raw, rest, err := it.Begin(s.t.ctx, a.to, it.query(&a.exchange), a.start.Add(wait))
	if rest != nil {
		ctx, cancel := context.WithTimeout(it.ctx, a.start.Add(a.wait).Sub(it.Env.Now()))
		if wait < a.wait {
			a.cancel, s.onWay = cancel, append(s.onWay, a)
			s.elsewhere(a, func() ([]byte, error) { return rest(ctx) })
			return nil, nil
		}
		raw, err = rest(ctx) // which is over
		cancel()
	}
	if err != nil && s.t.isOver() {
		return nil, s.t.outOfTime(s.notes...) // which is not the server's fault
	}
	it.over(s.t.budget, a, raw, err)
	s.t.traceReply(a)
	return a, nil
}

// isOver reports whether the look-up's time is. Its context may be told a moment later.
func (t *task) isOver() bool {
	return t.ctx.Err() != nil || !t.it.Env.Now().Before(t.budget.ends)
}

// begin begins what was launched: in the look-up's own goroutine where there is
// nothing else to do meanwhile.
func (s *search) begin(alone bool) {
	for _, a := range s.onWay {
		if a.cancel != nil {
			continue
		}
		parent := s.t.it.ctx
		if alone {
			parent = s.t.ctx
		}
		var ctx context.Context
		ctx, a.cancel = context.WithTimeout(parent, a.wait)
		exchange := func() ([]byte, error) { return s.t.it.Env.Exchange(ctx, a.to, s.t.it.query(&a.exchange)) }
		if alone {
			s.needDone()
			s.fly(a, exchange)
		} else {
			s.elsewhere(a, exchange)
		}
	}
}

// elsewhere has an exchange in a goroutine of its own. What a server that lost the
// race says is still heard, so that may outlive the look-up.
func (s *search) elsewhere(a *attempt, exchange func() ([]byte, error)) {
	s.needDone()
	s.t.it.crew.Go(func() { s.fly(a, exchange) })
}

// needDone makes the channel, which most searches do without.
func (s *search) needDone() {
	if s.done == nil {
		s.done = make(chan *attempt, 2)
	}
}

// fly has an exchange, the end of which comes through s.done.
func (s *search) fly(a *attempt, exchange func() ([]byte, error)) {
	defer s.t.it.background.end()
	defer a.cancel()
	raw, err := exchange()
	s.t.it.over(s.t.budget, a, raw, err)
	s.done <- a
}

// over notes, in the book as well, how an attempt went.
func (it *Iterator) over(b *Budget, a *attempt, raw []byte, err error) {
	a.end, a.size, a.err = it.Env.Now(), len(raw), err
	it.counts.exchanged(a.to.Proto, raw, err)
	if err == nil {
		b.addBytes(len(raw))
		a.reply = it.read(&a.exchange, raw)
	}
	it.note(a)
}

// note enters into the book what an attempt says of the server, and of our link.
// What may be forged says nothing, neither good nor bad (CVE-2023-26437), and who
// does not speak TCP may well speak UDP.
func (it *Iterator) note(a *attempt) {
	if a.err == nil {
		if a.reply.suspect {
			return
		}
		if a.followUps == 0 || a.to.Proto == transport.UDP {
			it.answered(a.to.Addr, a.start, a.end)
		}
		if len(a.reply.cookie.server) > 0 {
			it.servers.setCookie(a.to.Addr, a.cookie, a.reply.cookie.server)
		}
		if !a.knowsEDNS && a.reply.msg != nil && a.reply.msg.EDNS != nil {
			it.servers.markEDNS(a.to.Addr)
		}
		return
	}
	kind := exchangeKind(a.err)
	switch {
	case a.followUps > 0 && a.to.Proto != transport.UDP || kind == transport.Canceled || kind == transport.Spoofed:
		return
	case kind == transport.Unreachable:
		it.servers.unreachable(a.to.Addr, a.start, a.end)
	case isCommon(a.q.Type):
		it.servers.silent(a.to.Addr, a.start, a.end)
	}
	if it.servers.suspectsLink(a.end) && it.background.begin() {
		go it.checkLink()
	}
}

// isCommon reports whether every server knows how to answer questions for t, or to
// deny it. Some drop what they do not know, and are well otherwise.
func isCommon(t dns.Type) bool {
	switch t {
	case dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeSOA, dns.TypeMX, dns.TypeTXT, dns.TypeCNAME, dns.TypePTR, dns.TypeSRV, dns.TypeDS, dns.TypeDNSKEY:
		return true
	}
	return false
}

// await returns the next attempt that is over, or nil where it is time to ask
// somebody else as well.
func (s *search) await() (*attempt, error) {
	mayHedge := s.mayHedge()
	if a := s.onWay[0]; len(s.onWay) == 1 && a.cancel == nil && a.to.Proto == transport.UDP && s.t.it.Begin != nil {
		return s.here(a, mayHedge)
	}
	s.begin(!mayHedge && len(s.onWay) == 1)
	var late <-chan time.Time
	if mayHedge {
		timer := time.NewTimer(s.onWay[0].start.Add(s.habit).Sub(s.t.it.Env.Now()))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case a := <-s.done:
		for i := range s.onWay {
			if s.onWay[i] == a {
				s.onWay = append(s.onWay[:i], s.onWay[i+1:]...)
				break
			}
		}
		s.t.traceReply(a)
		return a, nil
	case <-late:
		return nil, nil
	case <-s.t.ctx.Done():
		return nil, s.t.outOfTime(s.notes...)
	}
}

func (s *search) mayHedge() bool {
	return !s.hedged && len(s.onWay) == 1 && len(s.list) > 1 && s.onWay[0].followUps == 0 && s.t.it.active.Load() < hedgeBelow
}

// hedge asks a second server, if there is one that is well and not yet asked.
func (s *search) hedge(q dns.Question) error {
	s.hedged = true
	first := s.onWay[0].c
	other := func(c *candidate, st standing) bool {
		return c.tries == 0 && !st.doubtful && familyOf(c.addr) != familyOf(first.addr)
	}
	c, st := s.choose(other)
	if c == nil || s.t.it.servers.isProven(first.addr, s.t.it.Env.Now()) {
		c, st = s.choose(func(c *candidate, st standing) bool { return c.tries == 0 && !st.doubtful })
	}
	if c == nil || !s.t.it.servers.takeHedge() {
		return nil
	}
	return s.start(c, q, st)
}

// abandon leaves those still on their way to themselves, or ends them where
// nobody is interested any more.
func (s *search) abandon(cancel bool) {
	for _, a := range s.onWay {
		if a.cancel == nil {
			s.t.it.background.end()
		} else if cancel {
			a.cancel()
		}
	}
	s.onWay = nil
}

// takeHedge reports whether one more question may be asked of a second server.
func (s *servers) takeHedge() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hedges < 1 || s.link.isDown {
		return false
	}
	s.hedges--
	return true
}
