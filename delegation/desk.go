package delegation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// Proven is what a validator makes of a question.
type Proven struct {
	Secure bool         // the answer, or that there is none, is proven from a trust anchor
	Answer []dns.Record // the records of the type that was asked for
	Why    string       // it is not secure
}

// Options are a Desk's surroundings.
type Options struct {
	// Submit hands changes to the pipeline and waits.
	Submit func(context.Context, ...zone.Change) ([]zone.Receipt, error)
	// Zone returns what the parent serves, nil where it is not served now.
	Zone func(zone.ID) *zone.Version
	// Resolve asks a resolver, for addresses of name servers that the parent's zone
	// does not know. nil: such servers have none.
	Resolve func(context.Context, dns.Question) (*dns.Message, error)
	// Validate asks a validating resolver for RFC 9615's signals. nil: there are none.
	Validate func(context.Context, dns.Name, dns.Type) (Proven, error)
	// Dial opens connections to children's servers, always by TCP and to port 53. nil: a
	// net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Allowed says which addresses may be asked; nil: all that are unicast and not those of
	// this machine and its link. Children write glue, and may write addresses of machines
	// that are none of their business.
	Allowed func(netip.Addr) bool
	// IPv4Only leaves IPv6 addresses out where a server has others, for a machine that
	// has no way to them.
	IPv4Only bool
	// Load and Save keep what is pending of a parent over restarts; nil: nothing is kept.
	Load func(context.Context, zone.ID) ([]byte, error)
	Save func(context.Context, zone.ID, []byte) error

	Parallel int              // looks at once: 32
	Queue    int              // looks that wait, NOTIFYs are refused behind: 10,000
	Timeout  time.Duration    // for one server: 10 s
	Clock    func() time.Time // nil: time.Now
	Log      *slog.Logger     // nil: nothing is logged
}

// Desk keeps the delegations of its parents.
type Desk struct {
	o     Options
	wake  chan struct{} // of one: there may be something to do
	conns chan struct{} // as many as there may be connections

	mu       sync.Mutex // schedule, parents and recent; held for moments only
	schedule *schedule
	parents  map[zone.ID]*parent
	recent   recent
}

// ErrUnknown says that a zone is not one whose delegations are kept here.
var ErrUnknown = errors.New("the delegations of this zone are not kept here")

// New returns a Desk without parents.
func New(o Options) *Desk {
	def := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	def(&o.Parallel, 32)
	def(&o.Queue, 10_000)
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Allowed == nil {
		o.Allowed = func(a netip.Addr) bool { return !a.IsLoopback() && !a.IsLinkLocalUnicast() }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Desk{
		o: o, wake: make(chan struct{}, 1), conns: make(chan struct{}, 8*o.Parallel),
		schedule: newSchedule(o.Queue), parents: make(map[zone.ID]*parent),
	}
}

// Set takes a parent in, or gives one another policy. What was pending of it, and is
// kept by Options.Save, goes on.
func (d *Desk) Set(ctx context.Context, p Parent) error {
	if err := p.Policy.Check(); err != nil {
		return fmt.Errorf("the policy for the delegations of %s: %w", p.ID, err)
	}
	p.ID = zone.IDOf(p.ID.View, p.ID.Name)
	p.Policy = p.Policy.withDefaults()
	now := d.o.Clock()
	d.mu.Lock()
	old := d.parents[p.ID]
	d.mu.Unlock()
	next := &parent{p, &memory{accepted: make(map[dns.Name]acceptance), scan: scan{last: now}}}
	if old != nil {
		next.memory = old.memory
		next.mu.Lock()
		next.scan.last = now // time in which nothing was scanned counts for nothing
		next.mu.Unlock()
	}
	var delays map[key]seenBefore
	if old == nil && d.o.Load != nil {
		b, err := d.o.Load(ctx, p.ID)
		if err == nil {
			delays, err = next.restore(b, now)
		}
		if err != nil {
			return fmt.Errorf("what is pending of the delegations of %s: %w", p.ID, err)
		}
	}
	d.mu.Lock()
	d.parents[p.ID] = next
	for k, b := range delays {
		d.schedule.restore(k, b.since, b.print, now)
	}
	d.mu.Unlock()
	d.stir()
	return nil
}

// Remove ends the keeping of a zone's delegations.
func (d *Desk) Remove(id zone.ID) {
	id = zone.IDOf(id.View, id.Name)
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.parents, id)
	d.schedule.forget(id)
}

// stir has Run see to it that there may be something to do.
func (d *Desk) stir() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Answer is what a NOTIFY is answered.
type Answer uint8

// The answers.
const (
	NotOurs  Answer = iota // NOTAUTH: nothing that is delegated here
	Rejected               // REFUSED: not now, or not by this policy
	Taken                  // NOERROR: it is looked at
)

// Notified takes a NOTIFY for CDS or CSYNC of a child (RFC 9859 §4.3). It is quick, and
// many goroutines may call it. Who sent it does not matter, since it makes a look sooner
// and nothing else: what a flood of them costs is bounded by MinInterval for one child
// and by Parallel for all.
func (d *Desk) Notified(view string, child dns.Name, t dns.Type, from netip.Addr) Answer {
	p, child := d.parentOf(view, child)
	if p == nil {
		return NotOurs
	}
	what := p.kindsFor(t)
	if what == 0 || !p.Policy.watches(child) {
		return Rejected
	}
	d.mu.Lock()
	ok := d.schedule.notify(key{p.ID, child}, what, from, d.o.Clock())
	d.mu.Unlock()
	if !ok {
		return Rejected
	}
	d.stir()
	return Taken
}

// parentOf finds the parent that delegates exactly child, whose name is returned folded.
func (d *Desk) parentOf(view string, child dns.Name) (*parent, dns.Name) {
	child = child.Fold()
	for above := child.Parent(); !above.IsZero(); above = above.Parent() {
		d.mu.Lock()
		p := d.parents[zone.IDOf(view, above)]
		d.mu.Unlock()
		if p == nil {
			continue
		}
		if v := d.o.Zone(p.ID); v != nil && v.Find([]byte(child.Wire())).IsCut() {
			return p, child
		}
		return nil, child
	}
	return nil, child
}

// Counts returns what has come of NOTIFYs and looks so far.
func (d *Desk) Counts() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.schedule.counts
}
