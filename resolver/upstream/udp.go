package upstream

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"time"

	"onoma/transport"
)

// datagrams are the UDP sockets of one family. Each exchange has a socket of its
// own, with a port of its own; between exchanges sockets wait here, since making
// one costs more than the exchange.
type datagrams struct {
	local netip.Addr // the source, perhaps unspecified
	most  int

	mu     sync.Mutex
	idle   []*socket // the one used last is at the end
	open   int
	queue  []chan *socket // who waits for one, in order
	closed bool
}

// maxDatagram is more than is offered to servers by EDNS; a server that sends even
// more is asked over TCP.
const maxDatagram = 4096

// maxIdle sockets are kept; a storm that is over leaves no more behind.
const maxIdle = 256

func (d *datagrams) init(any, source netip.Addr, most int) {
	d.local, d.most = any, most
	if source.IsValid() {
		d.local = source
	}
}

// errNoTurn is that there were too many exchanges for one more.
var errNoTurn = errors.New("all sockets are in use")

// take returns a socket for one exchange; until then, if that is not the zero Time.
func (d *datagrams) take(ctx context.Context, until time.Time) (*socket, error) {
	d.mu.Lock()
	if n := len(d.idle); n > 0 {
		s := d.idle[n-1]
		d.idle = d.idle[:n-1]
		d.mu.Unlock()
		return s, nil
	}
	if d.open < d.most {
		d.open++
		d.mu.Unlock()
		return d.replace()
	}
	turn := make(chan *socket, 1)
	d.queue = append(d.queue, turn)
	d.mu.Unlock()
	var late <-chan time.Time
	if !until.IsZero() {
		late = time.After(time.Until(until))
	}
	select {
	case s := <-turn:
		if s == nil {
			return d.replace()
		}
		return s, nil
	case <-late:
		d.leave(turn)
		return nil, errNoTurn
	case <-ctx.Done():
		d.leave(turn)
		return nil, ctx.Err()
	}
}

// leave gives up a place in the queue, or passes on what came just now.
func (d *datagrams) leave(turn chan *socket) {
	d.mu.Lock()
	for i, c := range d.queue {
		if c == turn {
			d.queue = append(d.queue[:i], d.queue[i+1:]...)
			d.mu.Unlock()
			return
		}
	}
	d.mu.Unlock()
	d.give(<-turn)
}

// replace opens the socket that open counts already.
func (d *datagrams) replace() (*socket, error) {
	s, err := openSocket(d.local)
	if err != nil {
		d.give(nil)
	}
	return s, err
}

// give takes back a socket, nil for one that is no more: whoever waits gets it or
// may open another.
func (d *datagrams) give(s *socket) {
	d.mu.Lock()
	switch {
	case len(d.queue) > 0:
		d.queue[0] <- s
		d.queue = d.queue[1:]
		s = nil
	case s != nil && len(d.idle) < maxIdle && !d.closed:
		d.idle = append(d.idle, s)
		s = nil
	default:
		d.open--
	}
	d.mu.Unlock()
	if s != nil {
		s.close()
	}
}

func (d *datagrams) close() {
	d.mu.Lock()
	idle := d.idle
	d.idle, d.closed = nil, true
	d.open -= len(idle)
	d.mu.Unlock()
	for _, s := range idle {
		s.close()
	}
}

// Begin is Exchange over UDP that waits no longer than until then. What is not over
// by then is waited for by rest, in whatever goroutine; it is to be called, once.
func (n *Network) Begin(ctx context.Context, to transport.Target, query []byte, until time.Time) (reply []byte, rest func(context.Context) ([]byte, error), err error) {
	to.Addr = netip.AddrPortFrom(to.Addr.Addr().Unmap(), to.Addr.Port())
	x := &exchange{to: to, query: query}
	if err := x.check(); err != nil {
		return nil, nil, x.failed(ctx, err)
	}
	s, err := n.datagrams(x).take(ctx, until)
	if err == errNoTurn {
		return nil, func(ctx context.Context) ([]byte, error) { return n.overUDP(ctx, x) }, nil
	} else if err != nil {
		return nil, nil, x.failed(ctx, err)
	}
	s.begin(x)
	reply, err = s.wait(ctx, until)
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil && earlier(ctx, until) == until {
		return nil, func(ctx context.Context) ([]byte, error) { return n.finish(ctx, s, x) }, nil
	}
	reply, err = n.end(ctx, s, x, reply, err)
	return reply, nil, err
}

// overUDP has an exchange over UDP.
func (n *Network) overUDP(ctx context.Context, x *exchange) ([]byte, error) {
	s, err := n.datagrams(x).take(ctx, time.Time{})
	if err != nil {
		return nil, x.failed(ctx, err)
	}
	s.begin(x)
	return n.finish(ctx, s, x)
}

// finish waits for the reply until ctx ends.
func (n *Network) finish(ctx context.Context, s *socket, x *exchange) ([]byte, error) {
	reply, err := s.wait(ctx, time.Time{})
	return n.end(ctx, s, x, reply, err)
}

// end is what follows an exchange that is over.
func (n *Network) end(ctx context.Context, s *socket, x *exchange, reply []byte, err error) ([]byte, error) {
	d := n.datagrams(x)
	n.counts.junk.Add(uint64(x.ignored.Malformed))
	if err != nil {
		if errors.Is(err, errSpoofed) {
			n.counts.spoofed.Add(1)
		}
		// What it may still receive, or has been told by ICMP, is of the past.
		s.close()
		d.give(nil)
		return nil, x.failed(ctx, err)
	}
	d.give(s)
	return reply, nil
}

// datagrams are those of the server's family.
func (n *Network) datagrams(x *exchange) *datagrams {
	if x.to.Addr.Addr().Is6() {
		return &n.udp[1]
	}
	return &n.udp[0]
}

// truncated is what remains of a reply that is not wholly there: its header, which
// says so.
func truncated(header []byte) []byte {
	reply := append([]byte(nil), header...)
	reply[2] |= 2 // TC
	clear(reply[4:])
	return reply
}

// earlier is the deadline of a wait until then, and no longer than ctx lasts. The
// zero Time is none.
func earlier(ctx context.Context, until time.Time) time.Time {
	if d, ok := ctx.Deadline(); ok && (until.IsZero() || d.Before(until)) {
		return d
	}
	return until
}
