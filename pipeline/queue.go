package pipeline

import (
	"context"
	"errors"
	"sync"

	"onoma/zone"
)

// ErrClosed says that the Pipeline has ended.
var ErrClosed = errors.New("the server is going down")

// batch is what was submitted together, and is made together or not at all.
type batch struct {
	changes []zone.Change
	done    func([]zone.Receipt, error)

	holds    []*state // zones that nobody else may change until the batch is done
	made     []made   // what was prepared, in the order of changes
	rejected error    // why it could not be prepared
	attempts int      // to prepare it
}

// queue is the batches that wait, in order.
type queue struct {
	ready chan struct{} // has a value when there is something to take, or the queue is closed

	mu     sync.Mutex
	items  []*batch
	first  []*batch // come before items: they have waited already
	n      int      // changes that have been put and are not done
	most   int
	closed bool
}

func (q *queue) init(most int) { q.ready, q.most = make(chan struct{}, 1), most }

func (q *queue) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// put appends b.
func (q *queue) put(b *batch) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrClosed
	case q.n+len(b.changes) > q.most && q.n > 0:
		return zone.ErrBusy
	}
	q.n += len(b.changes)
	q.items = append(q.items, b)
	q.signal()
	return nil
}

// again puts batches that have been taken before in front of all others.
func (q *queue) again(bs ...*batch) {
	if len(bs) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.first = append(q.first, bs...)
	q.signal()
}

// take moves the first batches, as many as have about most changes, to into.
func (q *queue) take(into []*batch, most int) []*batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	changes := 0
	for _, list := range []*[]*batch{&q.first, &q.items} {
		n := 0
		for n < len(*list) && changes < most {
			changes += len((*list)[n].changes)
			n++
		}
		into = append(into, (*list)[:n]...)
		rest := copy(*list, (*list)[n:])
		clear((*list)[rest:])
		*list = (*list)[:rest]
	}
	if len(q.first)+len(q.items) > 0 {
		q.signal()
	}
	return into
}

// release notes that so many changes are done.
func (q *queue) release(changes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.n -= changes
}

// close lets nothing more in, and reports whether all is done.
func (q *queue) close() (idle bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	return q.n == 0
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n
}

// Enqueue hands in changes that are made together or not at all, and returns at
// once. done is called once: by the goroutine that commits, when all is on the
// disk and served, or has been refused; or by Enqueue itself where there is no
// room. It must be quick, and not wait for another change.
func (p *Pipeline) Enqueue(changes []zone.Change, done func([]zone.Receipt, error)) {
	b := &batch{changes: changes, done: done}
	err := checkChanges(changes)
	if err == nil {
		err = p.queue.put(b)
	}
	if err != nil {
		p.stats.count(changes, nil, err)
		done(nil, err)
	}
}

var errNoChange = errors.New("a change has either an edit or all that the zone is to be")

func checkChanges(changes []zone.Change) error {
	if len(changes) == 0 {
		return errNoChange
	}
	for i := range changes {
		if (changes[i].Edit == nil) == (changes[i].Replace == nil) {
			return errNoChange
		}
	}
	return nil
}

// Submit is Enqueue for who waits. Where ctx ends first, the changes may be made
// all the same.
func (p *Pipeline) Submit(ctx context.Context, changes ...zone.Change) ([]zone.Receipt, error) {
	type outcome struct {
		receipts []zone.Receipt
		err      error
	}
	c := make(chan outcome, 1)
	p.Enqueue(changes, func(r []zone.Receipt, err error) { c <- outcome{r, err} })
	select {
	case o := <-c:
		return o.receipts, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
