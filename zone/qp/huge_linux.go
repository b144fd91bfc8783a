package qp

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const hugePage = 2 << 20

// adviseHuge asks for huge pages under b: a trie is read at random, and each of
// its cells on a page of its own costs a look into the page table, too. It is
// advice only.
func adviseHuge(b []byte) {
	if len(b) < 2*hugePage {
		return
	}
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (hugePage - 1)
	n := (uintptr(len(b)) - skip) &^ (hugePage - 1)
	_ = unix.Madvise(b[skip:skip+n], unix.MADV_HUGEPAGE)
}
