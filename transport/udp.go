package transport

import (
	"fmt"
	"net/netip"
)

const (
	// batchSize is the number of packets that one system call receives or sends. More of them share the cost of the calls, and
	// answers for one client find each other.
	batchSize = 256
	// udpSlot is the room for one packet. A query is far shorter, and an answer over UDP should stay below 1232 bytes
	// (RFC 9715 §3.2); an answer that is larger yet is put on the heap. One line more than a page keeps the beginnings of
	// all slots from falling into the same few sets of a cache.
	udpSlot = 4096 + 64
	// maxUDPPayload is what an IPv4 datagram holds beside the IP and UDP headers.
	maxUDPPayload = 65535 - 20 - 8
)

// udpSocket is a bound socket and the way packets are read from and written to it.
type udpSocket interface {
	// serve receives and answers until stop. The seat and the counters are the caller's.
	serve(*seat, *counters) error
	// stop ends serve soon, also one that begins later. Detached answers can still be sent.
	stop()
	close() error
	// pin prepares the goroutine that will call serve; thread is its number.
	pin(thread int) error
	// late holds the counts of detached answers.
	late() *counters
	// countIn says where detached queries are counted.
	countIn(*inflight)
	kernelDrops() uint64
	// watcher returns what watches the socket for more than its loop can do; nil where nothing does.
	watcher(*logLimit) *triageControl
}

// udpLoop is one goroutine that serves one socket.
type udpLoop struct {
	sock   udpSocket
	thread int
	counts counters
}

func (l *udpLoop) run(h Handler, log *logLimit) error {
	if err := l.sock.pin(l.thread); err != nil {
		return fmt.Errorf("pinning UDP thread %d: %w", l.thread, err)
	}
	if err := l.sock.serve(newSeat(h, log), &l.counts); err != nil {
		return fmt.Errorf("receiving over UDP: %w", err)
	}
	return nil
}

// udpSource is the part of a UDP socket that detached queries know.
type udpSource struct {
	addr    netip.AddrPort // bound
	proxies Proxies
	pending *inflight
	counts  counters // of detached answers: several writers
}

func (u *udpSource) late() *counters      { return &u.counts }
func (u *udpSource) countIn(f *inflight)  { u.pending = f }
func (u *udpSource) detached()            { u.pending.add() }
func (u *udpSource) done()                { u.pending.done() }
func (u *udpSource) wildcard() bool       { return u.addr.Addr().IsUnspecified() }
func (u *udpSource) kernelDrops() uint64  { return 0 }
func (u *udpSource) pin(thread int) error { return nil }

func (u *udpSource) watcher(*logLimit) *triageControl { return nil }

// sent counts one detached answer.
func (u *udpSource) sent(n int, err error) error {
	var t tally
	if err != nil {
		t[nSendErrors] = 1
	} else {
		t[nAnswers], t[nBytesOut] = 1, uint64(n)
	}
	u.counts.publish(&t)
	return err
}

// answerable says whether a packet can be a query that gets an answer, and counts why not.
func (s *seat) answerable(msg []byte, client netip.AddrPort, truncated bool) bool {
	if truncated {
		s.tally[nOversize]++
		return false
	}
	if client.Port() == 0 {
		s.tally[nPortZero]++
		return false
	}
	return s.admits(msg)
}

// sendable says whether an answer fits a datagram.
func (s *seat) sendable(answer []byte) bool {
	if len(answer) > maxUDPPayload {
		s.tally[nOversize]++
		return false
	}
	return len(answer) > 0
}
