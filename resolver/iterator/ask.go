package iterator

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
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
	ask := func() (*reply, error) {
		s := t.newSearch(zone)
		s.leaveOut(q)
		r, err := s.run(q)
		if err != nil {
			return nil, err
		}
		t.learn(zone, q, r)
		return r, nil
	}
	if len(t.opts.Doubted) > 0 {
		return ask() // what others are told may be what is doubted
	}
	return t.shared(zone.Zone, route, q, ask)
}

func (s *search) run(q dns.Question) (*reply, error) {
	sent := int(s.t.budget.queries.Load())
	for int(s.t.budget.queries.Load())-sent < s.t.it.Limits.ZoneQueries {
		c, wait, err := s.next()
		if err != nil {
			return nil, err
		}
		if c == nil {
			break
		}
		c.tries++
		r, err := s.try(c, q, wait)
		if err != nil {
			return nil, err
		}
		if r != nil {
			return r, nil
		}
	}
	if s.spare != nil {
		return s.spare, nil
	}
	return nil, s.failure(q)
}

// try asks one server. A nil reply without an error means: the next one, please.
func (s *search) try(c *candidate, q dns.Question, wait time.Duration) (*reply, error) {
	r, err := s.converse(c, q, wait)
	if r != nil {
		r.source = Source{q.Name, q.Type, c.addr}
	}
	now := s.t.it.Env.Now()
	s.heard = s.heard || err == nil
	switch {
	case err != nil:
		return nil, s.noReply(c, err, now)
	case r.outcome == OutcomeLame || r.outcome == OutcomeError && r.rcode == dns.RCodeRefused:
		c.out = true
		s.t.it.servers.markLame(c.addr, s.zone.Zone, now)
		s.note(fmt.Sprintf("%s: %s", c.addr, r.reason))
		return nil, nil
	case r.outcome == OutcomeError || r.outcome == OutcomeTruncated:
		c.out = true
		s.note(fmt.Sprintf("%s: %s", c.addr, r.reason))
		return nil, nil
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
func (s *search) noReply(c *candidate, err error, now time.Time) error {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	if s.t.ctx.Err() != nil {
		return s.t.outOfTime(s.notes...)
	}
	s.network = true
	kind := exchangeKind(err)
	if kind == transport.Unreachable {
		c.out = true
		s.t.it.servers.unreachable(c.addr, now)
	} else {
		s.t.it.servers.silent(c.addr, now)
	}
	s.note(fmt.Sprintf("%s %s", c.addr, kind))
	return nil
}

// exchangeKind says why there was no reply.
func exchangeKind(err error) transport.Kind {
	var x *transport.ExchangeError
	switch {
	case errors.As(err, &x):
		return x.Kind
	case errors.Is(err, context.DeadlineExceeded):
		return transport.Timeout
	}
	return transport.Failed
}

// converse has the exchange with one server that its replies call for: again
// without EDNS where it does not know that (RFC 6891 §6.2.2), again over TCP
// where the reply was cut short, or where somebody sends forged ones.
func (s *search) converse(c *candidate, q dns.Question, wait time.Duration) (*reply, error) {
	t := s.t
	x := exchange{server: c.addr, to: c.to, name: c.name, zone: s.zone.Zone, route: s.route, q: q, wait: s.route.patience(&c.to, wait)}
	x.to.Addr = netip.AddrPortFrom(c.addr, c.to.Addr.Port())
	x.edns = !t.it.servers.plain(c.addr, t.it.Env.Now())
	r, err := t.send(&x)
	if err == nil && x.edns && ednsTrouble(r) {
		x.edns = false
		if r, err = t.send(&x); err == nil && r.outcome != OutcomeError && r.outcome != OutcomeLame {
			t.it.servers.markPlain(c.addr, t.it.Env.Now())
		}
	}
	if x.to.Proto == transport.UDP && (err == nil && r.outcome == OutcomeTruncated || err != nil && exchangeKind(err) == transport.Spoofed) {
		x.to.Proto, x.wait = transport.TCP, max(2*wait, unknownRTO) // two round trips
		r, err = t.send(&x)
	}
	return r, err
}

func ednsTrouble(r *reply) bool {
	if r.outcome != OutcomeError {
		return false
	}
	switch r.rcode {
	case dns.RCodeFormErr, dns.RCodeNotImp, dns.RCodeBadVers:
		return true
	}
	return false
}

// exchange is one packet there and one back.
type exchange struct {
	server netip.Addr
	to     Target
	name   dns.Name
	zone   dns.Name
	route  *Route // nil: the servers are those that referrals named
	q      dns.Question
	edns   bool
	wait   time.Duration
}

// send does the exchange and reads the reply. A reply that is no proper message
// has outcome OutcomeLame.
func (t *task) send(x *exchange) (*reply, error) {
	if t.ctx.Err() != nil {
		return nil, t.outOfTime()
	}
	if err := t.budget.takeQuery(); err != nil {
		return nil, err
	}
	sent := x.q
	if t.it.RandomCase && x.to.Proto == transport.UDP {
		sent.Name = t.it.randomCase(sent.Name)
	}
	ctx, cancel := context.WithTimeout(t.ctx, x.wait)
	defer cancel()
	t.traceAsk(x, sent)
	start := t.it.Env.Now()
	raw, err := t.it.Env.Exchange(ctx, x.to, t.it.query(x, sent))
	now := t.it.Env.Now()
	if err != nil {
		t.traceReply(x, sent, now.Sub(start), 0, nil, err)
		return nil, err
	}
	t.budget.addBytes(len(raw))
	t.it.servers.answered(x.server, now.Sub(start), now)
	r := t.it.read(x, sent, raw)
	t.traceReply(x, sent, now.Sub(start), len(raw), r, nil)
	return r, nil
}

// query returns the query for q in wire form. DNSSEC records are always asked
// for: they are kept with what they sign, for the clients that want them.
func (it *Iterator) query(x *exchange, q dns.Question) []byte {
	m := dns.NewQuery(uint16(it.Env.Uint64()), q, x.route.forwards())
	if x.route.forwards() && it.Validating.Load() {
		m.Flags |= dns.FlagCD
	}
	if x.edns {
		m.EDNS = &dns.EDNS{UDPSize: it.UDPSize, DO: true}
	}
	out, err := m.Append(make([]byte, 0, 300))
	if err != nil {
		panic("resolver: a query of one name does not fit: " + err.Error()) // 300 octets at most
	}
	return out
}

// read parses a reply and checks that it replies to sent.
func (it *Iterator) read(x *exchange, sent dns.Question, raw []byte) *reply {
	h, ok := dns.ParseHeader(raw)
	if ok && h.Flags.Has(dns.FlagQR|dns.FlagTC) {
		// RFC 2181 §9: what was cut short is not used, not even if it can be read,
		// and not even over TCP, where it makes no sense.
		return &reply{outcome: OutcomeTruncated, rcode: h.Flags.RCode(), reason: "truncated"}
	}
	m, err := dns.ParseMessage(raw)
	if err != nil {
		return &reply{outcome: OutcomeLame, reason: "malformed reply: " + err.Error()}
	}
	got := m.Question()
	switch {
	case !m.Flags.Has(dns.FlagQR), m.Flags.Opcode() != dns.OpcodeQuery:
		return lame(m, "not a response to a query")
	case len(m.Questions) == 0 && m.RCode != dns.RCodeNoError && m.RCode != dns.RCodeNXDomain:
		// A server that could not read the question cannot repeat it.
	case len(m.Questions) != 1, !got.Name.Equal(sent.Name), got.Type != sent.Type, got.Class != sent.Class:
		return lame(m, "the reply has another question")
	case it.RandomCase && x.to.Proto == transport.UDP && got.Name != sent.Name:
		// It does not keep the case, or somebody guesses: TCP cannot be guessed.
		return &reply{outcome: OutcomeTruncated, rcode: m.RCode, reason: "case of the name not kept"}
	}
	if x.route.forwards() {
		return it.classifyForwarded(x.zone, x.q, m)
	}
	return it.classify(x.zone, x.q, m)
}

// randomCase returns n with each letter's case chosen by chance (0x20): bits
// that a forger must guess.
func (it *Iterator) randomCase(n dns.Name) dns.Name {
	b := []byte(n.Wire())
	bits, left := uint64(0), 0
	for i, c := range b {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			continue
		}
		if left == 0 {
			bits, left = it.Env.Uint64(), 64
		}
		b[i] = c&^0x20 | byte(bits&1)<<5
		bits, left = bits>>1, left-1
	}
	mixed, err := dns.NameFromWire(b)
	if err != nil {
		return n
	}
	return mixed
}
