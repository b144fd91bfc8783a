//go:build unix

package transport

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// checkVersion refuses a socket of :: that is not for IPv6 only.
func checkVersion(fd uintptr, a netip.Addr) error {
	if a.Is4() || !a.IsUnspecified() {
		return nil
	}
	only, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	if err == nil && only == 0 {
		err = errBothVersions
	}
	return err
}
