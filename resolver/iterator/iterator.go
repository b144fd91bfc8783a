package iterator

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/resolver/internal/crew"
)

// Iterator answers questions by asking the servers of the DNS. It is safe for
// concurrent use; Close ends it.
type Iterator struct {
	Config
	servers *servers
	flights flights
	crowds  crowds
	routes  atomic.Pointer[Routes]
	ids     atomic.Uint64
	active  atomic.Int32 // look-ups

	// Validating says that what is found will be validated: then other resolvers
	// are asked not to do it (RFC 6840 §5.9).
	Validating atomic.Bool

	ctx        context.Context // of all questions, until Close
	cancel     context.CancelFunc
	background background
	crew       crew.Crew // that questions wait for their replies in
	counts     counts
}

// New returns an Iterator that works as cfg says.
func New(cfg Config) *Iterator {
	it := &Iterator{Config: cfg.withDefaults(), servers: newServers(), flights: flights{all: map[flightKey]*flight{}, networks: map[flightKey]int{}}, crowds: crowds{all: map[string]*crowd{}}}
	it.ctx, it.cancel = context.WithCancel(context.Background())
	return it
}

// now returns the time in the seconds that the cache counts in.
func (it *Iterator) now() uint32 { return uint32(it.Env.Now().Unix()) }

// Answer is the end of a look-up that did not fail.
type Answer struct {
	RCode      dns.RCode
	Status     cache.Status  // the worst of what it is made of; Unchecked where something was asked for just now
	Chain      []cache.RRset // aliases first and in order, then the RRset asked for
	Local      dns.Name      // where local data took over; the zero Name: nowhere
	Sources    []Source      // who was asked just now, for each step
	Authority  []cache.RRset // of a negative answer: SOA, then the proof
	Additional []cache.RRset // of a local answer
	TTL        uint32        // how long all of it may be kept; 0: not at all
	Scope      netip.Prefix  // whom it is for: the zero Prefix everybody, a network, or Untold
	EDE        []dns.EDE
	Cost       Cost
}

// Options are what one look-up may have of its own.
type Options struct {
	Tracer    Tracer   // told as well as Config.Tracer
	CacheOnly bool     // ask nobody: a question without RD
	Budget    *Budget  // that the look-up draws from; nil: one of its own
	Proof     bool     // for validation: no local answers, no alias followed, and what a referral says of DS is enough
	Renewal   uint32   // what the cache keeps no longer than until then is asked for again
	Doubted   []Source // whose answers to these questions were found wrong

	Subnet netip.Prefix // the client's network, for servers that are told of it; the zero Prefix: nothing is said

	// Alias is asked before an alias is followed: an answer takes the place of
	// what the DNS has at its target, as one of Config.Local does.
	Alias func(target dns.Question) *Answer

	// Stop is asked before servers are asked about the client's name or the target of an alias. Where it says so, the look-up ends
	// there, with Answer.Local.
	Stop func(name dns.Name) bool
}

// Source is a server that gave the answer to a question. Of those in
// Options.Doubted the question is not asked again.
type Source struct {
	Name  dns.Name
	Type  dns.Type
	Addr  netip.Addr
	Agent dns.Name // whom the server wants to be told of what is wrong with it (RFC 9567); the zero Name: nobody
}

// reportAgent is the domain of the Report-Channel option of a reply. RFC 9567 §6.1:
// the root is none.
func reportAgent(m *dns.Message) dns.Name {
	if m == nil {
		return dns.Name{}
	}
	o, ok := m.EDNS.Option(dns.OptionReportChannel)
	name, err := dns.NameFromWire(o.Data)
	if !ok || err != nil || name.IsRoot() {
		return dns.Name{}
	}
	return name
}

// ErrNotCached is the end of a look-up with CacheOnly that would have to ask.
var ErrNotCached = errors.New("not in the cache")

// Resolve answers q. A look-up that fails returns a *[Failure], ErrNotCached, or
// ctx's own error where the caller gave up.
func (it *Iterator) Resolve(ctx context.Context, q dns.Question, opts Options) (*Answer, error) {
	budget := opts.Budget
	if budget == nil {
		budget = it.NewBudget()
	}
	limited, cancel := context.WithTimeout(ctx, budget.ends.Sub(it.Env.Now()))
	defer cancel()
	it.active.Add(1)
	defer it.active.Add(-1)
	t := &task{it: it, ctx: limited, opts: opts, id: it.ids.Add(1), question: q, budget: budget, routes: it.Routes()}
	t.traceStart()
	a, err := t.lookup(q)
	if a != nil {
		a.Cost = t.budget.Cost()
	}
	t.traceEnd(a, err)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return a, err
}

// Forget takes the answer to q out of the cache, aliases on the way included: it
// was found wrong.
func (it *Iterator) Forget(q dns.Question, a *Answer) {
	it.Cache.Drop(q.Name, q.Type)
	for _, set := range a.Chain {
		if target, ok := nameOf(set.Data[0]); ok && set.Type == dns.TypeCNAME {
			it.Cache.Drop(target, q.Type)
		}
	}
}

// seconds turns a duration into what a TTL is counted in.
func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }
