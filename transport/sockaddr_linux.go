package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// rawAddr is a socket address as the kernel writes it, IPv4 or IPv6. An answer's destination is the very bytes that came
// with the query.
type rawAddr [unix.SizeofSockaddrInet6]byte

// zones remembers the text of interface numbers that link-local clients came through, for one goroutine. The kernel gives
// the numbers out, so there are no more than interfaces.
type zones map[uint32]string

func (z zones) name(scope uint32) string {
	s, ok := z[scope]
	if !ok {
		s = strconv.FormatUint(uint64(scope), 10)
		z[scope] = s
	}
	return s
}

// addrPort reads what the kernel wrote; the zero AddrPort where it wrote nothing known.
func (r *rawAddr) addrPort(z zones) netip.AddrPort {
	port := binary.BigEndian.Uint16(r[2:])
	switch binary.NativeEndian.Uint16(r[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(r[4:8])), port)
	case unix.AF_INET6:
		a := netip.AddrFrom16([16]byte(r[8:24]))
		if scope := binary.NativeEndian.Uint32(r[24:]); scope != 0 {
			a = a.WithZone(z.name(scope))
		}
		return netip.AddrPortFrom(a, port)
	}
	return netip.AddrPort{}
}

// set writes ap the kernel's way and returns the length used.
func (r *rawAddr) set(ap netip.AddrPort) (uint32, error) {
	*r = rawAddr{}
	binary.BigEndian.PutUint16(r[2:], ap.Port())
	a := ap.Addr().Unmap()
	if a.Is4() {
		binary.NativeEndian.PutUint16(r[:], unix.AF_INET)
		a4 := a.As4()
		copy(r[4:], a4[:])
		return unix.SizeofSockaddrInet4, nil
	}
	binary.NativeEndian.PutUint16(r[:], unix.AF_INET6)
	a16 := a.As16()
	copy(r[8:], a16[:])
	scope, err := scopeOf(a.Zone())
	binary.NativeEndian.PutUint32(r[24:], scope)
	return unix.SizeofSockaddrInet6, err
}

// scopeOf turns an interface's number or name into its number.
func scopeOf(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, err
	}
	return uint32(ifi.Index), nil
}

// controlLen holds one IP_PKTINFO or IPV6_PKTINFO message.
const controlLen = 64

// control is the ancillary data of one packet on a socket bound to a wildcard address. The message that says which address
// was asked has the form of the one that asks for a source address, so an answer carries the query's own.
type control [controlLen]byte

// The fields of struct cmsghdr: a length of the machine's word size, level, type.
const (
	cmsgLevelAt = unix.SizeofCmsghdr - 8
	cmsgTypeAt  = unix.SizeofCmsghdr - 4
	cmsgData    = unix.SizeofCmsghdr
)

// asked returns the address in a received control message of n bytes and makes the message fit for the answer: without the
// interface, since the way back is the routing table's choice, except for addresses that mean nothing without it.
func (c *control) asked(n int) (netip.Addr, bool) {
	if n < cmsgData {
		return netip.Addr{}, false
	}
	level, kind := binary.NativeEndian.Uint32(c[cmsgLevelAt:]), binary.NativeEndian.Uint32(c[cmsgTypeAt:])
	data := c[cmsgData:]
	switch {
	case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && n >= cmsgData+unix.SizeofInet4Pktinfo:
		clear(data[0:4]) // ipi_ifindex; then ipi_spec_dst, the local address to answer from, and ipi_addr
		return netip.AddrFrom4([4]byte(data[4:8])), true
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && n >= cmsgData+unix.SizeofInet6Pktinfo:
		a := netip.AddrFrom16([16]byte(data[0:16]))
		if !a.IsLinkLocalUnicast() {
			clear(data[16:20]) // ipi6_ifindex
		}
		return a, true
	}
	return netip.Addr{}, false
}

// set makes the message that asks for a source address and returns its length.
func (c *control) set(a netip.Addr) int {
	*c = control{}
	level, kind, size := unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo
	data := c[cmsgData:]
	if a.Is4() {
		a4 := a.As4()
		copy(data[4:], a4[:])
	} else {
		level, kind, size = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo
		a16 := a.As16()
		copy(data, a16[:])
	}
	binary.NativeEndian.PutUint32(c[cmsgLevelAt:], uint32(level))
	binary.NativeEndian.PutUint32(c[cmsgTypeAt:], uint32(kind))
	if cmsgLevelAt == 8 {
		binary.NativeEndian.PutUint64(c[:], uint64(cmsgData+size))
	} else {
		binary.NativeEndian.PutUint32(c[:], uint32(cmsgData+size))
	}
	return unix.CmsgSpace(size)
}
