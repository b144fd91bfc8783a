package iterator

import (
	"errors"
	"math"
	"slices"

	"onoma/dns"
	"onoma/resolver/cache"
)

// walk is the way down the tree to the zone that has the answer to q (RFC 1034
// §5.3.3). It is the only place that asks.
type walk struct {
	t          *task
	q          dns.Question
	min        minimiser
	zone       *cache.Delegation
	spare      *cache.Delegation // a nearer one whose lease is about to end
	remembered bool              // zone comes from the cache, and may be outdated
	around     bool              // q's route failed, and is done without
	silent     *cache.Delegation // one that was thought to be, and
	reason     error             // why
}

// errStopped ends a look-up where Options.Stop says so.
var errStopped = errors.New("stopped by who asks")

func (t *task) walk(q dns.Question) (*finding, error) {
	w := walk{t: t, q: q, min: minimiser{full: q, off: t.it.NoMinimise}}
	if err := w.start(); err != nil {
		return nil, err
	}
	if f, ok := t.lasting(q); ok {
		return f, nil // learnt on the way, as the root's NS RRset is by priming
	}
	for range t.it.Limits.Referrals {
		if t.opts.Stop != nil && len(t.stack) == 1 && t.opts.Stop(q.Name) {
			return nil, errStopped
		}
		if f, err := w.step(); f != nil || err != nil {
			return f, err
		}
	}
	return nil, exhausted("%d referrals and steps on the way to one name", t.it.Limits.Referrals)
}

func (w *walk) start() (err error) {
	route := w.t.routes.For(w.q)
	if route != nil { // names above it have another route, and what is said of them counts there only
		w.min.known = max(w.min.known, route.Zone.NumLabels()-1)
	}
	if w.around || route != nil && route.Kind == RouteIterate {
		route = nil
	}
	w.min.off = w.t.it.NoMinimise || route.forwards() // RFC 9156 §2: a resolver is asked for what it is to look up
	w.zone, w.spare, err = w.t.closest(w.q, route)
	w.remembered = err == nil && !w.zone.Zone.IsRoot() && w.t.routes.behind(w.zone) == nil
	return err
}

// step asks one question of the present zone; a finding ends the walk.
func (w *walk) step() (*finding, error) {
	ask, full := w.min.next(w.zone.Zone)
	if !full {
		exists, denied := w.t.known(ask)
		switch {
		case denied != nil && w.zone.Zone.IsRoot():
			return denied, nil
		case exists:
			w.min.exists(ask.Name)
			return nil, nil
		}
	}
	r, err := w.t.ask(w.zone, ask)
	if err != nil {
		return nil, w.recover(err, full)
	}
	switch {
	case r.outcome == OutcomeReferral:
		return nil, w.descend(r)
	case full:
		return w.t.finding(w.zone, r), nil
	case r.outcome == OutcomeNXDomain && w.zone.Zone.IsRoot():
		// RFC 8020: nothing is below a name that does not exist. The root's
		// servers are known to mean it; of others it is known that many deny
		// empty non-terminals, so they get the whole name.
		return w.t.finding(w.zone, r), nil
	case r.outcome == OutcomeNXDomain, r.covered(w.q.Name):
		w.min.stop()
	default:
		w.min.exists(ask.Name)
	}
	return nil, nil
}

// recover finds another way on after a step that came to nothing; it returns
// the error where there is none.
func (w *walk) recover(err error, full bool) error {
	switch {
	case w.t.final(err):
		return err
	case !full && !silence(err):
		w.min.stop() // RFC 9156 §3: broken servers get the whole name after all
	case w.spare != nil:
		w.zone, w.spare = w.spare, nil
	case w.remembered && !w.t.it.servers.linkIsDown():
		// Its parent may have moved it since (RFC 1034 §5.3.3, step 4d).
		w.silent, w.reason = w.zone, err
		w.t.it.Cache.DropDelegation(w.zone.Zone)
		err = w.start()
		w.remembered = false
		return err
	case w.mayGoAround():
		w.around = true
		return w.start()
	case w.reason != nil:
		return w.reason
	default:
		return err
	}
	return nil
}

// mayGoAround reports whether the route that failed may be done without.
func (w *walk) mayGoAround() bool {
	route := w.t.routes.For(w.q)
	return !w.around && route != nil && route.Fallback
}

// descend goes on to the zone that a referral leads to.
func (w *walk) descend(r *reply) error {
	w.zone, w.spare, w.remembered = w.t.descend(w.zone, r), nil, false
	if w.silent != nil && sameServers(w.zone, w.silent) {
		return w.reason
	}
	return nil
}

// final reports whether err ends the whole question, not only this step.
func (t *task) final(err error) bool {
	var f *Failure
	return t.ctx.Err() != nil || errors.As(err, &f) && (f.Budget || f.crowded)
}

// silence reports whether err says that no server gave any reply at all.
func silence(err error) bool {
	var f *Failure
	return errors.As(err, &f) && f.silent
}

// sameServers reports whether two delegations of a zone have the same servers.
func sameServers(a, b *cache.Delegation) bool {
	return a.Zone.Equal(b.Zone) && slices.EqualFunc(a.Servers, b.Servers, func(x, y cache.NameServer) bool {
		return x.Name.Equal(y.Name) && slices.Equal(x.Addrs, y.Addrs)
	})
}

// covered reports whether a DNAME in the reply stands above name.
func (r *reply) covered(name dns.Name) bool {
	for _, set := range r.chain {
		if set.Type == dns.TypeDNAME && name.IsSubdomainOf(set.Name) {
			return true
		}
	}
	return false
}

// known says what the cache knows of a minimised name: that it exists, or the
// finding that it does not.
func (t *task) known(ask dns.Question) (exists bool, denied *finding) {
	f, ok := t.cached(ask)
	switch {
	case !ok:
		return false, nil
	case f.outcome == OutcomeNXDomain:
		return false, f
	case f.outcome == OutcomeAlias && f.chain[0].Type == dns.TypeDNAME:
		return false, nil
	}
	return true, nil
}

// closest returns the nearest delegation at or above q's name that is known,
// for DS above it (RFC 4035 §3.1.4.1), down to where its route begins. One whose lease is about to end is
// passed over, so that the parent renews it in time, and returned as spare.
func (t *task) closest(q dns.Question, route *Route) (zone, spare *cache.Delegation, err error) {
	if route.forwards() {
		return route.cut, nil, nil
	}
	n := q.Name
	if q.Type == dns.TypeDS && !n.IsRoot() {
		n = n.Parent()
	}
	now := t.it.now()
	for ; !n.IsRoot(); n = n.Parent() {
		if route != nil && n.Equal(route.Zone) {
			break
		}
		d, ok := t.it.Cache.Delegation(n, now)
		switch {
		case ok && !d.Due(now):
			return d, spare, nil
		case ok && spare == nil:
			spare = d
		}
	}
	if route != nil {
		zone, err = t.beginning(route)
	} else {
		zone, err = t.root()
	}
	if err != nil && spare != nil && !t.final(err) {
		return spare, nil, nil
	}
	return zone, spare, err
}

// lease returns until when data of a zone may be kept. The root is nobody's
// grant.
func lease(zone *cache.Delegation) uint32 {
	if zone.Zone.IsRoot() {
		return math.MaxUint32
	}
	return zone.Expire
}

// expire returns when something of zone with that TTL is to be forgotten.
func (t *task) expire(zone *cache.Delegation, ttl, most uint32) uint32 {
	return min(t.it.now()+min(ttl, most), lease(zone))
}

// descend returns the delegation that a reply of zone's servers is.
func (t *task) descend(zone *cache.Delegation, r *reply) *cache.Delegation {
	now := t.it.now()
	return &cache.Delegation{
		Zone: r.child.zone, Parent: zone.Zone, Servers: r.child.servers, Granted: now,
		Expire: t.expire(zone, r.child.ttl, seconds(t.it.Limits.MaxTTL)),
	}
}

// learn puts what a reply says into the cache. This is the one way into it, and
// the reply holds only what zone's servers may speak of.
func (t *task) learn(zone *cache.Delegation, q dns.Question, r *reply) {
	if t.routes != t.it.Routes() {
		return // the routes were replaced meanwhile, and the cache flushed of what they were
	}
	c, now, most := t.it.Cache, t.it.now(), seconds(t.it.Limits.MaxTTL)
	trust := cache.TrustAnswer
	if r.aa {
		trust = cache.TrustAuthority
	}
	for i := range r.chain {
		set := &r.chain[i]
		if t.it.tooLarge(set) || r.scope.IsValid() {
			continue
		}
		if r.synthetic(i) {
			c.PutSynthetic(&r.chain[i-1], set, trust, zone.Zone, now, t.expire(zone, set.TTL, most))
			continue
		}
		c.PutRRset(set, trust, zone.Zone, now, t.expire(zone, set.TTL, most))
	}
	switch r.outcome {
	case OutcomeReferral:
		c.PutDelegation(t.descend(zone, r), now)
		t.learnDS(zone, r)
	case OutcomeNoData, OutcomeNXDomain:
		t.learnNegative(zone, q, r, trust)
	}
}

// learnDS remembers what a referral says of the child's DS set: what it is, or the
// proof that there is none (RFC 4035 §3.1.4), which spares validation a question.
func (t *task) learnDS(zone *cache.Delegation, r *reply) {
	now, most := t.it.now(), seconds(t.it.Limits.MaxTTL)
	ds, proof := &r.child.ds, r.authority
	switch {
	case r.child.hasDS && !t.it.tooLarge(ds):
		t.it.Cache.PutRRset(ds, cache.TrustReferral, zone.Zone, now, t.expire(zone, ds.TTL, most))
	case !r.child.hasDS && len(proof) > 0:
		ttl := r.child.ttl
		for _, set := range proof {
			ttl = min(ttl, set.TTL)
		}
		e := cache.Entry{Trust: cache.TrustReferral, Zone: zone.Zone, Sets: proof}
		e.Expire = t.expire(zone, ttl, seconds(t.it.Limits.MaxNegativeTTL))
		t.it.Cache.PutNoData(r.child.zone, dns.TypeDS, e, now)
	}
}

func (t *task) learnNegative(zone *cache.Delegation, q dns.Question, r *reply, trust cache.Trust) {
	now := t.it.now()
	e := cache.Entry{Trust: trust, Zone: zone.Zone, Sets: r.authority}
	e.Expire = t.expire(zone, r.negTTL, seconds(t.it.Limits.MaxNegativeTTL))
	if r.outcome == OutcomeNXDomain {
		if t.routes.Of(r.negName) != t.routes.For(q) {
			return // DS where a route begins: the parent denies a name of which others speak
		}
		t.it.Cache.PutNXDomain(r.negName, e, now)
		return
	}
	t.it.Cache.PutNoData(r.negName, q.Type, e, now)
}

// synthetic reports whether set i of the chain is the CNAME made from a DNAME.
func (r *reply) synthetic(i int) bool {
	return i > 0 && r.chain[i].Type == dns.TypeCNAME && r.chain[i-1].Type == dns.TypeDNAME
}

// tooLarge reports whether a set is passed on without being remembered.
func (it *Iterator) tooLarge(set *cache.RRset) bool {
	size := 0
	for _, d := range set.Data {
		size += len(d)
	}
	for _, d := range set.Sigs {
		size += len(d)
	}
	return len(set.Data) > it.Limits.RRsetRecords || size > it.Limits.RRsetBytes
}

// finding turns a reply into what its look-up found, with TTLs as remembered.
func (t *task) finding(zone *cache.Delegation, r *reply) *finding {
	now, most := t.it.now(), seconds(t.it.Limits.MaxTTL)
	f := &finding{outcome: r.outcome, rcode: r.rcode, target: r.target, ttl: dns.MaxTTL, source: r.source, scope: r.scope}
	for _, set := range r.chain {
		set.TTL = t.expire(zone, set.TTL, most) - now
		set.Proof = t.leased(zone, set.Proof)
		f.chain = append(f.chain, set)
		f.ttl = min(f.ttl, set.TTL)
	}
	if r.outcome == OutcomeNoData || r.outcome == OutcomeNXDomain {
		ttl := t.expire(zone, r.negTTL, seconds(t.it.Limits.MaxNegativeTTL)) - now
		f.ttl = min(f.ttl, ttl)
		f.authority = t.leased(zone, r.authority)
		for i := range f.authority {
			if f.authority[0].Type == dns.TypeSOA { // else it is a proof alone, which says for itself how long it holds
				f.authority[i].TTL = ttl
			}
		}
	}
	return f
}

// leased returns proofs of zone with the TTLs that its lease leaves them.
func (t *task) leased(zone *cache.Delegation, proofs []cache.RRset) []cache.RRset {
	now, most := t.it.now(), seconds(t.it.Limits.MaxTTL)
	list := slices.Clone(proofs)
	for i := range list {
		list[i].TTL = t.expire(zone, list[i].TTL, most) - now
	}
	return list
}
