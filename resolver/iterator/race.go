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

// begin begins what was launched: in the look-up's own goroutine where there is
// nothing else to do meanwhile. What a server that lost the race says is still
// heard, so an attempt in a goroutine of its own may outlive its look-up.
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
		if alone {
			s.fly(ctx, a)
		} else {
			s.t.it.crew.Go(func() { s.fly(ctx, a) })
		}
	}
}

// fly has the exchange and notes in the book how it went.
func (s *search) fly(ctx context.Context, a *attempt) {
	it := s.t.it
	defer it.background.end()
	defer a.cancel()
	raw, err := it.Env.Exchange(ctx, a.to, it.query(&a.exchange))
	a.end, a.size, a.err = it.Env.Now(), len(raw), err
	it.counts.exchanged(a.to.Proto, raw, err)
	if err == nil {
		s.t.budget.addBytes(len(raw))
		a.reply = it.read(&a.exchange, raw)
	}
	it.note(a)
	s.done <- a
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
	var late <-chan time.Time
	mayHedge := s.mayHedge()
	s.begin(!mayHedge && len(s.onWay) == 1)
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
