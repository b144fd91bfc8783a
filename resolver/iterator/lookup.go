package iterator

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"onoma/dns"
	"onoma/resolver/cache"
)

// task is one client's question, with all look-ups made on its behalf. It
// belongs to one goroutine, except for waits.
type task struct {
	it       *Iterator
	ctx      context.Context
	opts     Options
	id       uint64
	question dns.Question
	budget   *Budget
	stack    []setKey // look-ups in progress, the innermost last
	waits    *task    // whose flight it waits for; under flights.mu
	routes   *Routes
}

// finding is what is known of one name and type, from the cache or just asked.
type finding struct {
	outcome   Outcome // answer, alias, nodata or nxdomain
	rcode     dns.RCode
	status    cache.Status
	chain     []cache.RRset
	target    dns.Name
	authority []cache.RRset
	ttl       uint32
	source    Source       // who was asked just now, if anybody
	scope     netip.Prefix // whom it is for; see Answer.Scope
}

// lookup answers q: it follows aliases until there is an answer, each link a
// look-up of its own where the reply does not hold the next one.
func (t *task) lookup(q dns.Question) (*Answer, error) {
	a := &Answer{TTL: dns.MaxTTL, Status: cache.Secure}
	var seen map[string]bool
	for {
		local := t.local(q)
		if local == nil && t.opts.Alias != nil && len(a.Chain) > 0 {
			local = t.opts.Alias(q)
		}
		if local != nil && !t.opts.Proof {
			a.append(&finding{rcode: local.RCode, status: a.Status, chain: local.Chain, authority: local.Authority, ttl: local.TTL})
			a.Local, a.Additional = q.Name, local.Additional
			return a, nil
		}
		f, err := t.find(q)
		if err == errStopped {
			a.append(&finding{status: a.Status, ttl: a.TTL})
			a.Local = q.Name
			return a, nil
		}
		if err != nil {
			if err = t.failed(q, err); q != t.question {
				err = t.failed(t.question, err)
			}
			return nil, err
		}
		a.append(f)
		if seen == nil && hasAlias(f.chain) {
			seen = map[string]bool{q.Name.Fold().Wire(): true}
		}
		if err := t.countAliases(f, q.Type, seen); err != nil {
			return nil, t.failed(t.question, err)
		}
		if f.source.Addr.IsValid() {
			a.Sources = append(a.Sources, f.source)
		}
		if f.outcome != OutcomeAlias || t.opts.Proof {
			return a, nil
		}
		q.Name = f.target
	}
}

func (a *Answer) append(f *finding) {
	for _, set := range f.chain {
		if !a.has(set) {
			a.Chain = append(a.Chain, set)
		}
	}
	a.Authority, a.RCode, a.TTL, a.Status = f.authority, f.rcode, min(a.TTL, f.ttl), min(a.Status, f.status)
	if f.scope.Bits() > a.Scope.Bits() {
		a.Scope = f.scope
	}
}

// has reports whether a DNAME is in the chain already: one may serve twice.
func (a *Answer) has(set cache.RRset) bool {
	return set.Type == dns.TypeDNAME && slices.ContainsFunc(a.Chain, func(s cache.RRset) bool {
		return s.Type == dns.TypeDNAME && s.Name.Equal(set.Name)
	})
}

func hasAlias(chain []cache.RRset) bool {
	return slices.ContainsFunc(chain, func(set cache.RRset) bool { return set.Type == dns.TypeCNAME })
}

// countAliases charges the budget for each alias and notices a name that comes
// up twice.
func (t *task) countAliases(f *finding, typ dns.Type, seen map[string]bool) error {
	for i, set := range f.chain {
		if set.Type != dns.TypeCNAME {
			continue
		}
		if f.outcome == OutcomeAnswer && typ == dns.TypeCNAME && i == len(f.chain)-1 {
			break // it is the answer, and not followed
		}
		target, ok := nameOf(set.Data[0])
		if key := target.Fold().Wire(); !ok || seen[key] {
			return failure(dns.EDEOther, "alias loop at %s", target)
		} else {
			seen[key] = true
		}
		if err := t.budget.takeAlias(); err != nil {
			return err
		}
	}
	return nil
}

// local asks whoever has answers of its own for a name.
func (t *task) local(q dns.Question) *Answer {
	if t.it.Local == nil {
		return nil
	}
	a := t.it.Local(q)
	if a != nil {
		t.traceCached(q, &finding{outcome: OutcomeAnswer, rcode: a.RCode, chain: a.Chain, ttl: a.TTL}, true)
	}
	return a
}

// find returns what is known of q's name and type, asking if need be.
func (t *task) find(q dns.Question) (*finding, error) {
	if f, ok := t.present(q); ok {
		t.traceCached(q, f, false)
		return f, nil
	}
	if t.opts.CacheOnly {
		if f, ok := t.localReply(q); ok {
			return f, nil
		}
		return nil, ErrNotCached
	}
	if f, ok := t.it.Cache.Failure(q.Name, q.Type); ok && f.Expire > t.it.now() {
		known := failure(f.Code, "%s", f.Text)
		known.Cached = true
		known.EDE = append([]dns.EDE{{Code: dns.EDECachedError}}, known.EDE...)
		return nil, known
	}
	if t.opts.CacheOnly {
		return nil, ErrNotCached
	}
	if t.inProgress(q) {
		return nil, failure(dns.EDEOther, "%s %s depends on itself", q.Name, q.Type)
	}
	if len(t.stack) > t.it.Limits.Depth {
		return nil, exhausted("%d look-ups within one another", t.it.Limits.Depth)
	}
	t.stack = append(t.stack, keyOf(q.Name, q.Type))
	defer func() { t.stack = t.stack[:len(t.stack)-1] }()
	f, err := t.walk(q)
	if err == nil {
		if f.outcome != OutcomeAlias {
			t.forgetFailure(q)
		}
		return f, nil
	}
	return nil, err
}

// present is what is known of q, or follows from what is.
func (t *task) present(q dns.Question) (*finding, bool) {
	if f, ok := t.lasting(q); ok {
		return f, true
	}
	if f, ok := t.redirected(q); ok && t.lasts(f) {
		return f, true
	}
	f, ok := t.denied(q)
	return f, ok && t.lasts(f)
}

// lasting is what the cache knows of q, if it need not be renewed.
func (t *task) lasting(q dns.Question) (*finding, bool) {
	f, ok := t.cached(q)
	return f, ok && t.lasts(f)
}

func (t *task) lasts(f *finding) bool {
	return t.opts.Renewal == 0 || uint64(t.it.now())+uint64(f.ttl) > uint64(t.opts.Renewal)
}

// inProgress reports whether q is being looked up already, further out.
func (t *task) inProgress(q dns.Question) bool {
	k := keyOf(q.Name, q.Type)
	for _, s := range t.stack {
		if s == k {
			return true
		}
	}
	return false
}

// cached returns what the cache knows of q.
func (t *task) cached(q dns.Question) (*finding, bool) {
	c, now := t.it.Cache, t.it.now()
	if e, ok := c.RRset(q.Name, q.Type, now); ok {
		return &finding{outcome: OutcomeAnswer, status: e.Status, chain: e.Sets, ttl: e.Expire - now}, true
	}
	if followed(q.Type) {
		if e, ok := c.RRset(q.Name, dns.TypeCNAME, now); ok {
			target, _ := nameOf(e.Sets[len(e.Sets)-1].Data[0])
			return &finding{outcome: OutcomeAlias, status: e.Status, chain: e.Sets, target: target, ttl: e.Expire - now}, true
		}
	}
	if e, ok := c.NXDomain(q.Name, now); ok {
		return &finding{outcome: OutcomeNXDomain, rcode: dns.RCodeNXDomain, status: e.Status, authority: e.Sets, ttl: e.Expire - now}, true
	}
	if e, ok := c.NoData(q.Name, q.Type, now); ok && (e.Trust != cache.TrustReferral || t.opts.Proof) {
		return &finding{outcome: OutcomeNoData, status: e.Status, authority: e.Sets, ttl: e.Expire - now}, true
	}
	return nil, false
}

// redirected makes the alias that a DNAME above q's name makes of it (RFC 6672
// §3.4), if that is Secure: one that is not signed answers the names that it was
// seen with and no others, for a single forged one could take away a whole tree
// (CVE-2025-40778).
func (t *task) redirected(q dns.Question) (*finding, bool) {
	now := t.it.now()
	for at := q.Name.Parent(); !at.IsZero(); at = at.Parent() {
		e, ok := t.it.Cache.RRset(at, dns.TypeDNAME, now)
		if !ok || e.Status != cache.Secure || t.routes.For(q) != t.routes.Of(at) {
			continue
		}
		f := &finding{outcome: OutcomeAlias, status: e.Status, chain: e.Sets, ttl: e.Expire - now}
		cname, target, fits := synthesise(e.Sets[0], q.Name)
		if !fits {
			f.outcome, f.rcode = OutcomeAnswer, dns.RCodeYXDomain
			return f, true
		}
		f.chain, f.target = append(f.chain, cname), target
		return f, true
	}
	return nil, false
}

// followed reports whether an alias answers a question for records of type t: not
// where such records may stand beside it (RFC 2181 §10.1, RFC 4035 §2.5).
func followed(t dns.Type) bool {
	switch t {
	case dns.TypeCNAME, dns.TypeNSEC, dns.TypeRRSIG, dns.TypeSIG, dns.TypeKEY, dns.TypeNXT:
		return false
	}
	return true
}

// address finds an address RRset of a name server. An alias there is against
// RFC 2181 §10.3, but other resolvers follow it, so zones live with it: one link is
// followed, at the price of one more look-up.
func (t *task) address(q dns.Question) (cache.RRset, error) {
	for range 2 {
		if local := t.local(q); local != nil {
			return cache.RRset{}, failure(dns.EDENoReachableAuthority, "%s is a local name", q.Name)
		}
		f, err := t.find(q)
		if err != nil {
			return cache.RRset{}, t.failed(q, err)
		}
		if f.outcome == OutcomeAnswer && len(f.chain) > 0 && f.chain[len(f.chain)-1].Type == q.Type {
			return f.chain[len(f.chain)-1], nil
		}
		if f.outcome != OutcomeAlias {
			break
		}
		if err := t.budget.takeLookup(); err != nil {
			return cache.RRset{}, err
		}
		q.Name = f.target
	}
	return cache.RRset{}, failure(dns.EDENoReachableAuthority, "%s has no %s record", q.Name, q.Type)
}

// failed remembers that q cannot be resolved (RFC 9520 §3), and for how long
// depends on how often that came about in succession. That a budget ran out is
// remembered for the client's own question only: another one, with what is left
// of it elsewhere, may well find what this one was on the way to. Nor is it
// remembered that nobody else is left to ask: who asks with CD is content. While our
// own link is down nothing is remembered for longer than RFC 9520 §3.2 asks for.
func (t *task) failed(q dns.Question, err error) error {
	var f *Failure
	if !errors.As(err, &f) || f.Cached || f.Budget && q != t.question || f.crowded || len(t.opts.Doubted) > 0 {
		return err
	}
	now := t.it.now()
	old, _ := t.it.Cache.Failure(q.Name, q.Type)
	if t.it.servers.linkIsDown() {
		t.it.Cache.PutFailure(q.Name, q.Type, cache.Failure{Count: old.Count, Code: f.EDE[0].Code, Text: f.EDE[0].Text, Expire: now + 1}, now)
		return err
	}
	count := old.Count
	if old.Expire+seconds(t.it.Limits.MaxFailureTTL) < now {
		count = 0 // too long ago to be in succession
	}
	most := t.it.Limits.MaxFailureTTL
	if f.silent {
		most = min(most, deadMax) // perhaps it is our own link, and will be back
	}
	ttl := min(t.it.Limits.FailureTTL<<min(count, 12), most)
	t.it.Cache.PutFailure(q.Name, q.Type, cache.Failure{
		Count: min(count, 100) + 1, Code: f.EDE[0].Code, Text: f.EDE[0].Text, Expire: now + max(1, seconds(ttl)),
	}, now)
	return err
}

// forgetFailure ends the succession of failures of q.
func (t *task) forgetFailure(q dns.Question) {
	if _, ok := t.it.Cache.Failure(q.Name, q.Type); ok {
		t.it.Cache.DropFailure(q.Name, q.Type)
	}
}

// spent returns a failure if nothing more can be asked on this budget.
func (t *task) spent() error {
	b := t.budget
	if int(b.queries.Load()) >= b.limits.Queries || int(b.bytes.Load()) >= b.limits.Bytes {
		return b.takeQuery()
	}
	return nil
}

// outOfTime is the failure of a look-up whose time is over; notes are what went
// wrong in the step that it was at.
func (t *task) outOfTime(notes ...string) error {
	f := exhausted("%s", strings.Join(append([]string{t.it.Limits.Time.String() + " of time"}, notes...), "; "))
	f.EDE[0].Code, f.silent = dns.EDENoReachableAuthority, true
	return f
}
