package transport

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// An answered UDP query allocates nothing, whichever way the loop waits and whatever the address.
func TestUDPNoAllocs(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		for _, pin := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s pin=%v", addr, pin), func(t *testing.T) {
				ap := netip.MustParseAddrPort(addr)
				if ap.Addr().Is6() && !haveIPv6(t) {
					t.Skip("this machine has no IPv6 loopback")
				}
				s := start(t, Config{Handler: flip, Addrs: []netip.AddrPort{ap}, Pin: pin})
				c := dial(t, UDP, s.Addrs()[0])
				query, buf := message(1, "www.example"), make([]byte, 512)
				const n = 32
				perRun := allocsPerRun(100, func() {
					for range n {
						if _, err := c.Write(query); err != nil {
							t.Fatal(err)
						}
					}
					for range n {
						if _, err := c.Read(buf); err != nil {
							t.Fatal(err)
						}
					}
				})
				if perRun != 0 {
					t.Errorf("%d allocations for %d queries", perRun, n)
				}
			})
		}
	}
}

// allocsPerRun is testing.AllocsPerRun without GOMAXPROCS(1), which would take a pinned loop's processor away from it.
func allocsPerRun(runs uint64, f func()) uint64 {
	var before, after runtime.MemStats
	f()
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.Mallocs - before.Mallocs) / runs
}

// Each thread has its own socket, and there are as many of them as were asked for.
func TestUDPThreadsExact(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 7} {
		for _, pin := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d pin=%v", threads, pin), func(t *testing.T) {
				var workers atomic.Int32
				handler := handlerFunc(func() Worker { workers.Add(1); return flip })
				s := start(t, Config{Handler: handler, Threads: threads, Pin: pin})
				if n := udpSockets(t, s.Addrs()[0]); n != threads {
					t.Errorf("%d UDP sockets are bound to %v, want %d", n, s.Addrs()[0], threads)
				}
				eventually(t, "each loop has its worker", func() bool { return int(workers.Load()) == threads })
				if n := len(s.Stats().Loops); n != threads {
					t.Errorf("%d loops are counted, want %d", n, threads)
				}
				c := dial(t, UDP, s.Addrs()[0])
				send(t, c, message(1, ""))
				receive(t, c)
			})
		}
	}
}

// udpSockets counts the sockets that the kernel lists for an IPv4 address and port.
func udpSockets(t *testing.T, ap netip.AddrPort) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/net/udp")
	if err != nil {
		t.Skip("the kernel's list of UDP sockets cannot be read: ", err)
	}
	a := ap.Addr().As4()
	return strings.Count(string(b), fmt.Sprintf(": %02X%02X%02X%02X:%04X 00000000:0000", a[3], a[2], a[1], a[0], ap.Port()))
}

// Forty addresses that wait cost no threads (a lab has so many), unless they are pinned.
func TestUnpinnedLoopsHoldNoThreads(t *testing.T) {
	var addrs []netip.AddrPort
	for i := range 40 {
		addrs = append(addrs, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)}), 0))
	}
	before := threads(t)
	s := start(t, Config{Handler: flip, Addrs: addrs})
	for _, a := range s.Addrs() {
		c := dial(t, UDP, a)
		send(t, c, message(1, ""))
		receive(t, c)
	}
	if n := threads(t) - before; n > 20 {
		t.Errorf("%d more threads serve 40 addresses", n)
	}
}

func threads(t *testing.T) int {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skip("the kernel's list of threads cannot be read: ", err)
	}
	return len(tasks)
}

// With pinned loops a packet goes to the loop on the CPU that received it; over loopback that is the sender's.
func TestUDPSteering(t *testing.T) {
	cpus, err := pinnable(true)
	if err != nil || len(cpus) < 2 {
		t.Skip("steering needs two CPUs")
	}
	s := start(t, Config{Handler: flip, Threads: 2, Pin: true})
	const n = 50
	for _, cpu := range cpus[:2] {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // never unlocked: the thread ends with its affinity
			var set unix.CPUSet
			set.Set(cpu)
			if err := unix.SchedSetaffinity(0, &set); err != nil {
				t.Error(err)
				return
			}
			for i := range n {
				c, err := net.Dial("udp", s.Addrs()[0].String()) // a new port each time: by port they would scatter
				if err != nil {
					t.Error(err)
					return
				}
				c.Write(message(i, ""))
				c.Read(make([]byte, 512))
				c.Close()
			}
		}()
		<-done
	}
	s.Close()
	loops := s.Stats().Loops
	for i, l := range loops {
		if l.Queries != n {
			t.Errorf("loop %d got %d queries, want the %d from its CPU", i, l.Queries, n)
		}
	}
}

func TestPinnedLoopsRunWhereTold(t *testing.T) {
	cpus, err := pinnable(true)
	if err != nil {
		t.Fatal(err)
	}
	affinity := make(chan unix.CPUSet, 1)
	handler := handlerFunc(func() Worker {
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(0, &set); err != nil {
			t.Error(err)
		}
		affinity <- set
		return flip
	})
	start(t, Config{Handler: handler, Pin: true})
	if set := <-affinity; set.Count() != 1 || !set.IsSet(cpus[0]) {
		t.Errorf("the loop may run on %d CPUs, want only CPU %d", set.Count(), cpus[0])
	}
}

// Replies must not be fragmented on the word of an ICMP message (RFC 9715).
func TestPathMTUIsOmitted(t *testing.T) {
	s := start(t, Config{Handler: flip})
	sock := s.socks[0].(*batchSocket)
	err := sock.control(func(fd int) error {
		v, err := unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER)
		if err == nil && v != unix.IP_PMTUDISC_OMIT {
			t.Errorf("IP_MTU_DISCOVER is %d, want IP_PMTUDISC_OMIT", v)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// An idle server, pinned or not, uses no CPU worth mentioning.
func TestIdleLoopsDoNotSpin(t *testing.T) {
	for _, pin := range []bool{false, true} {
		s := start(t, Config{Handler: flip, Pin: pin})
		c := dial(t, UDP, s.Addrs()[0])
		send(t, c, message(1, ""))
		receive(t, c)
		before := cpuTime(t)
		silent(t, c)
		if used := cpuTime(t) - before; used > 15_000_000 {
			t.Errorf("pin=%v: %d ns of CPU within 30 ms of silence", pin, used)
		}
		s.Close()
	}
}

func cpuTime(t *testing.T) int64 {
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		t.Fatal(err)
	}
	return ru.Utime.Nano() + ru.Stime.Nano()
}

func TestRawAddresses(t *testing.T) {
	z := make(zones)
	for _, s := range []string{"192.0.2.1:53", "[2001:db8::1]:65535", "[fe80::1%1]:5300"} {
		want := netip.MustParseAddrPort(s)
		var raw rawAddr
		if _, err := raw.set(want); err != nil {
			t.Fatal(err)
		}
		if got := raw.addrPort(z); got != want {
			t.Errorf("%v became %v", want, got)
		}
	}
	if got := new(rawAddr).addrPort(z); got.IsValid() {
		t.Errorf("no address became %v", got)
	}
	for _, s := range []string{"192.0.2.1", "2001:db8::1", "fe80::1"} {
		want := netip.MustParseAddr(s)
		var c control
		n := c.set(want)
		if got, ok := c.asked(n); !ok || got != want {
			t.Errorf("%v became %v", want, got)
		}
		if _, ok := c.asked(n - 9); ok {
			t.Errorf("a control message cut short was taken for %v", want)
		}
	}
}

func BenchmarkUDP(b *testing.B) {
	for _, pin := range []bool{false, true} {
		b.Run(fmt.Sprintf("pin=%v", pin), func(b *testing.B) {
			s, err := Listen(Config{Handler: flip, Addrs: []netip.AddrPort{loopback(0)}, Pin: pin})
			if err != nil {
				b.Fatal(err)
			}
			go s.Serve(b.Context())
			defer s.Close()
			c, err := net.Dial("udp", s.Addrs()[0].String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			query, buf := message(1, "www.example"), make([]byte, 512)
			const window = 64
			b.ReportAllocs()
			for i := 0; i < b.N; i += window {
				for range window {
					c.Write(query)
				}
				for range window {
					c.Read(buf)
				}
			}
		})
	}
}
