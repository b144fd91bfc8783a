//go:build !linux

package transport

import (
	"net"
	"net/netip"
)

// canPin says whether threads can be tied to CPUs.
const canPin = false

func openUDP(addr netip.AddrPort, cfg *Config) ([]udpSocket, error) { return openPlain(addr, cfg) }

// avoidFragments has nothing to set: the switch that RFC 9715 wants exists on Linux only.
func avoidFragments(*net.UDPConn, netip.Addr) error { return nil }
