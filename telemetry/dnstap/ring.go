package dnstap

import "sync/atomic"

// Ring carries events from one goroutine to another without either waiting: what finds it full is dropped and counted.
// Put may be called by one goroutine at a time, and so may take.
type Ring struct {
	buf []byte // its length is a power of two

	_       [64]byte
	head    atomic.Uint64 // octets written since the beginning; the writer's
	known   uint64        // the last tail that the writer has looked at
	kept    atomic.Uint64 // events; the writer's
	dropped atomic.Uint64 // likewise
	_       [64]byte
	tail    atomic.Uint64 // octets read; the reader's
	_       [64]byte
}

const (
	prefix = 8          // each event lies behind its length, at a multiple of 8
	skip   = ^uint32(0) // in place of a length: go on at the beginning
)

// NewRing returns a Ring of size octets, which is rounded up to a power of two.
func NewRing(size int) *Ring {
	n := 4096
	for n < size {
		n *= 2
	}
	return &Ring{buf: make([]byte, n)}
}

// reserve returns room for an event of n octets, nil where there is none. The room is shown to the reader by commit.
func (r *Ring) reserve(n int) []byte {
	need := uint64(prefix+n+7) &^ 7
	head := r.head.Load()
	at := head & uint64(len(r.buf)-1)
	wrap := uint64(0)
	if rest := uint64(len(r.buf)) - at; rest < need {
		wrap = rest
	}
	if head+wrap+need-r.known > uint64(len(r.buf)) {
		r.known = r.tail.Load()
		if head+wrap+need-r.known > uint64(len(r.buf)) {
			return nil
		}
	}
	if wrap > 0 {
		putUint32(r.buf[at:], skip)
		r.head.Store(head + wrap)
		at = 0
	}
	putUint32(r.buf[at:], uint32(n))
	return r.buf[at+prefix:][:n:n]
}

func (r *Ring) commit(n int) {
	r.head.Store(r.head.Load() + uint64(prefix+n+7)&^7)
}

// next returns the oldest event, nil where there is none. It is valid until done.
func (r *Ring) next() []byte {
	for {
		tail := r.tail.Load()
		if tail == r.head.Load() {
			return nil
		}
		at := tail & uint64(len(r.buf)-1)
		n := getUint32(r.buf[at:])
		if n != skip {
			return r.buf[at+prefix:][:n:n]
		}
		r.tail.Store(tail + uint64(len(r.buf)) - at)
	}
}

// done gives back the room of an event of n octets.
func (r *Ring) done(n int) {
	r.tail.Store(r.tail.Load() + uint64(prefix+n+7)&^7)
}
