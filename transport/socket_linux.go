package transport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSocket is a UDP socket that is read and written in batches. How it is waited on depends on pinning; serve says why.
type batchSocket struct {
	udpSource
	file    *os.File
	conn    syscall.RawConn
	cpus    []int // to pin to; nil: the socket waits in the Go poller
	stopped atomic.Bool
	drops   atomic.Uint32 // as last asked for
	triage  *triage       // nil: not wanted
	key     addrKey
}

// openUDP opens one socket for each thread.
//
// The first is bound without SO_REUSEPORT, which is switched on right after. Otherwise a second server of the same user would
// silently take a share of the packets instead of hearing that the port is taken, and port 0 could pick such a port.
func openUDP(addr netip.AddrPort, cfg *Config) (socks []udpSocket, err error) {
	defer func() {
		if err != nil {
			for _, s := range socks {
				s.close()
			}
		}
	}()
	cpus, err := pinnable(cfg.Pin)
	if err != nil {
		return nil, err
	}
	if f := cfg.inherited(UDP, addr); f != nil {
		return adoptBatch(f, addr, cfg)
	}
	for i := range cfg.Threads {
		s, err := openBatch(addr, cfg, cpus, i > 0)
		if err != nil {
			return socks, err
		}
		socks = append(socks, s)
		if err := s.control(func(fd int) error { return shareAndSteer(fd, i, cfg.Threads, cpus) }); err != nil {
			return socks, err
		}
	}
	return socks, nil
}

// shareAndSteer does what is left when a group's socket is bound: the first lets others in, the last sets who gets what.
func shareAndSteer(fd, i, threads int, cpus []int) error {
	if i == 0 && threads > 1 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return fmt.Errorf("sharing the port: %w", err)
		}
	}
	if i == threads-1 && threads > 1 && threads <= len(cpus) {
		return steer(fd, cpus[:threads])
	}
	return nil
}

func openBatch(addr netip.AddrPort, cfg *Config, cpus []int, share bool) (*batchSocket, error) {
	var raw rawAddr
	if _, err := raw.set(addr); err != nil {
		return nil, err
	}
	kind := unix.SOCK_DGRAM | unix.SOCK_CLOEXEC
	if cpus == nil {
		kind |= unix.SOCK_NONBLOCK
	}
	fd, err := unix.Socket(family(addr.Addr()), kind, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := setUp(fd, addr, cfg, share); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return newBatchSocket(fd, addr, cfg, cpus)
}

// newBatchSocket makes a batchSocket of a bound socket, and closes that where it fails.
func newBatchSocket(fd int, addr netip.AddrPort, cfg *Config, cpus []int) (*batchSocket, error) {
	s := &batchSocket{file: os.NewFile(uintptr(fd), "udp "+addr.String()), cpus: cpus}
	s.addr, s.proxies = addr, cfg.ProxyFrom
	if !cfg.NoTriage {
		s.triage, s.key = newTriage(cfg.Vouch, rand.Uint64()), addrKey{rand.Uint32() | 1, rand.Uint32() | 1}
	}
	timeout := unix.NsecToTimeval(int64(sendPatience))
	err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout) // ignored where the socket does not block
	if err == nil {
		timeout = unix.NsecToTimeval(int64(rawWait))
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout) // likewise
	}
	if err == nil {
		s.conn, err = s.file.SyscallConn()
	}
	if err != nil {
		s.file.Close()
		return nil, err
	}
	return s, nil
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// setUp sets the options and binds.
func setUp(fd int, addr netip.AddrPort, cfg *Config, share bool) error {
	if share {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return fmt.Errorf("sharing the port: %w", err)
		}
	}
	if err := tune(fd, addr, cfg); err != nil {
		return err
	}
	return os.NewSyscallError("bind", bindRaw(fd, addr))
}

// tune sets the options that have nothing to do with binding.
func tune(fd int, addr netip.AddrPort, cfg *Config) error {
	setBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, cfg.ReadBuffer)
	setBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, cfg.WriteBuffer)
	if err := omitPathMTU(fd, addr.Addr()); err != nil {
		return err
	}
	if err := mark(uintptr(fd), addr.Addr(), cfg.DSCP); err != nil {
		return err
	}
	if addr.Addr().IsUnspecified() {
		if err := askForLocal(fd, addr.Addr()); err != nil {
			return fmt.Errorf("asking for the address of each packet: %w", err)
		}
	}
	return nil
}

func bindRaw(fd int, addr netip.AddrPort) error {
	if addr.Addr().Is4() {
		return unix.Bind(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()})
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
		return err
	}
	scope, err := scopeOf(addr.Addr().Zone())
	if err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16(), ZoneId: scope})
}

// setBuffer asks for size beyond the system's limit, which a privileged server may, and else for what the limit leaves.
func setBuffer(fd, force, opt, size int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, size) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, size)
	}
}

// omitPathMTU makes the socket ignore what it is told about path MTUs: a forged ICMP message could otherwise make answers
// come in fragments, whose second half can be forged (RFC 9715 §3.1 and appendix).
func omitPathMTU(fd int, a netip.Addr) error {
	level, opt, val := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT
	if !a.Is4() {
		level, opt, val = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT
	}
	if err := unix.SetsockoptInt(fd, level, opt, val); err != nil {
		return fmt.Errorf("switching path MTU discovery off: %w", err)
	}
	return nil
}

// avoidFragments does the same for a client's socket.
func avoidFragments(conn *net.UDPConn, a netip.Addr) error {
	rc, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	if e := rc.Control(func(fd uintptr) { err = omitPathMTU(int(fd), a.Unmap()) }); e != nil {
		return e
	}
	return err
}

func askForLocal(fd int, a netip.Addr) error {
	if a.Is4() {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
}

// control calls f while the socket cannot be closed.
func (s *batchSocket) control(f func(fd int) error) (err error) {
	if e := s.conn.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return ErrClosed
	}
	return err
}

// sendPatience is how long a loop that blocks, or is to end, waits for room in a send buffer that does not drain.
const sendPatience = time.Second

func (s *batchSocket) pinned() bool { return s.cpus != nil }

func (s *batchSocket) stop() {
	s.stopped.Store(true)
	if !s.pinned() {
		s.file.SetReadDeadline(time.Unix(1, 0))
		s.file.SetWriteDeadline(time.Now().Add(sendPatience))
		return
	}
	// The socket has no peer, so this fails with ENOTCONN; it wakes who sleeps in recvmmsg all the same.
	s.control(func(fd int) error { return unix.Shutdown(fd, unix.SHUT_RD) })
}

func (s *batchSocket) close() error {
	s.kernelDrops()
	return s.file.Close()
}

// kernelDrops remembers the number beyond the socket's end.
func (s *batchSocket) kernelDrops() uint64 {
	if info, ok := s.memInfo(); ok {
		s.drops.Store(info[memDrops])
	}
	return uint64(s.drops.Load())
}

func (s *batchSocket) watcher(log *logLimit) *triageControl {
	if s.triage == nil {
		return nil
	}
	return newTriageControl(s.triage, s, s.key, log)
}

// reply sends one detached answer.
func (s *batchSocket) reply(p *Pending, msg []byte) error {
	return s.sent(len(msg), s.write(p, msg))
}

func (s *batchSocket) write(p *Pending, msg []byte) error {
	if len(msg) == 0 {
		return fmt.Errorf("replying to %v: the message is empty", p.Client)
	}
	var (
		hdr  unix.Msghdr
		iov  unix.Iovec
		name rawAddr
		ctl  control
	)
	n, err := name.set(p.Client)
	if err != nil {
		return fmt.Errorf("replying to %v: %w", p.Client, err)
	}
	hdr.Name, hdr.Namelen = &name[0], n
	iov.Base = &msg[0]
	iov.SetLen(len(msg))
	hdr.Iov = &iov
	hdr.SetIovlen(1)
	if s.wildcard() && !p.Local.Addr().IsUnspecified() {
		hdr.Control = &ctl[0]
		hdr.SetControllen(ctl.set(p.Local.Addr().Unmap()))
	}
	return s.sendmsg(p.Client, &hdr)
}

func (s *batchSocket) sendmsg(to netip.AddrPort, hdr *unix.Msghdr) error {
	var errno syscall.Errno
	// What does not block is sent without telling the scheduler: over loopback a call takes so long, with the receiver's
	// part in it, that the processor would be given away for nothing.
	err := s.conn.Control(func(fd uintptr) {
		_, _, errno = unix.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(hdr)), unix.MSG_DONTWAIT)
	})
	if err == nil && errno == unix.EAGAIN {
		err = s.conn.Write(func(fd uintptr) bool {
			_, _, errno = unix.Syscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(hdr)), 0)
			return errno != unix.EAGAIN
		})
	}
	if err != nil {
		return ErrClosed
	}
	if errno != 0 {
		return fmt.Errorf("replying to %v: %w", to, errno)
	}
	return nil
}
