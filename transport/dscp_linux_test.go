package transport

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// TestDSCP: clients see the code point on answers, over UDP in both versions of IP and from both loops.
func TestDSCP(t *testing.T) {
	const dscp = 46 // expedited forwarding
	for _, plain := range []bool{false, true} {
		for _, host := range []string{"127.0.0.1:0", "[::1]:0"} {
			if host[0] == '[' && !haveIPv6(t) {
				continue
			}
			srv := start(t, Config{Handler: flip, Addrs: []netip.AddrPort{netip.MustParseAddrPort(host)}, DSCP: dscp, plain: plain})
			addr := srv.Addrs()[0]
			if got := receivedClass(t, addr); got != dscp<<2 {
				t.Errorf("UDP at %v (plain: %v): traffic class %#x, expected %#x", addr, plain, got, dscp<<2)
			}
		}
	}
}

// receivedClass asks over UDP and returns the traffic class of the answer.
func receivedClass(t *testing.T, server netip.AddrPort) int {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		t.Skipf("no UDP to %v: %v", server, err)
	}
	defer c.Close()
	rc, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	is4 := server.Addr().Is4()
	rc.Control(func(fd uintptr) {
		if is4 {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTOS, 1)
		} else {
			err = ipv6.NewPacketConn(c).SetControlMessage(ipv6.FlagTrafficClass, true)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(make([]byte, headerLen)); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf, oob := make([]byte, 512), make([]byte, 128)
	_, oobn, _, _, err := c.ReadMsgUDP(buf, oob)
	if err != nil {
		t.Fatal(err)
	}
	if !is4 {
		var cm ipv6.ControlMessage
		if err := cm.Parse(oob[:oobn]); err != nil {
			t.Fatal(err)
		}
		return cm.TrafficClass
	}
	all, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(all) == 0 {
		t.Fatal("no traffic class was received", err)
	}
	return int(all[0].Data[0])
}

// TestDSCPOfTCP: connections inherit it from the socket that accepts them.
func TestDSCPOfTCP(t *testing.T) {
	const dscp = 10
	for _, host := range []string{"127.0.0.1:0", "[::1]:0"} {
		addr := netip.MustParseAddrPort(host)
		l, err := listenTCP(addr, TCP, &Config{DSCP: dscp})
		if err != nil {
			t.Skipf("no TCP on %v: %v", addr, err)
		}
		defer l.Close()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		accepted, err := l.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		defer accepted.Close()
		rc, err := accepted.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		level, opt := unix.IPPROTO_IP, unix.IP_TOS
		if addr.Addr().Is6() {
			level, opt = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
		}
		got := 0
		rc.Control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), level, opt) })
		if err != nil || got != dscp<<2 {
			t.Errorf("%v: traffic class %#x (%v), expected %#x", addr, got, err, dscp<<2)
		}
	}
}

func TestDSCPOutOfRange(t *testing.T) {
	for _, dscp := range []int{-1, 64} {
		if s, err := Listen(Config{Handler: flip, Addrs: []netip.AddrPort{loopback(0)}, DSCP: dscp}); err == nil {
			s.Close()
			t.Errorf("DSCP %d is taken", dscp)
		}
	}
}
