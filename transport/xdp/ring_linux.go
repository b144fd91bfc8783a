package xdp

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is one of the four queues between a socket and the kernel: two indexes that only grow, each written by one side, and
// slots in memory that both sides map. Sizes are powers of two. A ring belongs to one goroutine.
type ring[T any] struct {
	mem      []byte
	producer *atomic.Uint32
	consumer *atomic.Uint32
	flags    *atomic.Uint32
	slots    []T
	mine     uint32 // our own index, ahead of what is published
	theirs   uint32 // the kernel's as last looked at, in a ring of which we are the consumer
}

// mapRing maps a ring of n slots of the socket.
func mapRing[T any](fd int, at int64, off unix.XDPRingOffset, n int) (r ring[T], err error) {
	var slot T
	size := int(off.Desc) + n*int(unsafe.Sizeof(slot))
	r.mem, err = unix.Mmap(fd, at, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return r, fmt.Errorf("mapping a ring: %w", err)
	}
	r.producer = (*atomic.Uint32)(unsafe.Pointer(&r.mem[off.Producer]))
	r.consumer = (*atomic.Uint32)(unsafe.Pointer(&r.mem[off.Consumer]))
	r.flags = (*atomic.Uint32)(unsafe.Pointer(&r.mem[off.Flags]))
	r.slots = unsafe.Slice((*T)(unsafe.Pointer(&r.mem[off.Desc])), n)
	return r, nil
}

func (r *ring[T]) unmap() {
	if r.mem != nil {
		unix.Munmap(r.mem)
	}
	*r = ring[T]{}
}

// slot is the place of index i.
func (r *ring[T]) slot(i uint32) *T { return &r.slots[i&uint32(len(r.slots)-1)] }

// sleeping says that the kernel wants a system call before it looks at the ring again (XDP_USE_NEED_WAKEUP).
func (r *ring[T]) sleeping() bool { return r.flags.Load()&unix.XDP_RING_NEED_WAKEUP != 0 }

// put fills the next slot of a ring of which we are the producer. There is always one: a ring has as many slots as there are
// frames that could be in it.
func (r *ring[T]) put(v T) {
	*r.slot(r.mine) = v
	r.mine++
}

// publish shows the kernel what was put.
func (r *ring[T]) publish() { r.producer.Store(r.mine) }

// ready is how many slots, up to want, may be taken from a ring of which we are the consumer.
func (r *ring[T]) ready(want uint32) uint32 {
	if n := r.theirs - r.mine; n >= want {
		return want
	}
	r.theirs = r.producer.Load()
	return min(r.theirs-r.mine, want)
}

// take empties the next slot; ready has promised it.
func (r *ring[T]) take() T {
	v := *r.slot(r.mine)
	r.mine++
	return v
}

// release gives the kernel back what was taken.
func (r *ring[T]) release() { r.consumer.Store(r.mine) }
