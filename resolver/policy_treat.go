package resolver

import (
	"context"
	"slices"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/resolver/iterator"
	"onoma/resolver/policy"
)

// ruledTTL is the TTL of an answer by a rule that has no records.
const ruledTTL = 60

// treatment is a question that is looked up and then answered as the rules of a group of clients say.
type treatment struct {
	bearing
	r    *Resolver
	q    dns.Question
	view *policy.View // the rules that are heard
	look lookFunc

	checkingDisabled bool

	aliases []cache.RRset // that rules have made, and those before them
	ttl     uint32        // of those
	ede     []dns.EDE     // that go with them
	rulings []Ruling
}

// lookFunc looks a question up; what alias has for the target of an alias takes the place of what the DNS has, and it ends where stop
// says so before servers are asked.
type lookFunc func(q dns.Question, alias func(dns.Question) *iterator.Answer, stop func(dns.Name) bool) (outcome, error)

// treat answers q as the rules of b say; how says how look-ups are made, all on one budget.
func (r *Resolver) treat(ctx context.Context, q dns.Question, how asking, b bearing) (outcome, error) {
	if b.group == nil {
		return r.lookUp(ctx, q, how)
	}
	if how.budget == nil {
		how.budget = r.iterator.NewBudget()
	}
	out, err := r.treatment(q, how, b, func(q dns.Question, alias func(dns.Question) *iterator.Answer, stop func(dns.Name) bool) (outcome, error) {
		how.alias, how.stop = alias, stop
		return r.lookUp(ctx, q, how)
	}).run()
	if out.answer != nil {
		out.answer.Cost = how.budget.Cost()
	}
	return out, err
}

// treatCached is treat for a question that nobody is asked about.
func (r *Resolver) treatCached(q dns.Question, how asking, b bearing) outcome {
	if b.group == nil {
		return r.cacheOnly(q, how)
	}
	out, _ := r.treatment(q, how, b, func(q dns.Question, alias func(dns.Question) *iterator.Answer, _ func(dns.Name) bool) (outcome, error) {
		how.alias = alias
		return r.cacheOnly(q, how), nil
	}).run()
	return out
}

func (r *Resolver) treatment(q dns.Question, how asking, b bearing, look lookFunc) *treatment {
	t := &treatment{bearing: b, r: r, q: q, view: b.group.View, look: look, checkingDisabled: how.checkingDisabled, ttl: dns.MaxTTL}
	if b.isExempt {
		t.view = b.group.bare
	}
	return t
}

var edeAliases = dns.EDE{Code: dns.EDEOther, Text: "the aliases that policy makes have no end"}

// run answers the question, following the aliases that rules make.
func (t *treatment) run() (outcome, error) {
	name := t.q.Name
	for range t.r.iterator.Limits.Aliases + 1 {
		out, next, err := t.step(name)
		if err != nil {
			return outcome{}, err
		}
		if next.IsZero() {
			return t.finish(out), nil
		}
		name = next
	}
	return outcome{rcode: dns.RCodeServFail, ede: []dns.EDE{edeAliases}, rulings: t.rulings}, nil
}

// step answers for one name; next is where a rule's alias leads to.
func (t *treatment) step(name dns.Name) (out outcome, next dns.Name, err error) {
	q := dns.Question{Name: name, Type: t.q.Type, Class: t.q.Class}
	if reply, ok := t.group.DNS64.Special(q); ok {
		out, next = t.take(policy.Verdict{}, reply, name, nil)
		return out, next, nil
	}
	if d := t.view.Question(t.client, []byte(name.Wire()), q.Type); d.IsFinal && decides(d) {
		out, next = t.rule(d, name, nil)
		return out, next, nil
	}
	out, err = t.look(q, t.atAlias, t.stops())
	if err == nil && out.answer == nil {
		return out, next, nil // bogus, or not cached: that stands (CVE-2026-50243)
	}
	out, next, ok := t.review(out, name, err)
	switch {
	case ok:
		return out, next, nil
	case t.wants64():
		return t.dns64(out, name, err)
	case err != nil:
		return out, next, err
	}
	t.protect(&out)
	return out, next, nil
}

// decides says whether a verdict has an answer of its own. TCPOnly has none: who has come by TCP gets the true one.
func decides(d policy.Verdict) bool {
	return d.Action != policy.None && d.Action != policy.Passthru && d.Action != policy.TCPOnly
}

// atAlias ends a look-up at an alias to a name that a rule answers for; review sees to it then.
func (t *treatment) atAlias(target dns.Question) *iterator.Answer {
	if d := t.view.Question(t.client, []byte(target.Name.Wire()), target.Type); d.IsFinal && decides(d) {
		return &iterator.Answer{TTL: ruledTTL}
	}
	return nil
}

// stops returns what ends a look-up at a name whose servers a rule is about, so that these are not asked; nil without such rules.
func (t *treatment) stops() func(dns.Name) bool {
	if t.view == nil {
		return nil
	}
	if servers, addresses := t.view.RPZ.Needs(); !servers && !addresses {
		return nil
	}
	return func(name dns.Name) bool {
		d := t.view.Question(t.client, []byte(name.Wire()), t.q.Type)
		return !d.IsFinal && decides(t.view.Answer(d, t.facts(outcome{}, name, false)))
	}
}

// review hears the rules about all names that a look-up went through and what it brought to light: the first that has something to
// say ends the chain of aliases (RPZ draft §5.1). ok says that it did. A look-up that failed has brought servers to light, too.
func (t *treatment) review(out outcome, name dns.Name, failure error) (ruled outcome, next dns.Name, ok bool) {
	names := []dns.Name{name}
	if failure == nil {
		names = append(names, t.targets(out.answer.Chain)...)
	}
	for i, n := range names {
		d := t.view.Question(t.client, []byte(n.Wire()), t.q.Type)
		if !d.IsFinal {
			d = t.view.Answer(d, t.facts(out, n, i == len(names)-1))
		}
		if d.Action == policy.None {
			continue
		}
		if decides(d) {
			ruled, next = t.rule(d, n, before(out.answer, n))
			return ruled, next, true
		}
		t.note(d, n)
		out.isTCPOnly = d.Action == policy.TCPOnly
		break
	}
	return out, next, false
}

// targets returns the names that aliases lead to.
func (t *treatment) targets(chain []cache.RRset) (names []dns.Name) {
	for i, s := range chain {
		if s.Type == dns.TypeCNAME && (t.q.Type != dns.TypeCNAME || i < len(chain)-1) {
			names = append(names, s.Data[0].Target(dns.TypeCNAME))
		}
	}
	return names
}

// before returns the aliases that an answer has before those of a name.
func before(a *iterator.Answer, name dns.Name) []cache.RRset {
	if a == nil {
		return nil
	}
	chain := a.Chain
	if i := slices.IndexFunc(chain, func(s cache.RRset) bool { return s.Name.Equal(name) }); i >= 0 {
		chain = chain[:i]
	}
	for len(chain) > 0 && chain[len(chain)-1].Type == dns.TypeDNAME {
		chain = chain[:len(chain)-1] // it made the alias of name itself
	}
	return chain
}

// rule answers for a name as a verdict says; led is what led to it. Where a rule of a list makes an alias, no list is heard about
// its target, else no garden had walls; what is local is.
func (t *treatment) rule(d policy.Verdict, name dns.Name, led []cache.RRset) (out outcome, next dns.Name) {
	t.note(d, name)
	reply := t.view.Reply(d, name, t.q.Type)
	out, next = t.take(d, reply, name, led)
	if !reply.Again {
		t.view = t.group.bare
	}
	return out, next
}

// take makes an outcome of a rule's reply, or the next name to look up.
func (t *treatment) take(d policy.Verdict, reply policy.Reply, name dns.Name, led []cache.RRset) (out outcome, next dns.Name) {
	out = t.group.forged(d, reply, name, t.q.Type)
	t.lead(led)
	if !reply.Follow.IsZero() {
		t.lead(out.answer.Chain)
		t.ede = append(t.ede, out.ede...)
	}
	return out, reply.Follow
}

// lead puts aliases before the answer to come.
func (t *treatment) lead(aliases []cache.RRset) {
	for _, s := range aliases {
		s.Proof = nil
		t.aliases, t.ttl = append(t.aliases, s), min(t.ttl, s.TTL)
	}
}

// finish puts the aliases that were followed before the rest.
func (t *treatment) finish(out outcome) outcome {
	out.rulings = t.rulings
	if len(t.aliases) == 0 || out.answer == nil {
		return out
	}
	a := *out.answer
	a.Chain = append(slices.Clone(t.aliases), a.Chain...)
	a.TTL = min(a.TTL, t.ttl)
	out.answer, out.isSecure = &a, false
	out.ede = append(t.ede, out.ede...)
	return out
}

func (t *treatment) note(d policy.Verdict, name dns.Name) {
	t.rulings = append(t.rulings, t.group.ruling(d, name, t.q.Type))
	t.group.noted(t.r, d, t.client, t.q, name)
}

// facts collects what rules want to know about a name: the addresses of its answer where it is the last one, and its servers.
func (t *treatment) facts(out outcome, name dns.Name, isLast bool) policy.Facts {
	var f policy.Facts
	if isLast && out.answer != nil && out.answer.Local.IsZero() {
		answer, _ := sections(out.answer, false)
		f.Addresses = policy.Addresses(nil, answer)
	}
	servers, addresses := t.view.RPZ.Needs()
	if !servers && !addresses {
		return f
	}
	f.Servers, f.ServerAddresses = t.r.iterator.Involved(name)
	if out.answer == nil {
		return f
	}
	for _, s := range out.answer.Sources {
		if s.Name.Equal(name) {
			f.ServerAddresses = append(f.ServerAddresses, s.Addr)
		}
	}
	return f
}

var edeRebinding = dns.EDE{Code: dns.EDEBlocked, Text: "an address within the own network was taken out"}

// protect takes out what leads into the own network.
func (t *treatment) protect(out *outcome) {
	if t.group.Rebinding == nil || !out.answer.Local.IsZero() {
		return
	}
	answer, _ := sections(out.answer, true)
	kept, removed := t.group.Rebinding.Keep(answer)
	if removed == 0 {
		return
	}
	out.replace(setsOf(kept), nil)
	out.ede = append(slices.Clone(out.ede), edeRebinding)
	t.group.counts.add("rebinding", policy.NoData)
	t.rulings = append(t.rulings, Ruling{List: "rebinding", Action: policy.NoData})
}

// wants64 says whether IPv6 addresses may have to be made. A client that checks signatures itself would find them forged (RFC 6147 §5.5).
func (t *treatment) wants64() bool {
	return t.group.DNS64 != nil && t.q.Type == dns.TypeAAAA && !t.checkingDisabled
}

// dns64 answers an AAAA question by IPv6 addresses made out of the IPv4 ones where there are no others (RFC 6147 §5.1). A look-up that
// failed counts as one that found none (§5.1.2), but not one that found forged data.
func (t *treatment) dns64(out outcome, name dns.Name, failure error) (_ outcome, next dns.Name, err error) {
	var answer, authority []dns.Record
	if failure == nil {
		t.protect(&out)
		answer, authority = sections(out.answer, true)
		kept := t.group.DNS64.Keep(answer)
		if len(kept) < len(answer) {
			out.replace(setsOf(kept), out.answer.Authority)
		}
		if !out.answer.Local.IsZero() || out.rcode != dns.RCodeNoError || hasType(kept, dns.TypeAAAA) && !t.group.DNS64All {
			return out, next, nil
		}
	}
	four, err := t.look(dns.Question{Name: name, Type: dns.TypeA, Class: t.q.Class}, t.atAlias, t.stops())
	switch {
	case err == nil && four.answer == nil: // bogus
		return four, next, nil
	case err != nil || four.rcode != dns.RCodeNoError:
		return out, next, failure
	}
	four, next, ok := t.review(four, name, nil)
	if ok {
		return four, next, nil
	}
	t.protect(&four)
	answer, _ = sections(four.answer, false)
	made := t.group.DNS64.Synthesize(answer, authority)
	if made == nil {
		return out, next, failure
	}
	secure := four.isSecure && failure == nil && out.isSecure
	four.replace(setsOf(made), nil)
	four.isSecure = secure
	return four, next, nil
}

func hasType(records []dns.Record, t dns.Type) bool {
	return slices.ContainsFunc(records, func(r dns.Record) bool { return r.Type == t })
}

// replace gives an outcome other records, which nobody has signed.
func (o *outcome) replace(chain, authority []cache.RRset) {
	a := *o.answer
	a.Chain, a.Authority = chain, authority
	for _, s := range chain {
		a.TTL = min(a.TTL, s.TTL)
	}
	o.answer, o.isSecure = &a, false
}

// answerOf makes an answer of a rule's reply.
func answerOf(reply policy.Reply) *iterator.Answer {
	a := &iterator.Answer{RCode: reply.RCode, Chain: setsOf(reply.Answer), Authority: setsOf(reply.Authority), TTL: ruledTTL}
	for i, s := range a.Chain {
		if a.TTL = min(a.TTL, s.TTL); i == 0 {
			a.TTL = s.TTL
		}
	}
	return a
}

// setsOf makes RRsets of records, in their order; signatures stand with the sets that they are over.
func setsOf(records []dns.Record) (sets []cache.RRset) {
	at := func(name dns.Name, t dns.Type) int {
		return slices.IndexFunc(sets, func(s cache.RRset) bool { return s.Type == t && s.Name.Equal(name) })
	}
	for _, r := range records {
		if r.Type == dns.TypeRRSIG {
			if i := at(r.Name, dns.SigCovers(r.Data)); i >= 0 {
				sets[i].Sigs = append(sets[i].Sigs, r.Data)
			}
			continue
		}
		i := at(r.Name, r.Type)
		if i < 0 {
			i = len(sets)
			sets = append(sets, cache.RRset{Name: r.Name, Type: r.Type, TTL: r.TTL})
		}
		sets[i].TTL = min(sets[i].TTL, r.TTL)
		sets[i].Data = append(sets[i].Data, r.Data)
	}
	return sets
}
