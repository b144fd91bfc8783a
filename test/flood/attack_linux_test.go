package flood

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where things are in a frame: Ethernet, IPv4 without options, then UDP or TCP.
const (
	atIP      = 14
	atSource  = atIP + 12
	atUDP     = atIP + 20
	atMessage = atUDP + 8
	burst     = 64
)

// frame is one Ethernet frame that an attack sends, over and over with changes.
type frame []byte

// udpFrame wraps a query.
func udpFrame(to net.HardwareAddr, msg []byte) frame {
	f := ipFrame(to, unix.IPPROTO_UDP, 8+len(msg))
	binary.BigEndian.PutUint16(f[atUDP+2:], 53)
	binary.BigEndian.PutUint16(f[atUDP+4:], uint16(8+len(msg))) // and a checksum of 0: none (RFC 768)
	copy(f[atMessage:], msg)
	return f
}

func ipFrame(to net.HardwareAddr, proto byte, payload int) frame {
	f := make(frame, atUDP+payload)
	copy(f, to)
	copy(f[6:], []byte{2, 0, 0, 0, 0, 9})
	f[12], f[13] = 8, 0
	ip := f[atIP:]
	ip[0], ip[8], ip[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(ip[2:], uint16(20+payload))
	a := serverAddr.As4()
	copy(ip[16:], a[:])
	return f
}

// from sets the source and the IP header's checksum.
func (f frame) from(a netip.Addr, port uint16) {
	a4 := a.As4()
	copy(f[atSource:], a4[:])
	binary.BigEndian.PutUint16(f[atUDP:], port)
	f[atIP+10], f[atIP+11] = 0, 0
	binary.BigEndian.PutUint16(f[atIP+10:], ^sum(f[atIP:atUDP], 0))
}

// sum is the Internet checksum's one's complement sum (RFC 1071).
func sum(b []byte, start uint32) uint16 {
	s := start
	for ; len(b) > 1; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// anyone is a source drawn from the whole of unicast space.
func anyone(rng *rand.Rand) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(20 + rng.IntN(160)), byte(rng.IntN(256)), byte(rng.IntN(256)), byte(1 + rng.IntN(254))})
}

// attack sends frames as fast as it is let.
type attack struct {
	fd     int
	frames []frame // burst of them
	change func(f frame, rng *rand.Rand)
	sent   atomic.Uint64
	stop   atomic.Bool
	done   chan struct{}
}

// begin starts sending `rate` frames a second until the test ends; 0 means as many as this CPU can.
func (r *rig) begin(t *testing.T, model frame, rate int, change func(frame, *rand.Rand)) *attack {
	t.Helper()
	a := &attack{change: change, done: make(chan struct{})}
	err := r.outside.do(func() (err error) {
		a.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
		if err != nil {
			return err
		}
		unix.SetsockoptInt(a.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
		return unix.Bind(a.fd, &unix.SockaddrLinklayer{Ifindex: r.outsideIndex})
	})
	if err != nil {
		t.Fatal(err)
	}
	for range burst {
		a.frames = append(a.frames, append(frame(nil), model...))
	}
	go a.run(rate)
	t.Cleanup(func() { a.end() })
	return a
}

func (a *attack) run(rate int) {
	defer close(a.done)
	defer unix.Close(a.fd)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var hdr [burst]unix.Mmsghdr
	var iov [burst]unix.Iovec
	for i, f := range a.frames {
		iov[i].Base = &f[0]
		iov[i].SetLen(len(f))
		hdr[i].Hdr.Iov = &iov[i]
		hdr[i].Hdr.SetIovlen(1)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	began := time.Now()
	for !a.stop.Load() {
		n := burst
		if rate > 0 {
			due := int(float64(rate)*time.Since(began).Seconds()) - int(a.sent.Load())
			if n = min(due, burst); n <= 0 {
				time.Sleep(100 * time.Microsecond)
				continue
			}
		}
		for _, f := range a.frames[:n] {
			a.change(f, rng)
		}
		k, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(a.fd), uintptr(unsafe.Pointer(&hdr[0])), uintptr(n), 0, 0, 0)
		if errno == 0 {
			a.sent.Add(uint64(k))
		}
	}
}

// end stops the attack and returns how many frames it sent.
func (a *attack) end() uint64 {
	a.stop.Store(true)
	<-a.done
	return a.sent.Load()
}
