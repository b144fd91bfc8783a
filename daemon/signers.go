package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"onoma/config"
	"onoma/dns"
	"onoma/resolver/validator"
	"onoma/signer"
	"onoma/signer/keys"
	"onoma/signer/provider"
	"onoma/transport"
	"onoma/zone"
)

// signers looks at the other providers of zones that are signed by several (RFC 8901), now and then, and as soon as a zone's
// settings change. One goroutine keeps the times; as many as mostLooks look at a time.
type signers struct {
	d     *Daemon
	ask   provider.Asker
	lease func(context.Context) bool // nil: nobody else looks

	mu    sync.Mutex
	zones map[zone.ID]*cosigned
	woke  chan struct{}
}

// cosigned is a zone with other providers.
type cosigned struct {
	next   time.Time
	isBusy bool // somebody looks at it
	again  bool // something has changed meanwhile
	after  map[string]time.Time
	failed map[string]int
}

const (
	mostLooks  = 8
	soonest    = time.Second
	latest     = 5 * time.Minute
	mostFailed = 5 // looks before that is an alarm
)

func newSigners(d *Daemon) *signers {
	s := &signers{d: d, zones: make(map[zone.ID]*cosigned), woke: make(chan struct{}, 1)}
	s.ask = provider.Asker{Keys: d.keys.Find, Clock: d.now}
	if d.store.IsShared() {
		s.lease = d.leaseOf("other signers")
	}
	return s
}

// look has the providers of a zone looked at now: its settings may be others.
func (s *signers) look(id zone.ID) {
	s.mu.Lock()
	c, e := s.zones[id], s.d.zones.get(id)
	if c == nil && (e == nil || len(e.plan.signers) == 0 && len(s.d.signer.Others(id)) == 0) {
		s.mu.Unlock()
		return
	}
	if c == nil {
		c = &cosigned{after: make(map[string]time.Time), failed: make(map[string]int)}
		s.zones[id] = c
	}
	c.next, c.again = time.Now(), true
	s.mu.Unlock()
	s.wake()
}

func (s *signers) wake() {
	select {
	case s.woke <- struct{}{}:
	default:
	}
}

func (s *signers) run(ctx context.Context) error {
	var looks sync.WaitGroup
	defer looks.Wait()
	places := make(chan struct{}, mostLooks)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.woke:
		case <-timer.C:
		}
		for _, id := range s.due(time.Now()) {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			looks.Go(func() {
				s.done(id, s.lookAt(ctx, id))
				<-places
			})
		}
		timer.Reset(s.wait(time.Now()))
	}
}

// due returns the zones whose time has come.
func (s *signers) due(now time.Time) (ids []zone.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range s.zones {
		if !c.isBusy && !c.next.After(now) {
			c.isBusy, c.again = true, false
			ids = append(ids, id)
		}
	}
	return ids
}

func (s *signers) wait(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := latest
	for _, c := range s.zones {
		if !c.isBusy {
			wait = min(wait, max(0, c.next.Sub(now)))
		}
	}
	return wait
}

// done notes when to look again; 0: a zone has no other providers.
func (s *signers) done(id zone.ID, wait time.Duration) {
	s.mu.Lock()
	c := s.zones[id]
	c.isBusy = false
	switch {
	case c.again:
	case wait == 0:
		delete(s.zones, id)
	default:
		c.next = time.Now().Add(wait)
	}
	s.mu.Unlock()
	s.wake()
}

// lookAt looks at all providers of a zone, and returns when to do so again.
func (s *signers) lookAt(ctx context.Context, id zone.ID) time.Duration {
	e := s.d.zones.get(id)
	if e == nil {
		return 0
	}
	all := e.plan.signers
	if s.d.signer.Zone(id) == nil {
		return latest // it cannot be signed now; why is told elsewhere
	}
	if s.lease != nil && !s.lease(ctx) {
		return leaseTime
	}
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].name
	}
	if err := s.d.signer.Leave(ctx, id, names); err != nil {
		s.d.log.Warn("the keys of a provider that is to go stay for now", "zone", id, "error", err)
		return latest
	}
	s.forget(id, names)
	wait := latest
	for i := range all {
		view, ok := s.d.signer.Other(id, all[i].name)
		if !ok {
			return latest // its authors sign it
		}
		s.d.signer.Say(id, "provider "+all[i].name, s.lookAtOne(ctx, id, &all[i], &view))
		wait = min(wait, intervalOf(&view))
	}
	if len(all) == 0 {
		return 0
	}
	return wait
}

// forget ends what was told of providers that are none any more.
func (s *signers) forget(id zone.ID, names []string) {
	var gone []string
	s.mu.Lock()
	for name := range s.zones[id].failed {
		if !slices.Contains(names, name) {
			delete(s.zones[id].failed, name)
			gone = append(gone, name)
		}
	}
	s.mu.Unlock()
	for _, name := range gone {
		s.d.signer.Say(id, "provider "+name, "")
	}
}

// intervalOf is how often a provider is asked: often enough to follow it long before caches let go of its last DNSKEY set.
func intervalOf(v *signer.OtherView) time.Duration {
	if v.IsWaiting {
		return min(max(v.DNSKEYTTL/60, soonest), time.Minute)
	}
	return min(max(v.DNSKEYTTL/10, soonest), latest)
}

// lookAtOne looks at a provider, and returns what an operator should know; "": all is well.
func (s *signers) lookAtOne(ctx context.Context, id zone.ID, p *otherSigner, view *signer.OtherView) string {
	known := provider.Known{Zone: id.Name, Own: view.Own, Others: view.Others, Keys: view.Keys, DS: s.secureDS(ctx, id.Name)}
	var ours *provider.Wanted
	if e := s.d.zones.get(id); e != nil && e.plan.settings.SignersUpdate {
		ours = &provider.Wanted{Own: view.Own, Keys: view.InSet, CDS: view.CDS, CDNSKEY: view.CDNSKEY}
	}
	var problems []string
	var answers []*provider.Answer
	for i := range p.servers {
		a, err := s.answer(ctx, id, &p.servers[i], known, ours)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", p.servers[i].Addr, err))
			continue
		}
		answers = append(answers, a)
	}
	var text string
	if len(answers) > 0 {
		err := s.d.signer.See(ctx, id, p.name, provider.Merge(answers, len(p.servers)))
		switch {
		case errors.Is(err, keys.ErrRefused):
			text = strings.ReplaceAll(err.Error(), "\n", "; ")
		case err != nil:
			problems = append(problems, err.Error())
		}
	}
	if n := s.count(id, p.name, len(problems) > 0); text == "" && n >= mostFailed {
		text = fmt.Sprintf("the other provider %s of the zone is not followed, what was known of it stays: %s. What it serves is believed where the setting "+
			"servers.%[1]s has a TSIG key or checked TLS, where its DNSKEY set is signed by a key that is known (onoma ctl keys foreign add), or by one whose DS "+
			"the parent has, in a chain of trust", p.name, strings.Join(problems, "; "))
	}
	return text
}

// answer asks one server, and judges what it says.
func (s *signers) answer(ctx context.Context, id zone.ID, server *provider.Server, known provider.Known, ours *provider.Wanted) (*provider.Answer, error) {
	said, err := s.ask.Ask(ctx, server, id.Name)
	if err != nil {
		return nil, err
	}
	at := server.Addr.String()
	s.mu.Lock()
	c := s.zones[id]
	known.After = c.after[at]
	s.mu.Unlock()
	a, err := known.Judge(said, s.d.now())
	if err != nil {
		return nil, err
	}
	if ours != nil {
		if o := ours.Missing(said, a, id.Name); !o.IsEmpty() {
			if err := s.ask.Update(ctx, server, id.Name, &o); err != nil {
				return nil, err
			}
			s.d.log.Info("another provider of a zone was given this server's keys", "zone", id, "server", at, "added", len(o.Add), "removed", len(o.Remove))
		}
	}
	s.mu.Lock()
	c.after[at] = a.Signed
	s.mu.Unlock()
	if a.WantsNone {
		s.d.log.Warn("another provider of a zone wants its parent to remove all DS, which is not done for it", "zone", id, "server", at)
	}
	return a, nil
}

// count counts how often a provider could not be followed, one time after the other.
func (s *signers) count(id zone.ID, name string, hasFailed bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.zones[id]
	c.failed[name]++
	if !hasFailed {
		c.failed[name] = 0
	}
	return c.failed[name]
}

var errInsecure = errors.New("it is not secure")

// secureDS looks up the DS set of a zone, once, and validates it.
func (s *signers) secureDS(ctx context.Context, name dns.Name) func() ([]dns.DS, error) {
	return sync.OnceValues(func() (set []dns.DS, err error) {
		s.d.lookups.resolver.Flush(name, true)
		r, err := validator.New(validator.Options{Anchors: s.d.lookups.anchors, Fetch: s.d.lookups.fetch}).Look(ctx, name, dns.TypeDS)
		if err != nil {
			return nil, err
		}
		if r.Status != validator.Secure {
			return nil, fmt.Errorf("%w, but %s", errInsecure, r.Status)
		}
		for _, rec := range r.Answer {
			if ds, err := dns.ParseDS(rec.Data); rec.Type == dns.TypeDS && err == nil {
				set = append(set, ds)
			}
		}
		return set, nil
	})
}

// otherSigner is another provider of a zone, in the words of package provider.
type otherSigner struct {
	name    string
	servers []provider.Server
}

// signersOf returns the other providers of a zone.
func (p *planner) signersOf(s *config.Settings) (out []otherSigner, err error) {
	for _, r := range s.Signers {
		c, err := p.tlsOf(r)
		if err != nil {
			return nil, err
		}
		o, how := otherSigner{name: r.Name}, way(r, c)
		for _, a := range r.Address {
			if o.name == "" {
				o.name = a.String()
			}
			server := how
			server.Addr = a
			o.servers = append(o.servers, server)
		}
		out = append(out, o)
	}
	return out, nil
}

// way is how the servers of a provider are spoken to.
func way(r *config.Remote, c *tls.Config) provider.Server {
	s := provider.Server{Proto: transport.TCP, Client: &transport.Client{Reuse: 1}, Key: r.Key}
	if c != nil {
		s.Proto, s.Client.TLS, s.IsSure = transport.TLS, c, r.TLS.Mode != config.TLSOpportunistic
	}
	return s
}
