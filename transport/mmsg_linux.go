package transport

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// calls are the two system calls of a batch and the headers they work on. The functions that a RawConn wants are made once,
// and their results passed in fields, since a closure made for each call would be allocated each time.
type calls struct {
	rx, tx [batchSize]unix.Mmsghdr

	conn  syscall.RawConn
	block bool // the socket blocks: wait in the kernel

	got         int           // result: packets
	errno       syscall.Errno // result
	most        int           // argument: packets to receive
	first, last int           // argument: which of tx to send
	poll        unix.PollFd

	recvFn, sendFn     func(fd uintptr) bool
	recvWait, sendOnce func(fd uintptr)
}

func (c *calls) init(conn syscall.RawConn, block bool) {
	c.conn, c.block, c.most = conn, block, batchSize
	c.recvFn, c.sendFn = c.tryReceive, c.trySend
	c.recvWait, c.sendOnce = c.waitReceive, c.sendNow
}

// receive waits for packets and takes up to a batch of them. open is false when the socket was closed or told to stop.
func (c *calls) receive() (n int, errno syscall.Errno, open bool) {
	var err error
	if c.block {
		err = c.conn.Control(c.recvWait)
	} else {
		err = c.conn.Read(c.recvFn)
	}
	return c.got, c.errno, err == nil
}

// tryReceive does not wait; false asks the Go poller to call again when there is something.
func (c *calls) tryReceive(fd uintptr) bool {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&c.rx)), uintptr(c.most), unix.MSG_DONTWAIT, 0, 0)
	c.result(n, errno)
	return errno != unix.EAGAIN
}

// rawWait is how long a pinned loop sleeps without telling the Go scheduler. Telling it of each sleep has another thread take
// the processor and give it back, for more than an answer costs where queries come one by one; so each such loop brings a
// processor of its own (Server.start), and a garbage collection wakes it by a signal.
const rawWait = 4 * time.Millisecond

// waitReceive waits in the kernel for the first packet and takes those behind it along.
func (c *calls) waitReceive(fd uintptr) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&c.rx)), uintptr(c.most), unix.MSG_WAITFORONE, 0, 0)
	if errno == unix.EAGAIN { // nothing came for rawWait, the socket's SO_RCVTIMEO
		c.poll = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&c.poll)), 1, 0, 0, 0, 0)
		n, _, errno = unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&c.rx)), uintptr(c.most), unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EAGAIN { // a signal, or a packet with a bad checksum
			errno = unix.EINTR
		}
	}
	c.result(n, errno)
}

// send sends tx[first:last], or the first of them, and waits where the socket's send buffer is full.
func (c *calls) send(first, last int) (int, syscall.Errno) {
	c.first, c.last = first, last
	err := c.conn.Control(c.sendOnce)
	if err == nil && c.errno == unix.EAGAIN && !c.block {
		err = c.conn.Write(c.sendFn)
	}
	if err != nil {
		return 0, unix.EBADF
	}
	return c.got, c.errno
}

// sendNow sends what the send buffer has room for; on a socket that blocks it waits for room.
func (c *calls) sendNow(fd uintptr) {
	if c.trySend(fd) || !c.block {
		return
	}
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&c.tx[c.first])), uintptr(c.last-c.first), 0, 0, 0)
	c.result(n, errno)
}

func (c *calls) trySend(fd uintptr) bool {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&c.tx[c.first])), uintptr(c.last-c.first), unix.MSG_DONTWAIT, 0, 0)
	c.result(n, errno)
	return errno != unix.EAGAIN
}

func (c *calls) result(n uintptr, errno syscall.Errno) {
	c.got, c.errno = int(n), errno
	if errno != 0 {
		c.got = 0
	}
}
