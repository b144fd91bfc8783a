package resolver

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/resolver/policy"
	"onoma/transport"
)

// Policy is how clients are answered otherwise than the DNS has it. It is immutable once it is in use, see [Resolver.SetPolicy].
type Policy struct {
	Access  *policy.Table[policy.Access] // who may ask; nil: as Config.Allow has it
	Clients *policy.Table[*Rules]        // rules by the client's address
	Others  *Rules                       // rules for those that are not in Clients; nil: none
}

// Rules are what holds for a group of clients.
type Rules struct {
	View      *policy.View      // local data, block lists, policy zones; nil: none
	Rebinding *policy.Rebinding // keeps names of the internet out of the own network; nil: none
	DNS64     *policy.DNS64     // nil: none
	DNS64All  bool              // IPv6 addresses are made out of IPv4 ones even where there are true ones
	Log       bool              // whatever a rule decides is logged
}

// rulebook is a Policy in use.
type rulebook struct {
	access  *policy.Table[policy.Access]
	clients *policy.Table[*group]
	others  *group
}

// group are the rules for a group of clients in use.
type group struct {
	Rules
	id     cache.Group  // whose answers are cached together, as they are after policy
	plain  cache.Group  // theirs where the view's rules have let the question pass
	bare   *policy.View // the view's local rules alone
	counts *ruleCounts
}

// policing is what the Resolver has about policy.
type policing struct {
	rules  atomic.Pointer[rulebook] // nil: there are none
	counts ruleCounts

	mu   sync.Mutex
	last cache.Group // the last one given out
}

// SetPolicy replaces all rules while queries are answered; nil is none. What is being answered is so by the old ones, and
// whole answers made by them are never used again.
func (r *Resolver) SetPolicy(p *Policy) {
	if p == nil {
		r.policing.rules.Store(nil)
		return
	}
	r.policing.mu.Lock()
	defer r.policing.mu.Unlock()
	groups := map[*Rules]*group{}
	use := func(rules *Rules) *group {
		if g, ok := groups[rules]; ok || rules == nil {
			return g
		}
		groups[rules] = r.newGroup(rules)
		return groups[rules]
	}
	r.policing.rules.Store(&rulebook{access: p.Access, clients: policy.MapTable(p.Clients, use), others: use(p.Others)})
}

// newGroup takes rules into use, under policing.mu.
func (r *Resolver) newGroup(rules *Rules) *group {
	g := &group{Rules: *rules, bare: rules.View.OnlyLocal(), counts: &r.policing.counts}
	if g.Rebinding != nil || g.DNS64 != nil {
		g.plain = r.newCacheGroup()
	}
	g.id = g.plain
	if g.View.HeedsAnswers() {
		g.id = r.newCacheGroup()
	}
	return g
}

// newCacheGroup returns a number that no answer in the cache has. Where they run out, all answers are forgotten.
func (r *Resolver) newCacheGroup() cache.Group {
	if r.policing.last++; r.policing.last == firstScopedGroup {
		r.forgetAnswers()
		r.policing.last = 1
	}
	return r.policing.last
}

// groupOf returns the group of a client; nil where there are no rules for it.
func (b *rulebook) groupOf(client netip.Addr) *group {
	if b == nil {
		return nil
	}
	if g, ok := b.clients.Find(client); ok {
		return g
	}
	return b.others
}

// access returns what a client may do.
func (r *Resolver) access(client netip.Addr) policy.Access {
	if b := r.policing.rules.Load(); b != nil && b.access != nil {
		access, _ := b.access.Find(client)
		return access
	}
	if r.allowed(client) {
		return policy.Allowed
	}
	return policy.Refused
}

// bearing says whose rules a question is answered by.
type bearing struct {
	group    *group       // nil: none
	client   netip.Addr   // set only where a rule about this client has a say: the answer is for nobody else
	isExempt bool         // the view has let the question pass
	subnet   netip.Prefix // that servers may be told of; the zero Prefix: none
}

// cached returns whose answers in the cache are good for the question.
func (b *bearing) cached() cache.Group {
	switch {
	case b.group == nil:
		return 0
	case b.isExempt:
		return b.group.plain
	}
	return b.group.id
}

// maxKey is the longest key of a look-up: that of a message, and a client's address.
const maxKey = cache.MaxKey + 16

// appendKey appends the key of a query. Nothing in the cache has a private one.
func (b *bearing) appendKey(dst []byte, q *dns.Query) []byte {
	dst = cache.AppendKey(dst, q.Name, q.Type, b.cached(), variant(q))
	if !b.client.IsValid() {
		return dst
	}
	v := dst[len(dst)-1]
	client := b.client.As16()
	dst = append(dst[:len(dst)-1], client[:]...)
	return append(dst, v)
}

// remembers says whether an answer is for others who ask the same, too.
func (b *bearing) remembers(out outcome) bool {
	return !b.client.IsValid() && !out.isDropped && !out.isTCPOnly
}

// judge asks the rules about the query before anything is looked up. Where they have an answer at once, done is true; else
// they say how to go on, in w.whose.
func (w *worker) judge(dst []byte, tq *transport.Query, g *group) (out []byte, done bool) {
	client, q := tq.Client.Addr(), &w.q
	w.whose.group = g
	d := g.View.Question(client, q.Name, q.Type)
	switch {
	case d.Action == policy.None:
		return dst, false
	case !d.IsFinal:
	case d.Action == policy.Passthru, d.Action == policy.TCPOnly && tq.Proto != transport.UDP:
		g.note(w.r, d, client, q)
		w.whose.isExempt = true
		return dst, false
	default:
		if out, done = w.decided(dst, tq, g, d); done {
			return out, true
		}
	}
	if d.Match.Trigger == policy.ByClient {
		w.whose.client = client
	}
	return dst, false
}

// decided answers as a verdict says, except where it is an alias that must be followed.
func (w *worker) decided(dst []byte, tq *transport.Query, g *group, d policy.Verdict) (out []byte, done bool) {
	q := &w.q
	name, err := dns.NameFromWire(q.Name)
	if err != nil {
		return dst, false
	}
	if _, _, never := refuses(dns.Question{Name: name, Type: q.Type, Class: q.Class}); never {
		return dst, false
	}
	reply := g.View.Reply(d, name, q.Type)
	if !reply.Follow.IsZero() {
		return dst, false
	}
	g.note(w.r, d, tq.Client.Addr(), q)
	return w.r.reply(dst, tq.Msg, q, tq.Proto, g.forged(d, reply, name, q.Type)), true
}

// forged makes the outcome of a verdict.
func (g *group) forged(d policy.Verdict, reply policy.Reply, name dns.Name, t dns.Type) outcome {
	out := outcome{answer: answerOf(reply), rcode: reply.RCode, extra: reply.Extra, clearRA: reply.ClearRA}
	out.isDropped, out.isTCPOnly = d.Action == policy.Drop, d.Action == policy.TCPOnly
	if code, ok := d.EDE(); ok {
		out.ede = []dns.EDE{{Code: code, Text: g.View.List(d, name, t)}}
	}
	return out
}
