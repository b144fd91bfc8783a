package delegation

import (
	"container/heap"
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// kinds is what is looked at.
type kinds uint8

const (
	kindDS    kinds = 1 << iota // CDS and CDNSKEY
	kindCSYNC                   // CSYNC
)

// key is a child of a parent, its name folded.
type key struct {
	parent zone.ID
	child  dns.Name
}

// phase is where a task is.
type phase uint8

const (
	waiting phase = iota // is looked at when it is due
	ready                // is looked at when there is room
	running              // is being looked at
	resting              // was looked at, and is not again before it is due
)

// Why a child is looked at, as reports have it.
const (
	becauseNotify = "notify"
	becauseScan   = "scan"
	becauseRetry  = "retry"
	becauseDelay  = "delay"
	becauseAsked  = "asked"
)

// task is a child of which something is pending.
type task struct {
	key
	kinds   kinds
	because string
	phase   phase
	due     time.Time
	rest    time.Time // nobody has it looked at before: MinInterval after the last look
	tries   int       // in vain, one after the other
	again   kinds     // asked for while it was running or resting
	source  netip.Prefix
	failed  bool // the last look came to nothing
	idle    bool // nobody waits for it, as far as the order goes
	at      int  // in the heap, -1: not there

	since time.Time // a first DS was seen at all servers first, as print has it; zero: none was
	print print
}

// schedule is the core of a Desk: who is looked at when. It has no clock, no sockets
// and no goroutine. One caller at a time.
//
// It holds the children of which something is pending, and those that were looked at
// within MinInterval; never more than limit.
type schedule struct {
	tasks   map[key]*task
	timers  timers
	ready   [2][]*task // what people and children wait for, and the rest
	sources map[netip.Prefix]int
	limit   int
	counts  Counts
}

// Counts are what has come of NOTIFYs and looks so far.
type Counts struct {
	Notified, NotifyCoalesced, NotifyRefused uint64
	Looks, Unchanged, Changed, Waits, Denied uint64
	Scanned                                  uint64 // children that a scan came by
}

func newSchedule(limit int) *schedule {
	return &schedule{tasks: make(map[key]*task), sources: make(map[netip.Prefix]int), limit: limit}
}

// notify has k looked at as soon as may be. It reports false where there is no room:
// in all, or for more children that one network asks for.
func (s *schedule) notify(k key, what kinds, from netip.Addr, now time.Time) bool {
	s.counts.Notified++
	if t := s.tasks[k]; t != nil {
		s.counts.NotifyCoalesced++
		s.hurry(t, what, now)
		return true
	}
	source := networkOf(from)
	if len(s.tasks) >= s.limit || s.sources[source] >= max(1, s.limit/10) {
		s.counts.NotifyRefused++
		return false
	}
	t := s.add(k, what, becauseNotify, now)
	t.source = source
	s.sources[source]++
	return true
}

// networkOf is what counts as one sender of NOTIFYs.
func networkOf(a netip.Addr) netip.Prefix {
	bits := 24
	if a = a.Unmap(); a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// hurry: news about a child of which something is pending already.
func (s *schedule) hurry(t *task, what kinds, now time.Time) {
	switch t.phase {
	case waiting:
		t.kinds |= what
		t.because, t.tries = becauseNotify, 0
		s.unset(t)
		if now.Before(t.rest) {
			s.set(t, waiting, t.rest)
			return
		}
		s.push(t)
	case ready:
		t.kinds |= what
	case running, resting:
		t.again |= what
	}
}

// scan has k looked at when there is time. It reports false where there is no room.
func (s *schedule) scan(k key, what kinds, now time.Time) bool {
	if s.tasks[k] != nil {
		return true
	}
	// Half of the room is for who says that something has changed.
	if len(s.tasks) >= s.limit/2 {
		return false
	}
	s.counts.Scanned++
	s.add(k, what, becauseScan, now)
	return true
}

// restore adds a delay that runs since before a restart.
func (s *schedule) restore(k key, since time.Time, p print, due time.Time) {
	if s.tasks[k] != nil || len(s.tasks) >= s.limit {
		return
	}
	t := &task{key: k, kinds: kindDS, because: becauseDelay, at: -1, since: since, print: p}
	s.tasks[k] = t
	s.set(t, waiting, due)
}

func (s *schedule) add(k key, what kinds, because string, now time.Time) *task {
	t := &task{key: k, kinds: what, because: because, at: -1}
	s.tasks[k] = t
	s.push(t)
	return t
}

// push puts a task where it is taken from. A child that keeps us waiting, however often it
// says that it has news, stands with those that nobody waits for.
func (s *schedule) push(t *task) {
	t.phase, t.idle = ready, t.because != becauseNotify || t.failed
	lane := 0
	if t.idle {
		lane = 1
	}
	s.ready[lane] = append(s.ready[lane], t)
}

// next returns a task to be looked at now, nil where there is none. Who asks says
// whether it may be one that nobody waits for.
func (s *schedule) next(now time.Time, idle bool) *task {
	s.expire(now)
	for lane := range s.ready {
		if lane == 1 && !idle || len(s.ready[lane]) == 0 {
			continue
		}
		t := s.ready[lane][0]
		s.ready[lane][0] = nil
		s.ready[lane] = s.ready[lane][1:]
		t.phase = running
		s.counts.Looks++
		return t
	}
	return nil
}

// expire moves on what is due.
func (s *schedule) expire(now time.Time) {
	for len(s.timers) > 0 && !s.timers[0].due.After(now) {
		t := heap.Pop(&s.timers).(*task)
		switch {
		case t.phase == waiting:
			s.push(t)
		case t.again != 0:
			t.kinds, t.again, t.because, t.tries = t.again, 0, becauseNotify, 0
			s.push(t)
		default:
			s.drop(t)
		}
	}
}

// drop forgets a task.
func (s *schedule) drop(t *task) {
	delete(s.tasks, t.key)
	if t.source.IsValid() {
		if s.sources[t.source]--; s.sources[t.source] <= 0 {
			delete(s.sources, t.source)
		}
	}
}

// ended is how a look has ended, as far as the next one depends on it.
type ended struct {
	verdict Verdict
	again   kinds     // what is to be looked at again after a while
	until   time.Time // a delay runs until then; zero: none does
	since   time.Time
	print   print
}

// done notes the end of a look, and returns when the next one is; zero: none is.
func (s *schedule) done(t *task, e ended, p *Policy, now time.Time) time.Time {
	s.count(e.verdict)
	t.since, t.print = e.since, e.print
	rest := now.Add(p.MinInterval)
	t.rest, t.failed = rest, e.again != 0
	if !e.isAlive(now) {
		t.since = time.Time{}
	}
	switch {
	case t.again != 0: // news came meanwhile
		s.set(t, resting, rest)
	case e.again != 0 && t.tries < len(p.Retry):
		t.kinds, t.because = e.again, becauseRetry
		s.set(t, waiting, now.Add(p.Retry[t.tries]))
		t.tries++
	case e.isAlive(now):
		t.kinds, t.because, t.tries = kindDS, becauseDelay, 0
		s.set(t, waiting, later(rest, e.nextOfDelay(now)))
	default:
		s.set(t, resting, rest)
		return time.Time{}
	}
	return t.due
}

// isAlive says whether a delay runs. One whose end has come, with servers that cannot be
// asked, has as long once more.
func (e *ended) isAlive(now time.Time) bool {
	return !e.until.IsZero() && now.Before(e.until.Add(e.until.Sub(e.since)))
}

// nextOfDelay: RFC 8078 §3.3 has the child looked at more than once while the delay
// runs: some eight times, and at its end.
func (e *ended) nextOfDelay(now time.Time) time.Time {
	next := now.Add(max(time.Second, e.until.Sub(e.since)/8))
	if next.After(e.until) && now.Before(e.until) {
		return e.until
	}
	return next
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s *schedule) count(v Verdict) {
	switch v {
	case Unchanged:
		s.counts.Unchanged++
	case Changed:
		s.counts.Changed++
	case Waits:
		s.counts.Waits++
	case Refused:
		s.counts.Denied++
	}
}

// wake returns when something is due, and false where nothing is.
func (s *schedule) wake() (time.Time, bool) {
	if len(s.timers) == 0 {
		return time.Time{}, false
	}
	return s.timers[0].due, true
}

// forget drops all of a parent that is not looked at now.
func (s *schedule) forget(parent zone.ID) {
	for k, t := range s.tasks {
		if k.parent == parent && t.phase != running {
			s.unset(t)
			s.drop(t)
		}
	}
	for lane, list := range s.ready {
		kept := list[:0]
		for _, t := range list {
			if t.parent != parent {
				kept = append(kept, t)
			}
		}
		s.ready[lane] = kept
	}
}

func (s *schedule) set(t *task, p phase, due time.Time) {
	t.phase, t.due = p, due
	heap.Push(&s.timers, t)
}

func (s *schedule) unset(t *task) {
	if t.at >= 0 {
		heap.Remove(&s.timers, t.at)
	}
}

// timers is a heap of tasks by when they are due.
type timers []*task

func (h timers) Len() int           { return len(h) }
func (h timers) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h timers) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }
func (h *timers) Push(x any)        { t := x.(*task); t.at = len(*h); *h = append(*h, t) }
func (h *timers) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h, t.at = old[:len(old)-1], -1
	return t
}
