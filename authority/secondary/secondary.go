package secondary

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"onoma/authority"
	"onoma/zone"
)

// Secondary keeps zones as their primaries have them.
type Secondary struct {
	options Options
	links   links
	wake    chan struct{}

	mu      sync.Mutex
	machine *machine
	counts  Stats
}

// Stats counts what has happened since the start.
type Stats struct {
	Zones                   int
	Expired                 int // at this moment
	Checks                  uint64
	CheckErrors             uint64
	Whole, Incremental      uint64 // transfers that went well
	UpToDate                uint64 // those that brought nothing
	TransferErrors          uint64
	Fallbacks               uint64 // to the whole zone, from a difference that was of no use
	Records                 uint64
	Octets                  uint64
	Notices, NoticesRefused uint64
	ChecksNow, TransfersNow int
}

// New returns a Secondary that does nothing before it runs.
func New(o Options) *Secondary {
	for _, x := range []struct {
		n       *int
		without int
	}{{&o.Checks, 64}, {&o.ChecksEach, 16}, {&o.Transfers, 10}, {&o.TransfersEach, 4}} {
		if *x.n <= 0 {
			*x.n = x.without
		}
	}
	if o.DialTime <= 0 {
		o.DialTime = 10 * time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Int64N
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := bounds{all: [2]int{o.Checks, o.Transfers}, each: [2]int{o.ChecksEach, o.TransfersEach}}
	random := func(n int64) int64 { return o.Random(max(n, 1)) }
	return &Secondary{options: o, wake: make(chan struct{}, 1), machine: newMachine(b, random)}
}

// Add begins to keep a zone, or goes on with other settings for it. The zone must
// be known to Options.Zones, with a version or without.
func (s *Secondary) Add(cfg ZoneConfig) {
	cfg.ID = zone.IDOf(cfg.ID.View, cfg.ID.Name)
	old, _ := readSaved(cfg.Saved)
	s.mu.Lock()
	if m := s.machine.zones[cfg.ID]; m != nil {
		old.source = m.source
	}
	s.mu.Unlock()
	var r result
	s.head(cfg.ID, cfg.Signer, old.source, &r)
	s.mu.Lock()
	s.machine.add(cfg, &r, s.options.Clock())
	s.mu.Unlock()
	s.poke()
}

// Remove ends what is about a zone. A transfer that is under way may still end.
func (s *Secondary) Remove(id zone.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.machine.remove(zone.IDOf(id.View, id.Name))
}

// Refresh asks the primaries of a zone for news now. It reports false for a zone
// that it does not keep.
func (s *Secondary) Refresh(id zone.ID) bool { return s.ask(id, false) }

// Retransfer fetches the whole zone, whatever its version.
func (s *Secondary) Retransfer(id zone.ID) bool { return s.ask(id, true) }

func (s *Secondary) ask(id zone.ID, force bool) bool {
	s.mu.Lock()
	ok := s.machine.refresh(zone.IDOf(id.View, id.Name), force, s.options.Clock())
	s.mu.Unlock()
	s.poke()
	return ok
}

// Notified is for authority.Options.Notified. It is quick, and a flood of NOTIFYs
// takes no memory.
func (s *Secondary) Notified(n authority.Notice) authority.NoticeVerdict {
	var serial *uint32
	if n.HasSerial {
		serial = &n.Serial
	}
	s.mu.Lock()
	st := s.machine.notified(zone.IDOf(n.View, n.Zone), n.From.Addr(), n.Key, serial, s.options.Clock())
	switch st {
	case taken:
		s.counts.Notices++
	case refused:
		s.counts.NoticesRefused++
	}
	s.mu.Unlock()
	switch st {
	case taken:
		s.poke()
		return authority.NoticeTaken
	case refused:
		return authority.NoticeRefused
	}
	return authority.NoticeUnknown
}

// States returns what is known of each zone, in the order of their names.
func (s *Secondary) States() []State {
	s.mu.Lock()
	out := make([]State, 0, len(s.machine.zones))
	for _, m := range s.machine.zones {
		out = append(out, m.state())
	}
	s.mu.Unlock()
	slices.SortFunc(out, func(a, b State) int {
		return cmp.Or(cmp.Compare(a.Zone.View, b.Zone.View), a.Zone.Name.Compare(b.Zone.Name))
	})
	return out
}

// State returns what is known of one zone.
func (s *Secondary) State(id zone.ID) (State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.machine.zones[zone.IDOf(id.View, id.Name)]
	if m == nil {
		return State{}, false
	}
	return m.state(), true
}

func (m *member) state() State {
	st := State{
		Zone: m.id, Phase: m.phase, HasZone: m.have, Serial: m.serial, Expired: m.withdrawn, Signed: m.signer != nil,
		Primaries: m.cfg.Primaries, LastCheck: m.checked, NextCheck: m.next, Expires: m.expires, Tries: m.tries,
	}
	if m.asked < len(m.cfg.Primaries) {
		st.Primary = m.cfg.Primaries[m.asked].Addr
	}
	if m.why != nil {
		st.Err = m.why.Error()
	}
	return st
}

// Expires returns how long a version that is here may still be served, for
// EXPIRE (RFC 7314 §4.2); ok is false for a zone that no primary gives.
func (s *Secondary) Expires(id zone.ID) (left time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.machine.zones[zone.IDOf(id.View, id.Name)]
	if m == nil || !m.have {
		return 0, false
	}
	return max(0, m.expires.Sub(s.options.Clock())), true
}

// Stats returns the counts.
func (s *Secondary) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.Zones = len(s.machine.zones)
	for _, m := range s.machine.zones {
		if m.withdrawn {
			c.Expired++
		}
	}
	c.ChecksNow, c.TransfersNow = s.machine.counts[classCheck], s.machine.counts[classTransfer]
	return c
}

func (s *Secondary) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run keeps the zones until ctx ends. What is under way then is given up, and the
// zones' times are saved once more.
func (s *Secondary) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer s.links.close()
	defer wg.Wait()
	saving, stop := context.WithCancel(context.WithoutCancel(ctx))
	wg.Go(func() { s.saveAll(saving) })
	defer stop()
	var work sync.WaitGroup
	defer work.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		s.mu.Lock()
		now := s.options.Clock()
		actions, due := s.machine.step(now)
		s.mu.Unlock()
		for _, a := range actions {
			s.begin(ctx, a, &work)
		}
		wait := time.Hour
		if !due.IsZero() {
			wait = due.Sub(now)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.C:
		}
	}
	return nil
}

// begin does an action, or has it done.
func (s *Secondary) begin(ctx context.Context, a action, work *sync.WaitGroup) {
	switch a.task {
	case taskWithdraw:
		s.options.Log.Error("zone has expired: no primary has confirmed it for too long, queries get SERVFAIL", "zone", a.id)
		if z := s.options.Zones.Zone(a.id); z != nil {
			z.Withdraw()
		}
	case taskResume:
		s.options.Log.Info("zone is served again", "zone", a.id)
		if z := s.options.Zones.Zone(a.id); z != nil {
			z.Resume()
		}
	default:
		work.Go(func() {
			r := s.do(ctx, a)
			r.stopped = r.err != nil && ctx.Err() != nil
			s.mu.Lock()
			s.count(a, &r)
			s.machine.done(a, r, s.options.Clock())
			s.mu.Unlock()
			s.poke()
		})
	}
}

// do asks. What a primary makes panic is that primary's failure.
func (s *Secondary) do(ctx context.Context, a action) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r = result{err: fmt.Errorf("internal error: %v", p)}
			s.options.Log.Error("a transfer has met an internal error", "zone", a.id, "primary", a.primary.Addr, "error", p)
		}
	}()
	if a.task == taskCheck {
		r = s.check(ctx, a)
		s.head(a.id, a.signer, a.source, &r)
		return r
	}
	return s.fetch(ctx, a)
}

func (s *Secondary) count(a action, r *result) {
	if r.stopped || a.task != taskCheck {
		return
	}
	s.counts.Checks++
	if r.err != nil {
		s.counts.CheckErrors++
		s.options.Log.Warn("a primary could not be asked", "zone", a.id, "primary", a.primary.Addr, "error", r.err)
	}
}

// ended tells of a transfer. fallback says that the whole zone is asked for next.
func (s *Secondary) ended(r *Report, fallback bool) {
	s.mu.Lock()
	s.counts.Records += uint64(r.Records)
	s.counts.Octets += uint64(r.Octets)
	switch {
	case fallback:
		s.counts.Fallbacks++
	case r.Err != nil:
		s.counts.TransferErrors++
	case r.Kind == authority.UpToDate:
		s.counts.UpToDate++
	case r.Kind == authority.Incremental:
		s.counts.Incremental++
	default:
		s.counts.Whole++
	}
	s.mu.Unlock()
	log := s.options.Log.With("zone", r.Zone, "primary", r.Primary.Addr, "over", r.Primary.Proto.String())
	switch {
	case fallback:
		log.Warn("a difference was of no use, the whole zone is asked for", "error", r.Err)
	case r.Err != nil:
		log.Warn("a transfer has failed", "error", r.Err)
	default:
		log.Info("transferred", "kind", r.Kind.String(), "from", r.From, "to", r.To, "records", r.Records, "octets", r.Octets, "took", r.Took)
	}
	if s.options.Ended != nil {
		s.options.Ended(*r)
	}
}

// saveBatch is how many zones' times are saved at once.
const saveBatch = 1000

// saveAll saves what changes, every second, and at the end.
func (s *Secondary) saveAll(ctx context.Context) {
	if s.options.Save == nil {
		return
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
		s.save()
	}
}

// save saves what has changed, in batches.
func (s *Secondary) save() {
	for {
		s.mu.Lock()
		batch := s.machine.saves(saveBatch)
		s.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := s.options.Save(ctx, batch)
		cancel()
		if err != nil {
			s.options.Log.Warn("the times of secondary zones could not be saved; behind a restart they are asked for again", "error", err)
		}
	}
}
