package resolver

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/resolver/internal/crew"
	"onoma/resolver/iterator"
	"onoma/resolver/local"
	"onoma/resolver/upstream"
	"onoma/resolver/validator"
	"onoma/transport"
)

// Resolver answers questions. Make it with New, end it with Close.
type Resolver struct {
	cfg        Config
	messages   *cache.Messages
	iterator   *iterator.Iterator
	validator  atomic.Pointer[validator.Validator] // nil: nothing is validated
	special    *local.Special
	hosts      atomic.Pointer[local.Hosts]
	discovery  atomic.Pointer[local.Discovery]
	keeper     keeper
	exceptions exceptions
	reports    atomic.Int32  // on their way
	excepting  atomic.Bool   // those of the configuration are set
	verdicts   atomic.Uint64 // counts how often all of them were forgotten
	policing   policing
	costs      *clientCosts
	subnets    *subnets      // nil: servers are told nothing of clients
	flushes    atomic.Uint64 // counts how often whole answers were forgotten
	purging    purging
	jobs       jobs
	crew       crew.Crew  // that look-ups run in
	routing    sync.Mutex // held by who replaces the routes
	counters   counters
	anchoring  sync.Mutex // held by who replaces the anchors
	anchors    []dns.Record
	network    *upstream.Network // its own; nil where it was given one

	ctx    context.Context // of all look-ups for clients
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // look-ups and the watcher of the hosts file
}

// ErrClosed ends look-ups when the resolver is closed.
var ErrClosed = errors.New("resolver closed")

// New returns a resolver that works as cfg says. It fails where the hosts file
// or the state of the anchors cannot be read, or the routes cannot be.
func New(cfg Config) (*Resolver, error) {
	cfg = cfg.withDefaults()
	var network *upstream.Network
	var begin iterator.BeginFunc
	if cfg.Env == nil {
		network = upstream.New(cfg.Upstream)
		cfg.Env = network
		if !cfg.Upstream.Opportunistic {
			begin = network.Begin
		}
	}
	r := &Resolver{
		network:  network,
		cfg:      cfg,
		messages: cache.NewMessages(cfg.CacheSize/3, cfg.stale()),
		special:  local.NewSpecial(cfg.NotSpecial),
	}
	r.subnets = newSubnets(cfg.ClientSubnet)
	r.iterator = iterator.New(iterator.Config{
		Env: cfg.Env, Begin: begin, Cache: cache.NewRecords(cfg.CacheSize - cfg.CacheSize/3), Hints: cfg.Hints, Limits: cfg.Limits,
		UpstreamPort: cfg.UpstreamPort, NoIPv4: cfg.NoIPv4, NoIPv6: cfg.NoIPv6,
		AllowLoopbackServers: cfg.AllowLoopbackServers, NAT64: cfg.NAT64, NoRandomCase: cfg.NoRandomCase, NeverAsk: cfg.NeverAsk, NoMinimise: cfg.NoMinimise,
		UDPSize: cfg.UDPSize, Tell: cfg.ClientSubnet.Zones, Local: r.local, Tracer: cfg.Tracer, Link: r.logLink,
	})
	r.exceptions.now = cfg.Env.Now
	for name, until := range cfg.Insecure {
		r.Except(name, until)
	}
	if err := r.SetRoutes(cfg.Routes); err != nil {
		return nil, err
	}
	r.SetPolicy(cfg.Policy)
	r.costs = newClientCosts(cfg.Limit)
	r.jobs.init()
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	err := r.openAnchors()
	if err == nil {
		err = r.loadExceptions()
	}
	if err == nil {
		err = r.watchHosts()
	}
	if err != nil {
		r.cancel(ErrClosed)
		r.wg.Wait()
		return nil, err
	}
	if cfg.CacheFile != "" {
		r.load()
		r.wg.Add(1)
		go r.keepSaving()
	}
	r.wg.Add(1)
	go r.watchExceptions()
	if len(r.keeper.points) > 0 {
		r.wg.Add(1)
		go r.keepAnchors()
	}
	return r, nil
}

// rememberedZones bounds what validation remembers of zones: their keys, or that
// they are not signed.
const rememberedZones = 16384

// validateFrom has what is answered from now on validated by these anchors, or
// not at all where there are none. Where they are others than before, all whole
// answers are forgotten.
func (r *Resolver) validateFrom(anchors []dns.Record) {
	r.anchoring.Lock()
	defer r.anchoring.Unlock()
	if r.validator.Load() != nil && slices.EqualFunc(anchors, r.anchors, sameRecord) {
		return
	}
	r.anchors = slices.Clone(anchors)
	var v *validator.Validator
	if len(anchors) > 0 {
		v = validator.New(validator.Options{
			Anchors: anchors, Fetch: r.fetch, Clock: r.cfg.Env.Now, Except: r.isExcepted, Proven: r.learn,
			Brief: true, Limits: validator.Limits{Zones: rememberedZones},
		})
	}
	r.validator.Store(v)
	r.iterator.Validating.Store(v != nil)
	r.forgetVerdicts()
}

func sameRecord(a, b dns.Record) bool {
	return a.Type == b.Type && a.Name.Equal(b.Name) && slices.Equal(a.Data, b.Data)
}

// forgetVerdicts has everything judged anew, what is being judged just now among it.
func (r *Resolver) forgetVerdicts() {
	r.verdicts.Add(1)
	r.iterator.Cache.ForgetBogus()
	r.iterator.Cache.ForgetStatus()
	r.forgetAnswers()
}

// logLink tells the operator about the resolver's own link.
func (r *Resolver) logLink(isDown bool) {
	if isDown {
		r.cfg.Log.Warn("no name server answers, not even the root servers: the resolver's own link seems to be down")
		return
	}
	r.cfg.Log.Info("name servers answer again")
}

// NewWorker returns a Worker for one loop of the transport.
func (r *Resolver) NewWorker() transport.Worker { return &worker{r: r} }

// Close ends all look-ups, which answers their clients with SERVFAIL, and waits
// for them. The transport should have stopped asking.
func (r *Resolver) Close() error {
	r.jobs.close()
	r.cancel(ErrClosed)
	r.wg.Wait()
	r.iterator.Close()
	r.crew.Close()
	if r.network != nil {
		return r.network.Close()
	}
	return nil
}

// local answers from the hosts file and for special-use names; nil otherwise.
func (r *Resolver) local(q dns.Question) *iterator.Answer {
	a := r.hosts.Load().Answer(q)
	if a == nil {
		a = r.discovery.Load().Answer(q)
	}
	if a == nil && !r.isRouted(q.Name) {
		a = r.special.Answer(q)
	}
	if a == nil {
		return nil
	}
	return &iterator.Answer{RCode: a.RCode, Chain: a.Sets, Authority: a.Authority, Additional: a.Additional, TTL: a.TTL}
}

// isRouted reports whether a special-use name is one that somebody has a route for:
// corp.test for a network of one's own, or 10.in-addr.arpa for its addresses.
func (r *Resolver) isRouted(name dns.Name) bool {
	route := r.iterator.Routes().Of(name)
	return route != nil && route.Zone.NumLabels() > 0 && route.Zone.IsSubdomainOf(r.special.Apex(name))
}

// Options are what one call of Resolve may have of its own.
type Options struct {
	CheckingDisabled bool   // as with CD: not validated
	DNSSEC           bool   // RRSIG, NSEC and NSEC3 records too, as with DO
	CacheOnly        bool   // ask nobody
	Tracer           Tracer // told of every step

	Client   netip.Addr // whose rules are heard; the zero Addr is a client that Policy.Clients does not have
	NoPolicy bool       // no rules are heard

	explain *explainer
	budget  *iterator.Budget // nil: one of its own
}

// Result is the end of a look-up, also of one that failed: then RCode is
// SERVFAIL and EDE says why.
type Result struct {
	Question  dns.Question
	RCode     dns.RCode
	Answer    []dns.Record // aliases first and in order, then the RRset asked for
	Authority []dns.Record // of a negative answer: SOA and proof
	EDE       []dns.EDE
	TTL       uint32   // how long all of it may be kept
	Rulings   []Ruling // what rules decided, in order; the last one is what is answered
	Cost      Cost
	IsSecure  bool // validated, as AD says
}

// Resolve answers a question of class IN as it would a client's, except for the
// access list. The error is the context's, or ErrClosed; a look-up that fails is
// a Result.
func (r *Resolver) Resolve(ctx context.Context, q dns.Question, opts Options) (Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.ctx, func() { cancel(ErrClosed) })()
	res := Result{Question: q}
	if rcode, ede, ok := refuses(q); ok {
		res.RCode, res.EDE = rcode, ede
		return res, nil
	}
	if q.Type == dns.TypeANY {
		res.Answer, _ = sections(minimalANY(q).answer, false)
		return res, nil
	}
	how := asking{checkingDisabled: opts.CheckingDisabled, tracer: opts.Tracer, explain: opts.explain, budget: opts.budget}
	var out outcome
	var err error
	var b bearing
	if !opts.NoPolicy {
		b = bearing{group: r.policing.rules.Load().groupOf(opts.Client), client: opts.Client}
	}
	if opts.CacheOnly {
		out = r.treatCached(q, how, b)
	} else if out, err = r.treat(ctx, q, how, b); err != nil {
		if ctx.Err() != nil {
			return res, context.Cause(ctx)
		}
		out = failed(err)
	}
	res.RCode, res.EDE, res.IsSecure, res.Rulings = out.rcode, out.ede, out.isSecure, out.rulings
	if a := out.answer; a != nil {
		res.TTL, res.Cost = a.TTL, a.Cost
		if !opts.DNSSEC {
			res.RCode = out.plainRCode(q.Name)
		}
		res.Answer, res.Authority = sections(a, opts.DNSSEC)
	}
	return res, nil
}
