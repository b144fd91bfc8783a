package iterator

import (
	"errors"
	"math"

	"onoma/dns"
	"onoma/resolver/cache"
)

// walk is the way down the tree to the zone that has the answer (RFC 1034
// §5.3.3). It is the only place that asks.
func (t *task) walk(q dns.Question) (*finding, error) {
	zone, spare, err := t.closest(q)
	if err != nil {
		return nil, err
	}
	remembered := !zone.Zone.IsRoot() // the zone's delegation comes from the cache: it may be outdated
	min := minimiser{full: q, off: t.it.NoMinimise}
	for range t.it.Limits.Referrals {
		ask, full := min.next(zone.Zone)
		if !full && t.known(ask) {
			min.exists(ask.Name)
			continue
		}
		r, err := t.ask(zone, ask)
		if err != nil {
			switch {
			case t.final(err):
				return nil, err
			case !full:
				min.stop() // RFC 9156 §3: broken servers get the whole name after all
			case spare != nil:
				zone, spare = spare, nil
			case remembered:
				// Its parent may have moved it since (RFC 1034 §5.3.3, step 4d).
				t.it.Cache.DropDelegation(zone.Zone)
				if zone, spare, err = t.closest(q); err != nil {
					return nil, err
				}
				remembered = false
			default:
				return nil, err
			}
			continue
		}
		switch {
		case r.outcome == OutcomeReferral:
			zone, spare, remembered = t.descend(zone, r), nil, false
		case full:
			return t.finding(zone, r), nil
		case r.outcome == OutcomeNXDomain && zone.Zone.IsRoot():
			// RFC 8020: nothing is below a name that does not exist. The root's
			// servers are known to mean it; of others it is known that many deny
			// empty non-terminals, so they get the whole name.
			return t.finding(zone, r), nil
		case r.outcome == OutcomeNXDomain, r.covered(q.Name):
			min.stop()
		default:
			min.exists(ask.Name)
		}
	}
	return nil, exhausted("%d referrals and steps on the way to one name", t.it.Limits.Referrals)
}

// final reports whether err ends the whole question, not only this step.
func (t *task) final(err error) bool {
	var f *Failure
	return t.ctx.Err() != nil || errors.As(err, &f) && f.Budget
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

// known reports whether the cache knows that the minimised name exists.
func (t *task) known(ask dns.Question) bool {
	now := t.it.now()
	if _, ok := t.it.Cache.RRset(ask.Name, ask.Type, now); ok {
		return true
	}
	_, ok := t.it.Cache.NoData(ask.Name, ask.Type, now)
	return ok
}

// closest returns the nearest delegation at or above q's name that is known,
// for DS above it (RFC 4035 §3.1.4.1). One whose lease is about to end is
// passed over, so that the parent renews it in time, and returned as spare.
func (t *task) closest(q dns.Question) (zone, spare *cache.Delegation, err error) {
	n := q.Name
	if q.Type == dns.TypeDS && !n.IsRoot() {
		n = n.Parent()
	}
	now := t.it.now()
	for ; !n.IsRoot(); n = n.Parent() {
		d, ok := t.it.Cache.Delegation(n, now)
		switch {
		case ok && !d.Due(now):
			return d, spare, nil
		case ok && spare == nil:
			spare = d
		}
	}
	zone, err = t.root()
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
	c, now, most := t.it.Cache, t.it.now(), seconds(t.it.Limits.MaxTTL)
	trust := cache.TrustAnswer
	if r.aa {
		trust = cache.TrustAuthority
	}
	for i := range r.chain {
		set := &r.chain[i]
		if t.it.tooLarge(set) || t.synthetic(r, i) {
			continue
		}
		c.PutRRset(set, trust, zone.Zone, now, t.expire(zone, set.TTL, most))
	}
	switch r.outcome {
	case OutcomeReferral:
		c.PutDelegation(t.descend(zone, r), now)
		if ds := r.child.ds; r.child.hasDS && !t.it.tooLarge(&ds) {
			c.PutRRset(&ds, cache.TrustReferral, zone.Zone, now, t.expire(zone, ds.TTL, most))
		}
	case OutcomeNoData, OutcomeNXDomain:
		t.learnNegative(zone, q, r, trust)
	}
}

func (t *task) learnNegative(zone *cache.Delegation, q dns.Question, r *reply, trust cache.Trust) {
	now := t.it.now()
	e := cache.Entry{Trust: trust, Zone: zone.Zone, Sets: r.authority}
	e.Expire = t.expire(zone, r.negTTL, seconds(t.it.Limits.MaxNegativeTTL))
	if r.outcome == OutcomeNXDomain {
		t.it.Cache.PutNXDomain(r.negName, e, now)
		return
	}
	t.it.Cache.PutNoData(r.negName, q.Type, e, now)
}

// synthetic reports whether set i of the chain is the CNAME made from a DNAME.
func (t *task) synthetic(r *reply, i int) bool {
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
	f := &finding{outcome: r.outcome, rcode: r.rcode, target: r.target, ttl: dns.MaxTTL}
	for _, set := range r.chain {
		set.TTL = t.expire(zone, set.TTL, most) - now
		f.chain = append(f.chain, set)
		f.ttl = min(f.ttl, set.TTL)
	}
	if r.outcome == OutcomeNoData || r.outcome == OutcomeNXDomain {
		ttl := t.expire(zone, r.negTTL, seconds(t.it.Limits.MaxNegativeTTL)) - now
		f.ttl = min(f.ttl, ttl)
		for _, set := range r.authority {
			set.TTL = ttl
			f.authority = append(f.authority, set)
		}
	}
	return f
}
