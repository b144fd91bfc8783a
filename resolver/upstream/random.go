package upstream

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
)

// bits are random numbers drawn ahead: the system's source is asked once for many.
type bits struct {
	left int
	buf  [512]byte
}

var drawn = sync.Pool{New: func() any { return new(bits) }}

// Uint64 returns bits that nobody outside can guess. Each is given out once.
func (*Network) Uint64() uint64 {
	b := drawn.Get().(*bits)
	if b.left == 0 {
		rand.Read(b.buf[:]) // its documentation: never fails
		b.left = len(b.buf)
	}
	b.left -= 8
	v := binary.NativeEndian.Uint64(b.buf[b.left:])
	clear(b.buf[b.left : b.left+8])
	drawn.Put(b)
	return v
}
