//go:build unix && !race

package cache

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// allocate returns n words of zeros that live as long as owner. They are not on the
// heap of Go: there they would let as much garbage again gather before it is
// collected, and a cache would take twice its size.
func allocate[T any](owner *T, n int) []uint64 {
	b, err := unix.Mmap(-1, 0, 8*n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]uint64, n)
	}
	runtime.AddCleanup(owner, func(b []byte) { _ = unix.Munmap(b) }, b)
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(b))), n)
}
