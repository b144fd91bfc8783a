//go:build !amd64 && !arm64

package qp

import "unsafe"

// prefetch does nothing where Go's assembler has no such instruction.
func prefetch(unsafe.Pointer) {}
