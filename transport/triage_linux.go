package transport

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// triage looks at a batch before it is answered.
func (b *batch) triage() {
	clear(b.skip[:])
	t, now := b.sock.triage, b.seat.q.Now
	if t == nil {
		return
	}
	if g := t.guest.Load(); g != nil {
		b.sort(t, g, now)
	} else {
		b.sample(t, now)
	}
	t.endBatch(now)
}

// sample remembers the sources of a few packets: of the first, so that every client is noticed where batches are small, and of
// some of the others.
func (b *batch) sample(t *triage, now int64) {
	t.took[kindOther] += uint64(b.n)
	for i := 0; i < b.n; i += t.stride() {
		t.calmly(b.keyOf(i), b.message(i), b.rxName[i].addrPort(b.zone), now)
	}
}

// sort finds each packet's kind, and marks what the loop must turn away itself.
func (b *batch) sort(t *triage, g *guestList, now int64) {
	for i := range b.n {
		if !t.pressed(g, b.keyOf(i), b.message(i), b.rxName[i].addrPort(b.zone), now) {
			b.skip[i] = true
			b.seat.tally[nShed]++
		}
	}
	t.sources.refresh(b.keyOf(0), second(now))
}

func (b *batch) message(i int) []byte {
	n := b.rx[i].Len
	return b.in[i*udpSlot:][:n:n]
}

func (b *batch) keyOf(i int) uint32 {
	r := &b.rxName[i]
	if binary.NativeEndian.Uint16(r[:]) == unix.AF_INET {
		return binary.BigEndian.Uint32(r[4:])
	}
	return b.sock.key.of6((*[16]byte)(r[8:24]))
}

// memInfo are the numbers of SO_MEMINFO.
type memInfo [9]uint32

const (
	memQueued = 0 // SK_MEMINFO_RMEM_ALLOC
	memBuffer = 1 // SK_MEMINFO_RCVBUF
	memDrops  = 8 // SK_MEMINFO_DROPS
)

func (s *batchSocket) memInfo() (info memInfo, ok bool) {
	s.control(func(fd int) error {
		size := uint32(unsafe.Sizeof(info))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		ok = errno == 0
		return nil
	})
	return info, ok
}

func (s *batchSocket) level() (fill float64, drops uint32, ok bool) {
	info, ok := s.memInfo()
	return float64(info[memQueued]) / float64(max(info[memBuffer], 1)), info[memDrops], ok
}
