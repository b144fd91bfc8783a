//go:build !linux

package control

import (
	"net"
	"syscall"
)

// private does nothing: elsewhere the mode of a socket's file can only be set once it is there.
func private(_, _ string, _ syscall.RawConn) error { return nil }

// peerUID does not know who has connected.
func peerUID(net.Conn) (uid uint32, ok bool) { return 0, false }
