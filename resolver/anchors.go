package resolver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"onoma/dns"
	"onoma/resolver/anchor"
	"onoma/resolver/iterator"
)

const (
	// keeperRest is the longest sleep of the keeper of anchors: a machine that was
	// asleep itself finds out what is due.
	keeperRest = time.Hour
	// signalEvery is how often a zone is told which of its keys are trusted.
	signalEvery = 24 * time.Hour
	// probeAttempts is how often one look asks for a DNSKEY set, of other servers
	// each time.
	probeAttempts = 3
)

// keeper keeps the anchors of some zones in step with the zones' keys (RFC 5011),
// on one goroutine. mu guards what it and Trust share.
type keeper struct {
	mu     sync.Mutex
	static []dns.Record // as configured; those of zones with a point are only where that began
	points []*keptPoint
	tags   []uint16 // of the root's anchors in force
	wake   chan struct{}
}

// keptPoint is a trust point and its file. The Point is replaced, never changed.
type keptPoint struct {
	file     string
	point    *anchor.Point
	signaled time.Time
}

// openAnchors reads the states that the configuration names.
func (r *Resolver) openAnchors() error {
	k := &r.keeper
	k.wake = make(chan struct{}, 1)
	for _, file := range r.cfg.AnchorFiles {
		p, err := anchor.Load(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if p, err = beginning(r.cfg.Anchors, file); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			p.Extend(r.cfg.Anchors)
		}
		if latest := r.cfg.Env.Now().Add(15 * 24 * time.Hour); p.Next.After(latest) {
			p.Next = latest // RFC 5011 §2.3: the clock was wrong
		}
		k.points = append(k.points, &keptPoint{file: file, point: p})
	}
	r.Trust(r.cfg.Anchors)
	return nil
}

// beginning makes the point of a file that is not there yet.
func beginning(anchors []dns.Record, file string) (*anchor.Point, error) {
	if len(anchors) == 0 {
		return nil, fmt.Errorf("trust anchors: %s is not there, and there are no anchors to begin with", file)
	}
	return anchor.New(anchors[0].Name, anchors), nil
}

// Trust replaces the anchors: what is answered from now on is validated by these,
// or not at all where there are none. Of zones whose anchors are kept in a file,
// the file's stay. Where any are others than before, all whole answers are
// forgotten.
func (r *Resolver) Trust(anchors []dns.Record) {
	k := &r.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	k.static = anchors
	all := k.anchors()
	k.tags = tagsOf(dns.Root, all)
	r.validateFrom(all)
}

// anchors are all that are in force. The caller holds mu.
func (k *keeper) anchors() []dns.Record {
	all := slices.DeleteFunc(slices.Clone(k.static), func(a dns.Record) bool {
		return slices.ContainsFunc(k.points, func(p *keptPoint) bool { return p.point.Zone.Equal(a.Name) })
	})
	for _, p := range k.points {
		all = append(all, p.point.Anchors()...)
	}
	return all
}

// tagsOf are the tags of the keys that are anchors of a zone.
func tagsOf(zone dns.Name, anchors []dns.Record) (tags []uint16) {
	for _, a := range anchors {
		if !a.Name.Equal(zone) {
			continue
		}
		if ds, err := dns.ParseDS(a.Data); a.Type == dns.TypeDS && err == nil {
			tags = append(tags, ds.KeyTag)
		}
		if a.Type == dns.TypeDNSKEY {
			tags = append(tags, dns.KeyTag(a.Data))
		}
	}
	return tags
}

// keepAnchors looks at the zones' keys when it is time.
func (r *Resolver) keepAnchors() {
	defer r.wg.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-timer.C:
		case <-r.keeper.wake:
		}
		wait := keeperRest
		for _, p := range r.keeper.points {
			r.visit(p)
			if next := r.point(p).Next; !next.IsZero() {
				wait = min(wait, max(time.Second, next.Sub(r.cfg.Env.Now())))
			}
		}
		timer.Reset(wait)
	}
}

func (r *Resolver) point(p *keptPoint) *anchor.Point {
	r.keeper.mu.Lock()
	defer r.keeper.mu.Unlock()
	return p.point
}

// visit looks at one zone's keys if that is due.
func (r *Resolver) visit(p *keptPoint) {
	old := r.point(p)
	now := r.cfg.Env.Now()
	if old.IsDeleted() || now.Before(old.Next) {
		return
	}
	next := r.probe(old)
	if r.ctx.Err() != nil {
		return
	}
	if !next.Succeeded.IsZero() || len(next.Gone) > len(old.Gone) {
		if err := next.Store(p.file); err != nil { // what is not on disk is not acted on: a restart would undo it
			r.cfg.Log.Error("trust anchors cannot be kept", "zone", old.Zone.String(), "file", p.file, "error", err)
			again := *old
			again.Fail(now, r.spread())
			next = &again
		}
	}
	r.install(p, old, next)
	if now.Sub(p.signaled) >= signalEvery && !r.cfg.NoAnchorSignal {
		p.signaled = now
		r.signal(next)
	}
}

// install puts a state in force.
func (r *Resolver) install(p *keptPoint, old, next *anchor.Point) {
	r.keeper.mu.Lock()
	p.point = next
	static := r.keeper.static
	r.keeper.mu.Unlock()
	for _, change := range next.Changes(old) {
		r.cfg.Log.Info("trust anchor", "zone", next.Zone.String(), "key", change.Tag, "is", change.To)
	}
	r.Trust(static)
}

// spread is a random number from 0 to 1.
func (r *Resolver) spread() float64 { return float64(r.cfg.Env.Uint64()>>11) / (1 << 53) }

// probe asks for a zone's keys, whatever is cached, and returns the state after
// that. A set that is not vouched for is asked for again of other servers: one that
// is forged or stale must not decide alone.
func (r *Resolver) probe(old *anchor.Point) *anchor.Point {
	q := dns.Question{Name: old.Zone, Type: dns.TypeDNSKEY, Class: dns.ClassIN}
	opts := iterator.Options{Budget: r.iterator.NewBudget(), Proof: true, Renewal: ^uint32(0)}
	var failed *anchor.Point
	for range probeAttempts {
		next := old.Clone()
		a, err := r.iterator.Resolve(r.ctx, q, opts)
		if err == nil && (len(a.Chain) == 0 || a.Chain[0].Type != dns.TypeDNSKEY) {
			err = fmt.Errorf("%s has no keys", old.Zone)
		}
		if err != nil {
			next.Fail(r.cfg.Env.Now(), r.spread())
		} else {
			set := &a.Chain[0]
			err = next.Take(r.cfg.Env.Now(), set.Data, set.Sigs, r.spread())
			opts.Doubted = append(opts.Doubted, a.Sources...)
		}
		if err == nil || errors.Is(err, anchor.ErrDeleted) {
			return next
		}
		r.cfg.Log.Warn("trust anchors not refreshed", "zone", old.Zone.String(), "error", err)
		if failed == nil || len(next.Gone) > len(failed.Gone) {
			failed = next
		}
		if a == nil || len(a.Sources) == 0 {
			break
		}
	}
	return failed
}

// signal tells a zone's servers which of its keys are trusted (RFC 8145 §5). What
// they answer does not matter.
func (r *Resolver) signal(p *anchor.Point) {
	tags := tagsOf(p.Zone, p.Anchors())
	name, err := anchor.SignalName(p.Zone, tags)
	if len(tags) == 0 || err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.ctx, time.Minute)
	defer cancel()
	_, err = r.iterator.Resolve(ctx, dns.Question{Name: name, Type: dns.TypeNULL, Class: dns.ClassIN}, iterator.Options{})
	r.cfg.Log.Debug("trust anchors signaled", "name", name.String(), "error", err)
}

var edeSentinel = dns.EDE{Code: dns.EDEDNSSECBogus, Text: "root key sentinel (RFC 8509): the answer to the question about a trust anchor is no"}

// sentinel answers the question whether a key of the root is trusted: a secure
// answer for such a name is given or withheld (RFC 8509 §3).
func (r *Resolver) sentinel(q dns.Question, out outcome) outcome {
	if q.Type != dns.TypeA && q.Type != dns.TypeAAAA || !out.isSecure {
		return out
	}
	tag, is, ok := anchor.Sentinel(q.Name)
	if !ok {
		return out
	}
	r.keeper.mu.Lock()
	isTrusted := slices.Contains(r.keeper.tags, tag)
	r.keeper.mu.Unlock()
	if is == isTrusted {
		return out
	}
	return outcome{rcode: dns.RCodeServFail, ede: []dns.EDE{edeSentinel}}
}
