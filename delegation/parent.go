package delegation

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// parent is a Parent with what is known of its children. It is immutable but for the
// memory, which outlives a change of the policy.
type parent struct {
	Parent
	*memory
}

// memory is what was taken of children of late, and how far the scan has come.
type memory struct {
	mu       sync.Mutex
	accepted map[dns.Name]acceptance // by folded name
	scan     scan
	dirty    bool // something is not saved yet

	unsaved bool // the last attempt to save it has failed; who saves owns this
}

// kindsFor says what a NOTIFY for a type asks for. RFC 9859 §2.1 has CDS stand for CDNSKEY
// too.
func (p *parent) kindsFor(t dns.Type) kinds {
	switch {
	case (t == dns.TypeCDS || t == dns.TypeCDNSKEY) && p.Policy.DS:
		return kindDS
	case t == dns.TypeCSYNC && p.Policy.CSYNC:
		return kindCSYNC
	}
	return 0
}

// keeper returns who changes delegations.
func (p *parent) keeper(d *Desk) Keeper {
	if p.Keep != nil {
		return p.Keep
	}
	return func(ctx context.Context, o Order) (zone.Receipt, error) {
		receipts, err := d.o.Submit(ctx, o.Change())
		if err != nil || len(receipts) == 0 {
			return zone.Receipt{}, err
		}
		return receipts[0], nil
	}
}

func (p *parent) acceptedOf(child dns.Name) acceptance {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted[child.Fold()]
}

const (
	// maxAccepted bounds what is known of children's last signatures: those of a zone of
	// a million children that all roll their keys once a month.
	maxAccepted = 1 << 20
	// longestLife is how long a signature is remembered, whatever it says itself.
	longestLife = 90 * 24 * time.Hour
)

// accept notes what is about to be taken of a child, for as long as something older of it
// could be played back: until its signature has expired, so that an older one has too.
func (p *parent) accept(child dns.Name, a acceptance, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if latest := uint32(now.Add(longestLife).Unix()); int32(a.Expiration-latest) > 0 {
		a.Expiration = latest
	}
	if len(p.accepted) < maxAccepted {
		p.accepted[child.Fold()] = a
	}
	p.dirty = true
}

// saved is the state of a parent in the store.
type saved struct {
	Version  int                   `json:"version"`
	Cursor   dns.Name              `json:"cursor"`
	Accepted map[string]acceptance `json:"accepted,omitempty"`
	Delays   map[string]savedDelay `json:"delays,omitempty"`
}

type savedDelay struct {
	Since time.Time `json:"since"`
	Print string    `json:"print"`
}

const savedVersion = 1

func (p *parent) isDirty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dirty
}

// save returns the state to be kept, without what has expired; nil where nothing has
// changed.
func (p *parent) save(delays map[key]seenBefore, now time.Time) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dirty {
		return nil
	}
	p.dirty = false
	s := saved{Version: savedVersion, Cursor: p.scan.cursor, Accepted: make(map[string]acceptance), Delays: make(map[string]savedDelay)}
	for child, a := range p.accepted {
		if int32(a.Expiration-uint32(now.Unix())) < 0 {
			delete(p.accepted, child)
			continue
		}
		s.Accepted[child.String()] = a
	}
	for k, b := range delays {
		s.Delays[k.child.String()] = savedDelay{b.since, hex.EncodeToString(b.print[:])}
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // it is made of strings and numbers
	}
	return b
}

// restore takes a saved state in, and returns the delays that run.
func (p *parent) restore(b []byte, now time.Time) (map[key]seenBefore, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var s saved
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("reading the saved state: %w", err)
	}
	if s.Version != savedVersion {
		return nil, fmt.Errorf("the saved state is of version %d, expected %d: it was written by another onoma", s.Version, savedVersion)
	}
	for name, a := range s.Accepted {
		child, err := dns.ParseName(name)
		if err != nil {
			return nil, fmt.Errorf("reading the saved state: %w", err)
		}
		p.accepted[child.Fold()] = a
	}
	if !s.Cursor.IsZero() {
		p.scan.cursor = s.Cursor
	}
	return p.delaysOf(s.Delays, now)
}

func (p *parent) delaysOf(list map[string]savedDelay, now time.Time) (map[key]seenBefore, error) {
	out := make(map[key]seenBefore)
	for name, saved := range list {
		child, err := dns.ParseName(name)
		if err != nil {
			return nil, fmt.Errorf("reading the saved state: %w", err)
		}
		b := seenBefore{since: saved.Since}
		n, err := hex.Decode(b.print[:], []byte(saved.Print)[:min(len(saved.Print), 2*len(b.print))])
		if err != nil || n != len(b.print) {
			return nil, errors.New("reading the saved state: a fingerprint is not one")
		}
		if b.since.After(now) { // the clock was wrong once, or is now
			b.since = now
		}
		out[key{p.ID, child.Fold()}] = b
	}
	return out, nil
}

// scan goes through a zone's delegations, evenly over the policy's time.
type scan struct {
	cursor dns.Name // the name that was looked at last; zero: none in this pass
	last   time.Time
	credit float64 // names that may be gone through by now
}

// maxStride is the most names that a scan goes through in one step, whatever time has
// passed: a pass through a large zone takes longer than the policy says rather than
// holding up others.
const maxStride = 20_000

// step goes on for as long as time allows, and calls take for each child that may be
// looked at, until that reports false: there is no room.
func (s *scan) step(v *zone.Version, p *Policy, now time.Time, take func(dns.Name, kinds) bool) {
	elapsed := now.Sub(s.last)
	s.last = now
	if elapsed <= 0 || p.Scan <= 0 {
		return
	}
	names := float64(v.Stats().Names)
	s.credit = min(s.credit+names*float64(elapsed)/float64(p.Scan), names, maxStride)
	if s.credit < 1 {
		return
	}
	if s.cursor.IsZero() || !s.cursor.IsSubdomainOf(v.Origin()) {
		s.cursor = v.Origin()
	}
	for n := range v.From([]byte(s.cursor.Wire())) {
		if s.credit < 1 {
			return
		}
		name := n.Name()
		if what := p.scans(n); what != 0 && p.watches(name) && !take(name.Fold(), what) {
			return
		}
		s.credit--
		s.cursor = name
	}
	s.cursor = dns.Name{} // behind the last: the next pass begins
	s.credit--
}

// scans says what a scan looks at, at a node.
func (p *Policy) scans(n zone.Node) (what kinds) {
	if !n.IsCut() {
		return 0
	}
	if p.DS && (n.HasDS() || !p.Bootstrap.isOff()) {
		what |= kindDS
	}
	if p.CSYNC && n.HasDS() {
		what |= kindCSYNC
	}
	return what
}

// recent is the last reports, one of each child.
type recent struct {
	reports map[key]*Report
	order   []key
}

const maxRecent = 1000

func (r *recent) add(k key, report *Report) {
	if r.reports == nil {
		r.reports = make(map[key]*Report)
	}
	if r.reports[k] == nil {
		r.order = append(r.order, k)
	}
	r.reports[k] = report
	if len(r.order) > maxRecent {
		delete(r.reports, r.order[0])
		r.order = slices.Delete(r.order, 0, 1)
	}
}
