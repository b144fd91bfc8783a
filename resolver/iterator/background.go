package iterator

import "sync"

// background counts what goes on beside the look-ups: questions on their way, and
// looks at the link.
type background struct {
	mu       sync.Mutex
	count    int
	isClosed bool
	idle     chan struct{} // closed when the last of them is over, if somebody waits
}

// begin reports whether something more may begin; end is to be called for it.
func (b *background) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isClosed {
		b.count++
	}
	return !b.isClosed
}

func (b *background) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count--; b.count == 0 && b.idle != nil {
		close(b.idle)
	}
}

// close lets nothing more begin and waits for what has.
func (b *background) close() {
	b.mu.Lock()
	b.isClosed = true
	if b.count > 0 && b.idle == nil {
		b.idle = make(chan struct{})
	}
	idle := b.idle
	b.mu.Unlock()
	if idle != nil {
		<-idle
	}
}

// Close ends what is still on its way. No look-up may begin after it, and those
// that are under way fail.
func (it *Iterator) Close() {
	it.cancel()
	it.background.close()
	it.crew.Close()
}
