//go:build !linux

package qp

// adviseHuge does something on Linux only.
func adviseHuge([]byte) {}
