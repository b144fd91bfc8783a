package xdp

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Frames for receiving, and slots of the fill and receive rings; for sending there are half as many. A loop that is held up
// for 10 ms at a million queries a second needs ten thousand; half of that is memory well spent, since beyond it queries are
// better dropped than answered late. The least is for who may lock little memory: two queues within the usual 8 MB.
const (
	mostFrames  = 4096
	leastFrames = 1024
)

// headroom is what the kernel leaves in front of a received frame.
const headroom = unix.XDP_PACKET_HEADROOM

// frameSize returns the size of frames for an interface: a power of two from 2048 to a page.
func frameSize(mtu int) int {
	const small, large = 2048, 4096
	if mtu <= small-headroom-etherLen-maxTags*vlanLen {
		return small
	}
	return large
}

// socket is an AF_XDP socket bound to one queue, with the memory that its frames lie in: first those for receiving, then
// those for sending.
type socket struct {
	fd       int
	rxFrames int
	txFrames int
	umem     []byte
	frame    int // size of a frame
	zeroCopy bool

	fill, completion ring[uint64]
	rx, tx           ring[unix.XDPDesc]
}

// openSocket binds a socket to a queue, with as much memory as may be had. forceCopy is for programs that do not run in the
// driver.
func openSocket(ifindex, queue, frame int, forceCopy bool) (*socket, error) {
	for frames := mostFrames; ; frames /= 2 {
		s := &socket{fd: -1, frame: frame, rxFrames: frames, txFrames: frames / 2}
		err := s.open(ifindex, queue, forceCopy)
		if err == nil {
			return s, nil
		}
		s.close()
		if frames == leastFrames || !errors.Is(err, unix.ENOBUFS) {
			return nil, err
		}
	}
}

func (s *socket) open(ifindex, queue int, forceCopy bool) (err error) {
	if s.fd, err = unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("opening an AF_XDP socket: %w", err)
	}
	if err := s.register(); err != nil {
		return err
	}
	if err := s.mapRings(); err != nil {
		return err
	}
	// A ring's worth of answers may be sent by one call (Linux 6.17); 32 where the kernel does not know of it.
	unix.SetsockoptInt(s.fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, batchSize)
	// Where frames are copied, those under way count against the send buffer: all of ours must fit.
	unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, s.txFrames*s.frame)
	flags := uint16(unix.XDP_USE_NEED_WAKEUP)
	if forceCopy {
		flags |= unix.XDP_COPY
	}
	if err := s.bind(ifindex, queue, flags); err != nil {
		return fmt.Errorf("binding to receive queue %d: %w", queue, err)
	}
	if options, err := unix.GetsockoptInt(s.fd, unix.SOL_XDP, unix.XDP_OPTIONS); err == nil {
		s.zeroCopy = options&unix.XDP_OPTIONS_ZEROCOPY != 0
	}
	s.stock()
	return nil
}

// register gives the kernel the memory of the frames.
func (s *socket) register() (err error) {
	size := (s.rxFrames + s.txFrames) * s.frame
	s.umem, err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("reserving %d bytes for frames: %w", size, err)
	}
	reg := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&s.umem[0]))), Len: uint64(size), Size: uint32(s.frame)}
	if err := setOption(s.fd, unix.XDP_UMEM_REG, &reg); err != nil {
		return fmt.Errorf("registering %d bytes of frames: %w", size, err)
	}
	return nil
}

func (s *socket) mapRings() error {
	for opt, n := range map[int]int{
		unix.XDP_UMEM_FILL_RING: s.rxFrames, unix.XDP_RX_RING: s.rxFrames,
		unix.XDP_UMEM_COMPLETION_RING: s.txFrames, unix.XDP_TX_RING: s.txFrames,
	} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_XDP, opt, n); err != nil {
			return fmt.Errorf("making a ring of %d: %w", n, err)
		}
	}
	var off unix.XDPMmapOffsets
	if err := getOption(s.fd, unix.XDP_MMAP_OFFSETS, &off); err != nil {
		return fmt.Errorf("asking where the rings are: %w", err)
	}
	var errs [4]error
	s.fill, errs[0] = mapRing[uint64](s.fd, unix.XDP_UMEM_PGOFF_FILL_RING, off.Fr, s.rxFrames)
	s.completion, errs[1] = mapRing[uint64](s.fd, unix.XDP_UMEM_PGOFF_COMPLETION_RING, off.Cr, s.txFrames)
	s.rx, errs[2] = mapRing[unix.XDPDesc](s.fd, unix.XDP_PGOFF_RX_RING, off.Rx, s.rxFrames)
	s.tx, errs[3] = mapRing[unix.XDPDesc](s.fd, unix.XDP_PGOFF_TX_RING, off.Tx, s.txFrames)
	return errors.Join(errs[:]...)
}

// bindPatience is how long a queue may stay taken: the kernel frees that of a server that has just ended in the background.
const bindPatience = 2 * time.Second

func (s *socket) bind(ifindex, queue int, flags uint16) error {
	addr := &unix.SockaddrXDP{Flags: flags, Ifindex: uint32(ifindex), QueueID: uint32(queue)}
	for until := time.Now().Add(bindPatience); ; time.Sleep(20 * time.Millisecond) {
		if err := unix.Bind(s.fd, addr); err != unix.EBUSY || time.Now().After(until) {
			return err
		}
	}
}

// stock puts all frames for receiving into the fill ring.
func (s *socket) stock() {
	for i := range s.rxFrames {
		s.fill.put(uint64(i * s.frame))
	}
	s.fill.publish()
}

// close gives everything back. The kernel keeps the memory until the last packet in it has left.
func (s *socket) close() {
	s.fill.unmap()
	s.completion.unmap()
	s.rx.unmap()
	s.tx.unmap()
	if s.fd >= 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
	if s.umem != nil {
		unix.Munmap(s.umem)
		s.umem = nil
	}
}

// statistics are the kernel's numbers of this socket.
func (s *socket) statistics() (st unix.XDPStatistics) {
	_ = getOption(s.fd, unix.XDP_STATISTICS, &st) // an old kernel gives fewer
	return st
}

func setOption[T any](fd, opt int, v *T) error {
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(opt),
		uintptr(unsafe.Pointer(v)), unsafe.Sizeof(*v), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func getOption[T any](fd, opt int, v *T) error {
	size := uint32(unsafe.Sizeof(*v))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(opt),
		uintptr(unsafe.Pointer(v)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
