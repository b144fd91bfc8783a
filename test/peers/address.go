package peers

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
)

// addresses counts those that this process has handed out.
var addresses atomic.Uint32

// Addr finds a loopback address of its own, 127.x.y.z, with a port that is free for UDP and TCP. The address depends
// on the process and a counter, so that tests of several packages that run at once do not meet.
func Addr(t testing.TB) netip.AddrPort {
	t.Helper()
	return search(t, func(pid, n int) netip.AddrPort {
		ip := netip.AddrFrom4([4]byte{127, byte(64 + pid>>8&63), byte(pid), byte(1 + n%250)})
		return netip.AddrPortFrom(ip, lowPort(pid, n))
	})
}

// lowPort is one of those below what the kernel gives away, so that nobody who listens on any address with any port
// takes it meanwhile.
func lowPort(pid, n int) uint16 { return uint16(20000 + (pid*37+n)%12000) }

// localhost is Addr for servers that listen only on addresses which an interface lists (BIND): on loopback that is
// 127.0.0.1 alone.
func localhost(t testing.TB) netip.AddrPort {
	t.Helper()
	return search(t, func(pid, n int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), lowPort(pid, n))
	})
}

// search takes the first of 100 candidates that is free.
func search(t testing.TB, candidate func(pid, n int) netip.AddrPort) netip.AddrPort {
	t.Helper()
	for range 100 {
		if addr, ok := free(candidate(os.Getpid(), int(addresses.Add(1)))); ok {
			return addr
		}
	}
	t.Fatal("no free loopback address was found in 100 tries")
	return netip.AddrPort{}
}

// free says whether both UDP and TCP have an address free.
func free(addr netip.AddrPort) (netip.AddrPort, bool) {
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return netip.AddrPort{}, false
	}
	defer tcp.Close()
	addr = tcp.Addr().(*net.TCPAddr).AddrPort()
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return netip.AddrPort{}, false
	}
	udp.Close()
	return addr, true
}

// ownNetwork is set, to the name of the test, in the child that InOwnNetwork starts.
const ownNetwork = "ONOMA_TEST_OWN_NETWORK"

// InOwnNetwork lets a top-level test run where all of 127.0.0.0/8, port 53 included, is its own:
//
//	if !peers.InOwnNetwork(t) {
//		return
//	}
//
// It runs the test again, alone, in a child with new network and mount namespaces, and returns true in that child. In
// the parent it returns false with the child's verdict, and skips by name the subtests that the child skipped. It skips
// the test where namespaces may not be made.
func InOwnNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv(ownNetwork) == t.Name() {
		return true
	}
	unshare := []string{"--net", "--mount", "--"}
	if os.Geteuid() != 0 {
		unshare = append([]string{"--user", "--map-root-user"}, unshare...)
	}
	Need(t, "unshare")
	Need(t, "ip")
	up := []string{"sh", "-c", `PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && exec "$@"`, "sh"}
	if out, err := exec.Command("unshare", append(append(unshare, up...), "true")...).CombinedOutput(); err != nil {
		t.Skipf("a network namespace cannot be made here: %v: %s", err, out)
	}
	test := []string{os.Args[0], "-test.run=^" + t.Name() + "$", "-test.v", "-test.count=1"}
	cmd := exec.Command("unshare", append(append(unshare, up...), test...)...)
	cmd.Env = append(os.Environ(), ownNetwork+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("in its own network: %v\n%s", err, out)
	}
	t.Logf("in its own network:\n%s", out)
	if strings.Contains(string(out), "--- SKIP: "+t.Name()+" (") {
		t.Skip("skipped in its own network: see above")
	}
	for _, skipped := range regexp.MustCompile(`--- SKIP: `+t.Name()+`/(\S+) \(`).FindAllSubmatch(out, -1) {
		t.Run(string(skipped[1]), func(t *testing.T) { t.Skip("skipped in its own network: see above") })
	}
	return false
}

// AskResolver makes resolver the one that programs of this machine ask, by a resolv.conf that only a test in its own
// network (see InOwnNetwork) and its children see.
func AskResolver(t testing.TB, resolver netip.Addr) {
	t.Helper()
	Need(t, "mount")
	conf := filepath.Join(tempDir(t, "resolv"), "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver "+resolver.String()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "--bind", conf, "/etc/resolv.conf").CombinedOutput(); err != nil {
		t.Skipf("/etc/resolv.conf cannot be covered here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "/etc/resolv.conf").CombinedOutput(); err != nil {
			t.Errorf("uncovering /etc/resolv.conf: %v: %s", err, out)
		}
	})
}

// At parses an address with a port, for a test in its own network.
func At(t testing.TB, s string) netip.AddrPort {
	t.Helper()
	addr, err := netip.ParseAddrPort(s)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}
