package xdp

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"onoma/transport"
)

// batchSize is the number of queries that are answered before the answers are sent.
const batchSize = 64

// loop is the goroutine that answers what one queue receives.
type loop struct {
	sock    *socket
	handler transport.Handler
	worker  transport.Worker // nil: to be made before the next query
	port    uint16
	tos     uint8 // the DSCP in its upper six bits (RFC 2474 §3)
	mtu     int
	zone    string
	locals  []local
	free    []uint64 // frames for sending that are not under way
	ids     rand.PCG
	now     int64 // Unix nanoseconds when the batch came in
	quiet   int64 // when a panic may be logged again
	pkt     packet
	tally   tally
	log     *slog.Logger

	cpu     int // to be tied to; -1: none
	wake    int // an eventfd
	fds     [2]unix.PollFd
	stopped atomic.Bool
	counts  counters
}

// local is one of our addresses and the query that Workers are shown for it, whose detached answers leave by the socket
// bound to it.
type local struct {
	addr  netip.Addr
	query *transport.Query
}

func newLoop(cfg *engineConfig, sock *socket) (*loop, error) {
	l := &loop{
		sock: sock, handler: cfg.Sockets.Handler, port: cfg.Port, tos: uint8(cfg.Sockets.DSCP << 2), mtu: cfg.iface.MTU,
		zone: cfg.iface.Name, log: cfg.log, cpu: -1, free: make([]uint64, 0, sock.txFrames),
		ids: *rand.NewPCG(rand.Uint64(), rand.Uint64()),
	}
	for _, a := range cfg.addrs {
		l.locals = append(l.locals, local{a.Addr().WithZone(""), cfg.sockets.NewQuery(a)})
	}
	for i := range sock.txFrames {
		l.free = append(l.free, uint64((sock.rxFrames+i)*sock.frame))
	}
	var err error
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("making an eventfd: %w", err)
	}
	l.fds = [2]unix.PollFd{{Fd: int32(sock.fd), Events: unix.POLLIN}, {Fd: int32(l.wake), Events: unix.POLLIN}}
	return l, nil
}

// run answers until stop. Its goroutine stays on its thread: the thread sleeps in the kernel, and may be tied to a CPU.
func (l *loop) run() error {
	runtime.LockOSThread()
	if l.cpu >= 0 {
		var set unix.CPUSet
		set.Set(l.cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("tying a thread to CPU %d: %w", l.cpu, err)
		}
	}
	for !l.stopped.Load() {
		n := l.sock.rx.ready(batchSize)
		if n == 0 {
			if err := l.wait(); err != nil {
				return err
			}
			continue
		}
		l.now = time.Now().UnixNano()
		l.batch(n)
	}
	return nil
}

// stop ends run soon.
func (l *loop) stop() {
	l.stopped.Store(true)
	unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

func (l *loop) close() {
	l.sock.close()
	unix.Close(l.wake)
}

// How long to sleep.
const (
	shortSleep  = 5 * time.Millisecond // half of what the Go scheduler lets a goroutine run without a signal
	longSleep   = time.Second
	unsentSleep = 10 * time.Millisecond // where the kernel had no room for all answers
)

// wait sleeps until the queue has something, or the loop is to end. Answers that the kernel has not yet taken are offered
// again.
//
// Under load the next query is microseconds away, and telling the Go scheduler of a sleep so short costs more than all else:
// it hands the processor to another thread and gets it back, for two to three futex calls a batch, and its monitor wakes every
// 20 microseconds to see to that. So the first sleep is one that it does not know of. A garbage collection does not wait for
// it: the signal that asks goroutines to stop ends the sleep. engine.start makes up for the processor.
func (l *loop) wait() error {
	if l.sock.unsent() {
		l.sock.kick()
	}
	if n, errno := l.poll(shortSleep, unix.RawSyscall6); n > 0 || errno != 0 {
		return failure(errno)
	}
	long := longSleep
	if l.sock.unsent() {
		long = unsentSleep
	}
	if n, errno := l.poll(long, unix.Syscall6); n > 0 || errno != 0 {
		return failure(errno)
	}
	// That the interface is gone must be asked for: poll does not tell.
	if code, err := unix.GetsockoptInt(l.sock.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && code == int(unix.ENETDOWN) {
		return fmt.Errorf("the interface %s is gone", l.zone)
	}
	return nil
}

func failure(errno unix.Errno) error {
	if errno == 0 || errno == unix.EINTR {
		return nil
	}
	return fmt.Errorf("waiting for queries: %w", errno)
}

// syscall6 makes a system call, with or without telling the Go scheduler.
type syscall6 func(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err unix.Errno)

// poll sleeps for at most d, and returns how many of the socket and the eventfd are ready.
func (l *loop) poll(d time.Duration, call syscall6) (int, unix.Errno) {
	l.fds[0].Revents, l.fds[1].Revents = 0, 0
	ts := unix.NsecToTimespec(int64(d))
	n, _, errno := call(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&l.fds[0])), uintptr(len(l.fds)), uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	return int(n), errno
}

// batch answers n queries, gives their frames back and sends the answers.
func (l *loop) batch(n uint32) {
	s := l.sock
	l.reclaim()
	for done := uint32(0); done < n; {
		done += l.some(n - done)
	}
	s.rx.release()
	s.fill.publish()
	s.refill()
	s.tx.publish()
	l.counts.publish(&l.tally) // first, so that who has an answer finds it counted
	s.kick()
}

// reclaim takes back the frames of answers that are sent.
func (l *loop) reclaim() {
	c := &l.sock.completion
	n := c.ready(uint32(l.sock.txFrames))
	for range n {
		l.free = append(l.free, c.take())
	}
	if n > 0 {
		c.release()
	}
}

// some answers up to n queries, fewer where the Worker panics: guarding each query would cost more.
func (l *loop) some(n uint32) (done uint32) {
	defer l.recovered()
	s := l.sock
	for done < n {
		d := s.rx.take()
		s.fill.put(d.Addr &^ uint64(s.frame-1))
		done++
		l.one(s.umem[d.Addr:][:d.Len:d.Len])
	}
	return done
}

// recovered keeps a panic from ending the server. The Worker's scratch may be in any state then.
func (l *loop) recovered() {
	if r := recover(); r != nil {
		l.worker = nil
		l.tally[nPanics]++
		if l.now >= l.quiet { // what the network can provoke must not fill a disk
			l.quiet = l.now + int64(time.Second)
			l.log.Error("a worker panicked; its query was dropped", "panic", r, "client", l.pkt.client,
				"proto", "xdp", "stack", string(debug.Stack()))
		}
	}
}

// one answers one frame.
func (l *loop) one(frame []byte) {
	p := &l.pkt
	if v := p.parse(frame, l.port); v != fine {
		l.tally[ofVerdict[v]]++
		return
	}
	q := l.query()
	if q == nil || !l.answerable() {
		return
	}
	if len(l.free) == 0 {
		l.tally[nNoFrame]++
		return
	}
	if l.worker == nil {
		l.worker = l.handler.NewWorker()
	}
	l.tally[nQueries]++
	l.tally[nBytesIn] += uint64(len(p.msg))
	at := l.free[len(l.free)-1]
	f := l.sock.umem[at:][:l.sock.frame:l.sock.frame]
	room := f[p.headers():p.headers()]
	if n := l.fit(room, l.worker.Answer(room, q)); n > 0 {
		l.send(at, f[:p.headers()+n])
	}
}

// query returns the query to show the Worker, nil where the packet is not for us.
func (l *loop) query() *transport.Query {
	p := &l.pkt
	for i := range l.locals {
		if l.locals[i].addr == p.local {
			q := l.locals[i].query
			q.Msg, q.Client, q.Now = p.msg, p.client, l.now
			if a := p.client.Addr(); p.is6 && a.IsLinkLocalUnicast() {
				q.Client = netip.AddrPortFrom(a.WithZone(l.zone), p.client.Port())
			}
			return q
		}
	}
	l.tally[nAlien]++
	return nil
}

// answerable says whether the message can be a query that gets an answer, and counts why not. Answers are never answered:
// two servers that did could keep each other busy for ever with one forged packet.
func (l *loop) answerable() bool {
	p := &l.pkt
	switch {
	case p.client.Port() == 0:
		l.tally[nPortZero]++
	case len(p.msg) < dnsHeader:
		l.tally[nShort]++
	case p.msg[2]&0x80 != 0:
		l.tally[nResponses]++
	default:
		return true
	}
	return false
}

// fit brings an answer into its room and below the interface's MTU, and returns its length: 0 where there is nothing to send.
func (l *loop) fit(room, answer []byte) int {
	if len(answer) == 0 {
		return 0
	}
	p := &l.pkt
	limit := min(l.mtu-(p.headers()-p.ip), cap(room))
	if len(answer) > limit {
		if &answer[0] != &room[:1][0] {
			answer = append([]byte(nil), answer...) // may be the Worker's own; this is rare enough to allocate for
		}
		if answer = truncate(answer, limit); answer == nil {
			l.tally[nOversize]++
			return 0
		}
		l.tally[nTruncated]++
	}
	if &answer[0] != &room[:1][0] {
		copy(room[:len(answer)], answer)
	}
	return len(answer)
}

// send queues the frame for sending: it is the last of the free ones.
func (l *loop) send(at uint64, f []byte) {
	l.pkt.reply(f, l.tos, uint16(l.ids.Uint64()))
	l.free = l.free[:len(l.free)-1]
	l.sock.tx.put(unix.XDPDesc{Addr: at, Len: uint32(len(f))})
	l.tally[nAnswers]++
	l.tally[nBytesOut] += uint64(len(f) - l.pkt.headers())
}

// unsent says whether there are answers that the kernel has not taken.
func (s *socket) unsent() bool { return s.tx.consumer.Load() != s.tx.mine }

// kicks bounds the calls for one batch where the kernel takes few answers at a time.
const kicks = 8

// kick has the kernel send what is in the ring, where it does not look by itself. The call does not block, so the Go
// scheduler is not told; a full queue of the card leaves answers for the next time.
func (s *socket) kick() {
	for range kicks {
		if !s.tx.sleeping() || !s.unsent() {
			return
		}
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
		if s.zeroCopy || errno != 0 && errno != unix.EAGAIN {
			return
		}
	}
}

// refill tells a driver that has run out of frames that there are some again.
func (s *socket) refill() {
	if s.fill.sleeping() {
		unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	}
}
