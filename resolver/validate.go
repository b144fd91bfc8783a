package resolver

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/resolver/iterator"
	"onoma/resolver/validator"
)

const (
	// maxDoubts is how often an answer that does not pass validation is asked for
	// again of other servers; one that is stale or broken must not decide alone.
	maxDoubts = 5
	// bogusTTL is how long it is remembered that none passed.
	bogusTTL = time.Minute
)

// inquiry is a client's question while its answer is looked up and validated.
type inquiry struct {
	r         *Resolver
	validator *validator.Validator
	q         dns.Question
	asking    asking
	budget    *iterator.Budget // pays for all of it
	doubted   []iterator.Source
	fetched   []fetched // for the chain of trust, in this attempt
	verdicts  uint64    // of the resolver, at the beginning
	explain   *explainer
}

// fetched is a DS or DNSKEY set, or that there is none.
type fetched struct {
	q dns.Question
	a *iterator.Answer
}

func (f fetched) isLocal() bool { return slices.ContainsFunc(f.a.Sources, iterator.Source.IsLocal) }

type inquiryKey struct{}

// asking is how a look-up is made.
type asking struct {
	checkingDisabled bool // not validated: the client does that (RFC 4035 §3.2.2)
	tracer           Tracer
	budget           *iterator.Budget // nil: one of its own
	explain          *explainer       // told of proofs, which are then whole; or nil
	renewal          uint32           // what the cache keeps no longer than until then is asked for again

	subnet netip.Prefix  // that servers may be told of
	scope  *netip.Prefix // becomes whom what was found is for; or nil

	// These are asked before an alias is followed, and before servers are asked; see iterator.Options.
	alias func(target dns.Question) *iterator.Answer
	stop  func(name dns.Name) bool
}

// lookUp finds the answer to q and, where there are anchors, validates it.
func (r *Resolver) lookUp(ctx context.Context, q dns.Question, how asking) (outcome, error) {
	verdicts := r.verdicts.Load() // before the validator that they are by
	v := r.validator.Load()
	if v == nil || how.checkingDisabled || !validator.CanJudge(q.Type) {
		a, err := r.iterator.Resolve(ctx, q, iterator.Options{Tracer: how.tracer, Budget: how.budget, Renewal: how.renewal, Alias: how.alias, Stop: how.stop, Subnet: how.subnet})
		if err != nil {
			return outcome{}, err
		}
		how.found(a)
		return found(a), nil
	}
	if ede, ok := r.knownBogus(q, false); ok {
		return outcome{rcode: dns.RCodeServFail, ede: ede}, nil
	}
	in := &inquiry{r: r, validator: v, q: q, asking: how, budget: how.budget, verdicts: verdicts, explain: how.explain}
	if how.explain != nil {
		in.validator = v.Afresh()
	}
	if in.budget == nil {
		in.budget = r.iterator.NewBudget()
	}
	out, err := in.run(context.WithValue(ctx, inquiryKey{}, in))
	return r.sentinel(q, out), err
}

// knownBogus says why the answer to q was found bogus a moment ago, if it was.
func (r *Resolver) knownBogus(q dns.Question, checkingDisabled bool) ([]dns.EDE, bool) {
	if checkingDisabled {
		return nil, false
	}
	ede, _, ok := r.bogus(q, r.now())
	return []dns.EDE{{Code: dns.EDECachedError}, ede}, ok
}

// bogus says why the answer to q is known to be bogus, and until when: it was found
// so, or a zone on the way to it was.
func (r *Resolver) bogus(q dns.Question, now uint32) (ede dns.EDE, expire uint32, ok bool) {
	if ede, expire, ok = r.iterator.Cache.Bogus(q.Name, q.Type, now); ok {
		return ede, expire, true
	}
	v := r.validator.Load()
	at := q.Name
	if q.Type == dns.TypeDS && !at.IsRoot() {
		at = at.Parent()
	}
	for ; !at.IsZero() && v != nil && !r.isExcepted(at); at = at.Parent() {
		if ede, expire, ok = r.iterator.Cache.BrokenZone(at, now); ok || v.IsAnchored(at) {
			return ede, expire, ok
		}
	}
	return dns.EDE{}, 0, false
}

func (r *Resolver) now() uint32 { return uint32(r.cfg.Env.Now().Unix()) }

// run asks until an answer passes, as often as it may.
func (in *inquiry) run(ctx context.Context) (outcome, error) {
	var bogus validator.Result
	for attempt := range maxDoubts + 1 {
		in.fetched = nil
		a, err := in.resolve(ctx, in.q, false)
		if err == nil {
			in.asking.found(a)
		}
		if err == nil && (in.q.Name.Equal(a.Local) || a.Status != cache.Unchecked && in.explain == nil) {
			return known(a), nil
		}
		var judged validator.Result
		if err == nil {
			judged, err = in.validator.Judge(ctx, in.q, messageOf(a), a.Local, &in.budget.Proof)
		}
		if err == nil && in.explain != nil {
			in.explain.judged(&judged)
		}
		switch {
		case err != nil && (attempt == 0 || ctx.Err() != nil):
			in.noteKeyless(err)
			return outcome{}, err
		case err != nil:
			return in.giveUp(bogus), nil
		case judged.Status != validator.Bogus:
			a.Cost = in.budget.Cost()
			was := *a
			if judged.EDE.Code == dns.EDENegativeTrustAnchor {
				a.TTL = min(a.TTL, in.r.exceptions.left())
			}
			out := accept(a, judged)
			in.settle(&was, a, judged)
			return out, nil
		}
		bogus = judged
		in.doubt(a, judged)
		if in.budget.Proof.Signatures <= 0 {
			break
		}
	}
	return in.giveUp(bogus), nil
}

func (in *inquiry) resolve(ctx context.Context, q dns.Question, isProof bool) (*iterator.Answer, error) {
	return in.r.iterator.Resolve(ctx, q, iterator.Options{
		Tracer: in.asking.tracer, Budget: in.budget, Doubted: in.doubted, Proof: isProof, Renewal: in.asking.renewal, Alias: in.asking.alias, Stop: in.asking.stop,
		Subnet: in.asking.subnet,
	})
}

// fetch gets what the chain of trust of an inquiry needs.
func (r *Resolver) fetch(ctx context.Context, q dns.Question) (*dns.Message, error) {
	in := ctx.Value(inquiryKey{}).(*inquiry)
	a, err := in.resolve(ctx, q, true)
	if err != nil {
		return nil, keyless(q, err)
	}
	in.fetched = append(in.fetched, fetched{q, a})
	return messageOf(a), nil
}

// keyless adds to a failure that it was keys that could not be had.
func keyless(q dns.Question, err error) error {
	var f *iterator.Failure
	if q.Type != dns.TypeDNSKEY || !errors.As(err, &f) || f.Budget {
		return err
	}
	with := *f
	with.EDE = append([]dns.EDE{{Code: dns.EDEDNSKEYMissing, Text: "the keys of " + q.Name.String() + " cannot be had"}}, f.EDE...)
	return &with
}

// noteKeyless remembers that the keys for an answer cannot be had, as long as the
// iterator does.
func (in *inquiry) noteKeyless(err error) {
	var f *iterator.Failure
	if !errors.As(err, &f) || f.Budget || f.EDE[0].Code != dns.EDEDNSKEYMissing {
		return
	}
	now := in.r.now()
	in.r.iterator.Cache.PutBogus(in.q.Name, in.q.Type, f.EDE[0], now, now+uint32(in.r.cfg.Limits.FailureTTL/time.Second))
}

// doubt forgets what is at fault, the chain or the answer, and notes who said it.
func (in *inquiry) doubt(a *iterator.Answer, judged validator.Result) {
	broken := slices.IndexFunc(judged.Chain, func(l validator.Link) bool { return l.Status == validator.Bogus })
	if broken < 0 {
		in.r.iterator.Forget(in.q, a)
		in.doubted = append(in.doubted, a.Sources...)
		return
	}
	isOf := func(f fetched) bool { return f.q.Name.Equal(judged.Chain[broken].Zone) }
	inMemory := slices.ContainsFunc(in.fetched, func(f fetched) bool { return isOf(f) && f.isLocal() })
	for _, f := range in.fetched {
		if !isOf(f) || inMemory && !f.isLocal() {
			continue // a copy of a zone is blamed before servers are
		}
		in.r.iterator.Forget(f.q, f.a)
		in.doubted = append(in.doubted, f.a.Sources...)
	}
}

// giveUp remembers that the answer is bogus; and so is all of a zone whose keys are,
// unless it is only that this question's budget did not suffice to see.
func (in *inquiry) giveUp(bogus validator.Result) outcome {
	in.report(bogus.EDE)
	c, now := in.r.iterator.Cache, in.r.now()
	expire := now + uint32(bogusTTL/time.Second)
	c.PutBogus(in.q.Name, in.q.Type, bogus.EDE, now, expire)
	if work := in.budget.Proof; work.Signatures > 0 && work.Rounds > 0 && work.Questions > 0 {
		for _, link := range bogus.Chain {
			// What has no DS may be no zone: that a denial there does not hold says nothing of other types.
			if link.Status == validator.Bogus && len(link.DS) > 0 {
				c.PutBrokenZone(link.Zone, link.EDE, now, expire)
			}
		}
	}
	return outcome{rcode: dns.RCodeServFail, ede: []dns.EDE{bogus.EDE}}
}

// messageOf returns an answer in the form that is judged: all sets with their signatures.
func messageOf(a *iterator.Answer) *dns.Message {
	m := &dns.Message{RCode: a.RCode}
	m.Answer, m.Authority = sections(a, true)
	return m
}

// known makes an outcome of what needs no validation: what is local, which nobody
// signed, and what was found good before.
func known(a *iterator.Answer) outcome {
	out := found(a)
	out.isSecure = a.Status == cache.Secure && a.Local.IsZero()
	return out
}

// accept makes an outcome of what passed. Of an answer that is secure there is
// nothing left that was not found good, and nothing outlives its signatures (RFC
// 4035 §3.2.3, §5.3.3).
func accept(a *iterator.Answer, judged validator.Result) outcome {
	out := found(a)
	if judged.EDE != (dns.EDE{}) {
		out.ede = append(out.ede, judged.EDE)
	}
	v := verified{a, judged.Sets}
	a.Chain = v.aliases(a.Chain)
	if judged.Status != validator.Secure {
		return out
	}
	out.isSecure = a.Local.IsZero() // what is local is true, but nobody signed it
	if out.isSecure {
		a.Authority = v.only(a.Authority)
	}
	return out
}

// verified trims an answer by what was found of its sets.
type verified struct {
	a    *iterator.Answer
	sets []validator.Set
}

// find returns what was found of a set.
func (v verified) find(set *cache.RRset) (*validator.Set, bool) {
	for i := range v.sets {
		if s := &v.sets[i]; s.Type == set.Type && s.Owner.Equal(set.Name) {
			return s, true
		}
	}
	return nil, false
}

// ttl returns how long a set may be kept, if it is secure.
func (v verified) ttl(set *cache.RRset) (uint32, bool) {
	s, ok := v.find(set)
	if !ok || s.Status != validator.Secure {
		return 0, false
	}
	return s.TTL, true
}

// only returns the sets that are secure.
func (v verified) only(sets []cache.RRset) (kept []cache.RRset) {
	for _, set := range sets {
		if ttl, ok := v.ttl(&set); ok {
			set.TTL = min(set.TTL, ttl)
			v.a.TTL = min(v.a.TTL, set.TTL)
			kept = append(kept, set)
		}
	}
	return kept
}

// aliases bounds the TTLs of the answer itself; a CNAME behind a DNAME has the
// DNAME's.
func (v verified) aliases(sets []cache.RRset) []cache.RRset {
	kept := slices.Clone(sets)
	for i := range kept {
		set := &kept[i]
		ttl, ok := v.ttl(set)
		if !ok && isSynthetic(kept, i) {
			ttl, ok = kept[i-1].TTL, true
		}
		if ok {
			set.TTL = min(set.TTL, ttl)
			v.a.TTL = min(v.a.TTL, set.TTL)
			set.Proof = v.only(set.Proof)
		}
	}
	return kept
}

// isSynthetic reports whether set i is the CNAME that the DNAME before it makes.
func isSynthetic(sets []cache.RRset, i int) bool {
	return i > 0 && sets[i].Type == dns.TypeCNAME && sets[i-1].Type == dns.TypeDNAME
}
