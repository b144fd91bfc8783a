//go:build unix

package transport

import "golang.org/x/sys/unix"

func setTrafficClass(fd uintptr, is4 bool, octet int) error {
	if is4 {
		return unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TOS, octet)
	}
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_TCLASS, octet)
}
