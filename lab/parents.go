package lab

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"onoma/dns"
	"onoma/signer"
	"onoma/signer/keys"
	"onoma/signer/parent"
	"onoma/transport"
	"onoma/zone"
)

// parents is the signer's way to the parents of zones: a signer.Parents. For a
// zone that has no DS yet the provider signals its keys below the names of its name
// servers (RFC 9615), and only then tells the registry (RFC 9859).
type parents struct {
	s       *signing
	watcher *parent.Watcher
	log     *slog.Logger
	ways    map[*operator]*transport.Client // from each operator's own address
	quiet   transport.Client

	mu     sync.Mutex
	wishes map[zone.ID]*wish
	dirty  map[zone.ID]bool // to be looked at by run
	woke   chan struct{}
}

// wish is what a zone's parent is asked for.
type wish struct {
	signer.Wish
	isSet bool   // the watcher has it
	told  string // the CDS that the parent was told of
}

func (s *signing) newParents(log *slog.Logger) *parents {
	p := &parents{
		s: s, log: log, ways: map[*operator]*transport.Client{}, quiet: transport.Client{Local: s.lab.quiet()},
		wishes: map[zone.ID]*wish{}, dirty: map[zone.ID]bool{}, woke: make(chan struct{}, 1),
	}
	for _, op := range s.lab.operators {
		p.ways[op] = &transport.Client{Local: op.addrs[0]}
	}
	p.watcher = parent.New(parent.Options{
		Resolve: s.lookups.fetch, Port: s.lab.port, Exchange: p.exchange, Log: log,
		Changed: func(id zone.ID, _ parent.View) {
			s.keeper.Wake(id)
			p.wake(id)
		},
	})
	return p
}

// exchange sends NOTIFY from the address of the zone's provider, as it would come on
// the Internet, and what is only asked to keep watch from where it is no event.
func (p *parents) exchange(ctx context.Context, proto transport.Proto, server netip.AddrPort, query, buf []byte) (transport.Reply, error) {
	if m, err := dns.ParseMessage(query); err == nil && m.Flags.Opcode() == dns.OpcodeNotify {
		if op := p.s.lab.hostOf(m.Question().Name); op != nil {
			return p.ways[op].Exchange(ctx, proto, server, query, buf)
		}
	}
	return p.quiet.Exchange(ctx, proto, server, query, buf)
}

// Want takes what a zone's parent should have.
func (p *parents) Want(id zone.ID, w signer.Wish) {
	if id.Name.IsRoot() {
		return // nobody is above
	}
	p.mu.Lock()
	had := p.wishes[id]
	isNews := had == nil && (w.IsSigned || len(w.DS) > 0) || had != nil && !w.Equal(&had.Wish)
	if isNews {
		next := &wish{Wish: w}
		if had != nil {
			next.told = had.told
		}
		p.wishes[id] = next
	}
	p.mu.Unlock()
	if isNews {
		p.wake(id)
	}
}

// Seen returns what the parent's servers have.
func (p *parents) Seen(id zone.ID) keys.Parent {
	v, ok := p.watcher.State(id)
	if !ok || v.Counted == 0 {
		return keys.Parent{}
	}
	out := keys.Parent{At: v.At, Asked: v.Counted, Answered: v.Answered, TTL: v.TTL, NegativeTTL: v.NegativeTTL, Delay: v.Delay}
	for _, s := range v.DS {
		out.DS = append(out.DS, keys.SeenDS{DS: s.DS, Servers: s.Servers})
	}
	return out
}

// isKnown waits for a moment until all servers of a zone's parent have said which DS
// they have. A DS that was typed in a second ago must not be forgotten when keys go.
func (p *parents) isKnown(ctx context.Context, id zone.ID) bool {
	if id.Name.IsRoot() {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	asked := time.Now()
	p.again(id)
	for {
		if seen := p.Seen(id); seen.Asked > 0 && seen.Answered == seen.Asked && !p.lookedBefore(id, asked) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// lookedBefore reports whether a server of the parent was last heard before a time.
func (p *parents) lookedBefore(id zone.ID, t time.Time) bool {
	v, _ := p.watcher.State(id)
	return slices.ContainsFunc(v.Servers, func(s parent.Server) bool { return s.Excused == "" && s.Seen.Before(t) })
}

// Forget ends the interest in a zone.
func (p *parents) Forget(id zone.ID) {
	p.mu.Lock()
	delete(p.wishes, id)
	p.mu.Unlock()
	p.watcher.Forget(id)
}

func (p *parents) wake(id zone.ID) {
	p.mu.Lock()
	p.dirty[id] = true
	p.mu.Unlock()
	select {
	case p.woke <- struct{}{}:
	default:
	}
}

// run does what follows from wishes and from what was seen, until ctx ends.
func (p *parents) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.woke:
		}
		p.mu.Lock()
		ids := p.dirty
		p.dirty = map[zone.ID]bool{}
		p.mu.Unlock()
		for id := range ids {
			p.follow(ctx, id)
		}
	}
}

// follow brings one zone further.
func (p *parents) follow(ctx context.Context, id zone.ID) {
	p.mu.Lock()
	w := p.wishes[id]
	if w == nil {
		p.mu.Unlock()
		return
	}
	isNew, want := !w.isSet, w.Wish
	w.isSet = true
	p.mu.Unlock()
	if isNew {
		p.watcher.Set(parent.Zone{
			ID: id, Notify: true, WasThere: want.WasThere, Delays: parent.Delays{Often: 100 * time.Millisecond},
			Wanted: parent.Wanted{DS: want.DS, Keys: want.Keys, Known: want.Known},
		})
	}
	v, ok := p.watcher.State(id)
	if !ok || !v.IsComplete() {
		return // it is not known yet what the parent has: Changed will tell
	}
	if v.Condition == parent.Secure {
		p.forgive(id)
	}
	p.signal(ctx, id, len(v.DS) == 0 && want.IsTold)
	if told := octetsOf(want.CDS); want.IsTold && v.Condition != parent.Secure && p.isNewsOf(id, told) {
		p.watcher.Tell(id, dns.TypeCDS)
	}
}

// forgive has a parent told anew of what it was told once, should its DS go.
func (p *parents) forgive(id zone.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.wishes[id]; w != nil {
		w.told = ""
	}
}

// again has the parent of a zone looked at now, and told again: somebody has changed
// the delegation.
func (p *parents) again(id zone.ID) {
	p.forgive(id)
	p.watcher.Wake(id)
	p.wake(id)
}

// isNewsOf reports whether a parent is to be told of CDS, and that it is.
func (p *parents) isNewsOf(id zone.ID, told string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.wishes[id]
	if w == nil || w.told == told {
		return false
	}
	w.told = told
	return true
}

func octetsOf(cds []dns.DS) string {
	var b []byte
	for _, d := range cds {
		b = append(append(b, byte(len(d.Digest))), d.RData()...)
	}
	return string(b)
}

// signal has a zone's keys stand below the names of its name servers, or not any
// more.
func (p *parents) signal(ctx context.Context, id zone.ID, on bool) {
	v := p.s.served(id)
	op := p.s.lab.operatorNamed(id.View)
	if v == nil || op == nil {
		return
	}
	c := parent.Child{Name: id.Name, TTL: 30}
	for _, data := range rdataOf(v, dns.TypeNS) {
		c.NS = append(c.NS, data.Target(dns.TypeNS))
	}
	if on {
		c.CDS, c.CDNSKEY = rdataOf(v, dns.TypeCDS), rdataOf(v, dns.TypeCDNSKEY)
	}
	changes, _ := parent.SignalChanges([]parent.Child{c}, op.provider)
	for _, change := range changes {
		if _, err := p.s.pipe.Submit(ctx, change); err != nil && ctx.Err() == nil {
			p.log.Warn("keys are not signalled", "zone", id.Name.String(), "below", change.Zone.Name.String(), "error", err)
		}
	}
}

// provider finds the operator's zone that is closest above a name.
func (op *operator) provider(name dns.Name) (parent.Provider, bool) {
	for n := name; !n.IsZero(); n = n.Parent() {
		if !op.hosts(n) {
			continue
		}
		v := op.signing().served(op.id(n))
		return parent.Provider{ID: op.id(n), Version: v, IsSigned: v != nil && isSigned(v)}, true
	}
	return parent.Provider{}, false
}

func isSigned(v *zone.Version) bool {
	set, ok := v.Apex().RRset(dns.TypeDNSKEY)
	return ok && set.Count() > 0
}

// rdataOf returns a set of the apex.
func rdataOf(v *zone.Version, t dns.Type) (out []dns.RData) {
	set, _ := v.Apex().RRset(t)
	for data := range set.RData() {
		out = append(out, slices.Clone(dns.RData(data)))
	}
	return out
}
