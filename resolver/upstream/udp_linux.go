package upstream

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is a UDP socket that is used for one exchange after another.
//
// An exchange connects it, so that the kernel drops what comes from elsewhere and
// answers it like a port where nobody listens (SAD DNS); the kernel chooses the
// port by chance then. The next exchange disconnects it first, by which it loses
// its port: no two exchanges share one, and what one server learns of ports says
// nothing about others. That takes four system calls instead of the thirteen of a
// fresh socket.
//
// The calls never block, so they are made without telling the scheduler; while it
// waits, the socket is with the runtime's poller.
type socket struct {
	file *os.File
	raw  syscall.RawConn
	used bool // connected before

	x      *exchange // the one that it is used for
	server rawAddr
	from   rawAddr
	length uint32
	reply  []byte
	err    error
	sent   bool
	work   func(fd uintptr) bool
	stop   func() // ends a wait
	buf    [maxDatagram]byte
}

// rawAddr is a struct sockaddr_in or sockaddr_in6 of the kernel.
type rawAddr [unix.SizeofSockaddrInet6]byte

// set writes a, and returns the length. Without a scope it is complete.
func (r *rawAddr) set(a netip.AddrPort) uint32 {
	binary.BigEndian.PutUint16(r[2:], a.Port())
	if a.Addr().Is4() {
		binary.NativeEndian.PutUint16(r[:], unix.AF_INET)
		b := a.Addr().As4()
		copy(r[4:], b[:])
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(r[:], unix.AF_INET6)
	b := a.Addr().As16()
	copy(r[8:], b[:])
	return unix.SizeofSockaddrInet6
}

// same compares family, port and address.
func (r *rawAddr) same(o *rawAddr, length uint32) bool {
	if length == unix.SizeofSockaddrInet4 {
		return [8]byte(r[:8]) == [8]byte(o[:8])
	}
	return [4]byte(r[:4]) == [4]byte(o[:4]) && [16]byte(r[8:24]) == [16]byte(o[8:24])
}

func openSocket(local netip.Addr) (*socket, error) {
	family := unix.AF_INET
	if local.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := setUp(fd, local); err != nil {
		unix.Close(fd)
		return nil, err
	}
	s := &socket{file: os.NewFile(uintptr(fd), "udp to servers")}
	s.work = s.doWork
	s.stop = func() { s.file.SetReadDeadline(time.Unix(1, 0)) }
	if s.raw, err = s.file.SyscallConn(); err != nil {
		s.file.Close()
		return nil, err
	}
	return s, nil
}

// setUp makes fd ignore what it is told about path MTUs, so that nobody can have
// queries fragmented (RFC 9715 §3.1), and binds it to the source address, if there
// is one, but to no port.
func setUp(fd int, local netip.Addr) error {
	level, opt, val := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT
	if local.Is6() {
		level, opt, val = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT
	}
	if err := unix.SetsockoptInt(fd, level, opt, val); err != nil {
		return fmt.Errorf("switching path MTU discovery off: %w", err)
	}
	if local.IsUnspecified() {
		return nil
	}
	var sa unix.Sockaddr = &unix.SockaddrInet4{Addr: local.Unmap().As4()}
	if local.Is6() {
		sa = &unix.SockaddrInet6{Addr: local.As16()}
	}
	return os.NewSyscallError("bind", unix.Bind(fd, sa))
}

func (s *socket) close() { s.file.Close() }

// begin makes x the exchange that the socket is used for; the first wait sends the question.
func (s *socket) begin(x *exchange) {
	s.x, s.sent, s.reply, s.err = x, false, nil, nil
}

// wait waits for the reply until ctx ends, or until then; after that, which is
// os.ErrDeadlineExceeded, it may be called again.
func (s *socket) wait(ctx context.Context, until time.Time) ([]byte, error) {
	s.file.SetReadDeadline(earlier(ctx, until))
	stop := context.AfterFunc(ctx, s.stop)
	err := s.raw.Read(s.work)
	if err == nil {
		err = s.err
	}
	if !stop() && err == nil {
		err = ctx.Err() // its deadline is not its own any more
	}
	return s.reply, err
}

// doWork sends the question and, when the poller says that there is something, takes
// it. The first call does not look: the poller was reset before it, so whatever
// comes from then on wakes it. A later wait looks first, as its reset may have lost a word.
func (s *socket) doWork(fd uintptr) (done bool) {
	if s.sent {
		return s.receive(fd)
	}
	s.sent = true
	s.send(fd)
	return s.err != nil
}

// send connects the socket and sends the question.
func (s *socket) send(fd uintptr) {
	if s.used {
		unspec := rawAddr{}
		if errno := connect(fd, &unspec, unix.SizeofSockaddrInet4); errno != 0 {
			s.err = os.NewSyscallError("connect", errno)
			return
		}
	}
	s.used, s.length = true, s.server.set(s.x.to.Addr)
	if errno := connect(fd, &s.server, s.length); errno != 0 {
		s.err = os.NewSyscallError("connect", errno)
		return
	}
	q := s.x.query
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&q[0])), uintptr(len(q)), unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		s.err = os.NewSyscallError("sendto", errno)
	}
}

func connect(fd uintptr, to *rawAddr, length uint32) syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(to)), uintptr(length))
	return errno
}

// receive takes what has come. False is for the poller: call again when there is more.
func (s *socket) receive(fd uintptr) bool {
	for {
		length := uint32(len(s.from))
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&s.buf)), uintptr(len(s.buf)),
			unix.MSG_TRUNC, uintptr(unsafe.Pointer(&s.from)), uintptr(unsafe.Pointer(&length)))
		switch {
		case errno == unix.EAGAIN:
			return false
		case errno == unix.EINTR:
			continue
		case errno != 0:
			s.err = os.NewSyscallError("recvfrom", errno)
			return true
		case !s.from.same(&s.server, s.length):
			s.x.ignored.Source++ // from before the socket was connected
			continue
		}
		if s.take(int(n)) {
			return true
		}
	}
}

// take makes a datagram of n octets the reply, if it is.
func (s *socket) take(n int) (done bool) {
	isReply, err := s.x.judge(s.buf[:min(n, maxDatagram)])
	switch {
	case err != nil:
		s.err = err
	case !isReply:
		return false
	case n > maxDatagram:
		s.reply = truncated(s.buf[:headerLen])
	default:
		s.reply = append(make([]byte, 0, n), s.buf[:n]...)
	}
	return true
}
