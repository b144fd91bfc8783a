package transport

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// serve receives a batch, answers it into the send batch, sends that, and waits when the socket is empty. Ways of waiting were
// measured, as CPU time for one answer of a program that only flips QR (one CPU for the server, the other for dnsperf, loopback,
// kernel 6.18; microseconds at 20,000 and 80,000 queries a second and at saturation, 120,000 to 200,000). Medians of few runs of
// 2 to 4 seconds, the number of runs in brackets; at saturation the runs of one variant lay up to a quarter apart, so that
// differences below a tenth in that column mean nothing:
//
//	goroutine parked in the Go poller            13.7 (4)   5.1 (2)   4.5 (8)
//	own epoll set, nested in the Go poller       14.5 (2)             4.6 (6)
//	locked thread, parked in the Go poller       17.5 (2)   5.8 (2)   4.6 (2)
//	locked thread, blocking recvmmsg             20.2 (4)   6.9 (2)   4.3 (8)
//	  the same, sendmmsg not called raw          20.6 (2)             4.7 (6)
//	locked thread, ppoll, then recvmmsg          20.7 (2)             4.8 (1)
//
// A goroutine's switch is cheaper than a thread's, so loops that share the machine with others park in the Go poller. A pinned
// loop has a thread of its own, and what made it dear was the scheduler, whose monitor takes the processor from a blocked thread
// each time: it sleeps without telling it (rawWait). With that, with pace and with segments, a whole answer of the authority,
// eight clients asking, costs 15.8 microseconds at 20,000 queries a second, 5.9 at 80,000 and 3.8 at saturation, where it was 23,
// 8.0 and 4.9. None of them spins.
//
// recvmmsg and sendmmsg that do not block are called raw, without telling the scheduler: a batch takes at most some 0.8 ms,
// which a garbage collection can wait.
func (s *batchSocket) serve(st *seat, counts *counters) error {
	b := newBatch(s, st)
	for {
		n, errno, open := b.calls.receive()
		switch {
		case !open || s.stopped.Load():
			return nil
		case errno == unix.EINTR:
			continue
		case errno != 0:
			// ENOMEM and the like pass; without the pause they would make the loop spin.
			st.log.warn("receiving over UDP failed", "error", errno)
			time.Sleep(receiveRetry)
			continue
		}
		b.n, st.q.Now = n, st.log.now().UnixNano()
		b.triage()
		b.answer()
		if n >= fewPackets { // fewer tell nothing, and would feel the cost of the clock
			b.pace.took(n, time.Duration(st.log.now().UnixNano()-st.q.Now))
			b.calls.most = b.pace.size()
		}
		b.send()
		b.rearm()
		counts.publish(&st.tally)
		if s.pinned() {
			nap(b.pace.pause(n, st.q.Now))
		}
	}
}

// batch is a loop's memory: headers, addresses and buffers for batchSize packets each way, made once.
type batch struct {
	calls
	sock *batchSocket
	seat *seat
	zone zones
	via  hop // of the query being answered
	pace pace

	rxVec   [batchSize]unix.Iovec
	rxName  [batchSize]rawAddr
	rxCtl   [batchSize]control // only used behind a wildcard address
	in      []byte             // batchSize slots
	n, next int                // packets received, and the next to be answered
	msgs    [batchSize][]byte  // for prepare

	txVec  [batchSize]unix.Iovec
	out    []byte          // answers one behind the other: those of a batch are seldom as long as their slots
	used   int             // of out
	queued int             // of tx
	skip   [batchSize]bool // packets that are not answered

	segments segments
	segCtl   [batchSize]segmentControl
}

func newBatch(s *batchSocket, st *seat) *batch {
	b := &batch{sock: s, seat: st, zone: make(zones)}
	b.calls.init(s.conn, s.pinned())
	b.in = make([]byte, batchSize*udpSlot)
	b.out = make([]byte, batchSize*udpSlot)
	for i := range b.rx {
		b.rxVec[i].Base = &b.in[i*udpSlot]
		b.rxVec[i].SetLen(udpSlot)
		h := &b.rx[i].Hdr
		h.Name, h.Iov = &b.rxName[i][0], &b.rxVec[i]
		h.SetIovlen(1)
		if s.wildcard() {
			h.Control = &b.rxCtl[i][0]
		}
	}
	b.n = batchSize
	b.rearm()
	s.control(func(fd int) error {
		b.segments.off = !canSegment(fd)
		return nil
	})
	st.q.Proto, st.q.from, st.q.Local = UDP, s, s.addr
	return b
}

// rearm gives the headers of received packets their full lengths back, which the kernel replaced.
func (b *batch) rearm() {
	for i := range b.n {
		h := &b.rx[i].Hdr
		h.Namelen = unix.SizeofSockaddrInet6
		if h.Control != nil {
			h.SetControllen(controlLen)
		}
	}
}

// answer fills the send batch. A panic ends one call of answerSome, not the batch: guarding each query would cost more.
func (b *batch) answer() {
	b.next, b.queued, b.used = 0, 0, 0
	if b.n >= prepareFrom {
		b.prepare()
	}
	for b.next < b.n {
		b.answerSome()
	}
}

// prepareFrom is the fewest queries that are worth preparing for.
const prepareFrom = 4

// prepare shows the batch to a Worker that wants to see it.
func (b *batch) prepare() {
	p, ok := b.seat.worker.(Preparer)
	if !ok {
		return
	}
	defer b.seat.recovered()
	msgs := b.msgs[:0]
	for i := range b.n {
		if !b.skip[i] {
			msgs = append(msgs, b.in[i*udpSlot:][:b.rx[i].Len:b.rx[i].Len])
		}
	}
	p.Prepare(msgs)
}

func (b *batch) answerSome() {
	defer b.seat.recovered()
	for b.next < b.n {
		i := b.next
		b.next++
		b.answerOne(i)
	}
}

func (b *batch) answerOne(i int) {
	if b.skip[i] {
		return
	}
	m, st := &b.rx[i], b.seat
	msg := b.in[i*udpSlot:][:m.Len:m.Len]
	client := b.rxName[i].addrPort(b.zone)
	if !st.answerable(msg, client, m.Hdr.Flags&unix.MSG_TRUNC != 0) {
		return
	}
	st.q.Msg, st.q.Client = msg, client
	if m.Hdr.Control != nil {
		b.localOf(i)
	}
	if b.sock.proxies != nil && !b.unproxied() {
		return
	}
	room := b.out[b.used : b.used : b.used+udpSlot]
	if answer := st.answer(room); st.sendable(answer) {
		b.queue(i, room, answer)
	}
}

// unproxied takes a PROXY header off the packet, and reports that a query is behind it.
func (b *batch) unproxied() bool {
	if !b.sock.wildcard() {
		b.seat.q.Local = b.sock.addr // the packet before may have been for another one
	}
	return b.seat.unproxied(b.sock.proxies, &b.via)
}

// localOf sets the query's local address from the control message of packet i.
func (b *batch) localOf(i int) {
	b.seat.q.Local = b.sock.addr
	if a, ok := b.rxCtl[i].asked(int(b.rx[i].Hdr.Controllen)); ok {
		b.seat.q.Local = netip.AddrPortFrom(a, b.sock.addr.Port())
	} else {
		b.rx[i].Hdr.SetControllen(0)
	}
}

// queue appends the answer to packet i to the send batch. An answer that outgrew its room is sent from where it is.
func (b *batch) queue(i int, room, answer []byte) {
	if &answer[0] == &room[:1][0] {
		const line = 64
		b.used += (len(answer) + line - 1) &^ (line - 1)
	}
	b.txVec[b.queued].Base = &answer[0]
	b.txVec[b.queued].SetLen(len(answer))
	h, from := &b.tx[b.queued].Hdr, &b.rx[i].Hdr
	h.Name, h.Namelen = from.Name, from.Namelen
	h.Control, h.Controllen = from.Control, from.Controllen
	h.Iov = &b.txVec[b.queued]
	h.SetIovlen(1)
	b.queued++
}

// send sends the batch. The kernel stops at a packet that it cannot send, and says why only when asked to start with it.
func (b *batch) send() {
	n := b.segments.merge(b, b.queued)
	for first := 0; first < n; {
		sent, errno := b.calls.send(first, n)
		switch {
		case errno == 0:
			b.count(first, sent)
			first += sent
		case errno == unix.EINTR:
		case (errno == unix.EIO || errno == unix.EINVAL) && b.tx[first].Hdr.Iovlen > 1:
			first, n = 0, b.segments.split(b, first, n)
		default:
			b.seat.tally[nSendErrors] += uint64(b.tx[first].Hdr.Iovlen)
			first++
		}
	}
}

func (b *batch) count(first, n int) {
	for i := first; i < first+n; i++ {
		b.seat.tally[nAnswers] += uint64(b.tx[i].Hdr.Iovlen)
		b.seat.tally[nBytesOut] += uint64(b.tx[i].Len)
	}
}
