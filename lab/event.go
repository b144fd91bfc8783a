package lab

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"onoma/console"
)

// Event is one query that a server of the lab answered, and what became of it.
//
// In JSON: seq (counts all events), time (of the answer, RFC 3339), from and to
// (each with role, name and address), name and type (the question), outcome,
// rcode, records (a few of the answer's, as text), size (octets of the answer),
// micros (microseconds that the server took). The roles are client, resolver,
// root, tld and authority; the outcomes referral, answer, alias, negative and
// error.
type Event = console.Event

// subscriberBuffer is how many events wait for a subscriber before it misses
// some: a walk from the root is about ten, a page full of questions a hundred.
const subscriberBuffer = 1024

// hub hands events to whoever watches.
type hub struct {
	seq      atomic.Uint64
	watching atomic.Int32 // so that servers need no lock while nobody watches

	mu          sync.Mutex
	subscribers map[chan Event]struct{}
}

func newHub() *hub { return &hub{subscribers: map[chan Event]struct{}{}} }

// watched says whether an event would reach anyone.
func (h *hub) watched() bool { return h.watching.Load() > 0 }

// publish numbers the event and offers it to every subscriber. One whose buffer
// is full misses it.
func (h *hub) publish(e Event) {
	e.Seq = h.seq.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.subscribers {
		select {
		case ch <- e:
		default:
		}
	}
}

// subscribe returns the events from now on. The channel is closed when ctx ends.
func (h *hub) subscribe(ctx context.Context) <-chan Event {
	ch := make(chan Event, subscriberBuffer)
	h.mu.Lock()
	h.subscribers[ch] = struct{}{}
	h.mu.Unlock()
	h.watching.Add(1)
	context.AfterFunc(ctx, func() {
		h.watching.Add(-1)
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subscribers, ch)
		close(ch)
	})
	return ch
}

// few is the most that an event repeats of an answer's records.
const few = 4

// firstFew cuts a list and says how much is missing.
func firstFew(texts []string) []string {
	if len(texts) <= few {
		return texts
	}
	return slices.Concat(texts[:few], []string{more(len(texts) - few)})
}
