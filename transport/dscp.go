package transport

import (
	"fmt"
	"net/netip"
	"syscall"
)

// maxDSCP is the greatest code point: six bits of the octet whose other two belong to ECN (RFC 2474 §3, RFC 3168 §5).
const maxDSCP = 63

// mark makes the socket's packets carry the code point; 0 leaves it as the system has it. Connections that a listening socket
// accepts inherit it.
func mark(fd uintptr, a netip.Addr, dscp int) error {
	if dscp == 0 {
		return nil
	}
	if err := setTrafficClass(fd, a.Unmap().Is4(), dscp<<2); err != nil {
		return fmt.Errorf("setting the DSCP to %d: %w", dscp, err)
	}
	return nil
}

// marked is mark for net.ListenConfig.
func marked(a netip.Addr, dscp int) func(network, address string, rc syscall.RawConn) error {
	return func(_, _ string, rc syscall.RawConn) error {
		var err error
		if e := rc.Control(func(fd uintptr) { err = mark(fd, a, dscp) }); e != nil {
			return e
		}
		return err
	}
}
