package transport

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

var (
	errEvicted = errors.New("connection closed to make room")
	errIdle    = errors.New("connection idle for too long")
	errStalled = errors.New("message not finished in time")
	errDrained = errors.New("server is shutting down")
)

// tcpConn is one connection, of TCP or with TLS on top. Its goroutine reads, answers what the Worker answers at once, in order and without another
// goroutine, and writes those answers when no further whole query is buffered, several in one go. Detached answers come in
// from other goroutines through the outbox, in whatever order they are ready (RFC 7766 §6.2.1.1).
type tcpConn struct {
	srv           *tcpServer
	nc            *net.TCPConn
	tls           *tlsLayer // nil over TCP
	client, local netip.AddrPort
	peer          []string // names in the client's certificate
	proxied       bool     // client and local are a proxy's word, or will be
	counts        *counters
	frames        frames    // the goroutine's
	seat          *tcpSeat  // the goroutine's; nil while it has nothing to answer
	msgDeadline   time.Time // the goroutine's: for the message of which a part is here
	rests         bool      // the goroutine's: it waits in the table for a whole message

	at    rank          // in the lists of table; guarded by table.mu
	since time.Time     // when it became busy; likewise
	links [nLists]links // likewise

	mu         sync.Mutex
	changed    sync.Cond // of what follows, which mu guards
	inFlight   int       // detached and not done
	waiting    bool      // for the first byte of a message
	draining   bool      // to end when nothing is in flight
	failed     error     // why nothing can be written any more
	lastActive time.Time // end of the last thing done for the client
	outbox
}

func newTCPConn(t *tcpServer, nc *net.TCPConn, counts *counters) *tcpConn {
	c := &tcpConn{srv: t, nc: nc, counts: counts, client: addrPort(nc.RemoteAddr()), local: addrPort(nc.LocalAddr())}
	c.changed.L = &c.mu
	c.rests = true
	c.proxied = t.proxies.Trust(c.client.Addr())
	c.frames.init(t.limits.MaxMessage)
	if t.tls != nil {
		c.tls = newTLSLayer(c)
	}
	return c
}

// serve reads until something ends it. What is then in flight is still answered: a client may have closed its sending side
// after its last query.
func (c *tcpConn) serve() {
	err := c.introduce()
	if err == nil {
		err = c.handshake()
	}
	if err == nil {
		err = c.readAll()
	}
	c.flush() // what was gathered before the end was seen
	c.returnSeat()
	switch err {
	case io.EOF, errDrained:
		c.finish()
	case errIdle:
		c.srv.conns.idle.Add(1)
	case errStalled:
		c.srv.conns.stalled.Add(1)
	}
	c.sayGoodbye()
	c.fail(ErrClosed)
	c.srv.table.remove(c)
}

// evict closes a connection that had been idle, to make room. Its goroutine does that, and takes leave as TLS wants it;
// only where another one is writing to it meanwhile it is broken off.
func (c *tcpConn) evict() {
	c.mu.Lock()
	writing := c.writing || c.inFlight > 0
	c.mu.Unlock()
	if writing {
		c.fail(errEvicted)
		return
	}
	c.drain()
}

func (c *tcpConn) readAll() error {
	for {
		msg, ok, err := c.frames.next()
		if err != nil {
			c.counts.v[nShort].Add(1)
			c.flush()
			return err
		}
		if ok {
			c.msgDeadline = time.Time{}
			err = c.handle(msg)
		} else if c.tls.buffered() {
			err = c.readBuffered()
		} else if err = c.flush(); err == nil {
			c.returnSeat()
			err = c.fill()
		}
		if err != nil {
			return err
		}
	}
}

// fill waits for more of the stream: for the next message as long as the connection may be idle, for the rest of one until
// its deadline, which does not move when a little more of it comes.
func (c *tcpConn) fill() error {
	if c.frames.empty() {
		return c.fillIdle()
	}
	if c.msgDeadline.IsZero() {
		c.msgDeadline = c.srv.now().Add(c.srv.limits.MessageTimeout)
		c.rest()
	}
	err := c.read(c.msgDeadline)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errStalled
	}
	return err
}

func (c *tcpConn) fillIdle() error {
	for {
		deadline, err := c.beginWaiting()
		if err != nil {
			return err
		}
		err = c.read(deadline)
		c.endWaiting()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

// read reads once. The deadline is set under the lock, lest it undo the one that drain has set.
func (c *tcpConn) read(deadline time.Time) error {
	c.mu.Lock()
	if c.draining {
		c.mu.Unlock()
		return errDrained
	}
	c.nc.SetReadDeadline(deadline)
	c.mu.Unlock()
	err := c.frames.read(c.reader())
	if err != nil && c.isDraining() {
		return errDrained
	}
	return err
}

func (c *tcpConn) reader() io.Reader {
	if c.tls != nil {
		return c.tls
	}
	return c.nc
}

func (c *tcpConn) isDraining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}

// beginWaiting makes the connection idle, unless answers are in flight, and says until when it may be. A connection with
// answers in flight is not idle (RFC 7766 §6.2.3); it is looked at again later.
func (c *tcpConn) beginWaiting() (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, limit := c.srv.now(), c.srv.limits.IdleTimeout
	if c.lastActive.IsZero() {
		c.lastActive = now
	}
	deadline := c.lastActive.Add(limit)
	c.rests = true
	switch {
	case c.draining:
		return now, errDrained
	case c.inFlight > 0:
		deadline = now.Add(limit)
	case !now.Before(deadline):
		return now, errIdle
	default:
		c.restLocked()
	}
	c.waiting = true
	return deadline, nil
}

func (c *tcpConn) endWaiting() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = false
}

// rest lets the connection give way to others, unless answers are in flight, until it has a whole message.
func (c *tcpConn) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inFlight == 0 {
		c.restLocked()
	}
}

func (c *tcpConn) restLocked() {
	c.rests = true
	c.srv.table.setWaiting(c, true)
}

// drain ends the connection when what it has read is answered.
func (c *tcpConn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	c.nc.SetReadDeadline(time.Unix(1, 0))
}

// finish waits until everything in flight is answered and written, or the connection breaks.
func (c *tcpConn) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.failed == nil && (c.inFlight > 0 || c.writing) {
		c.changed.Wait()
	}
}

// fail breaks the connection: reads and writes return, waiting goroutines wake.
func (c *tcpConn) fail(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = why
		c.nc.Close()
	}
	c.changed.Broadcast()
}

// handle answers one message, or leaves it in flight.
func (c *tcpConn) handle(msg []byte) error {
	if c.rests {
		c.rests = false
		c.srv.table.setWaiting(c, false)
	}
	if err := c.awaitTurn(); err != nil {
		return err
	}
	c.takeSeat()
	if c.seat.admits(msg) {
		c.answer(msg)
	}
	if len(c.seat.out) >= flushAt {
		return c.flush()
	}
	return nil
}

// awaitTurn keeps a client from having more than its share in flight: until then its queries stay in the socket.
func (c *tcpConn) awaitTurn() error {
	limit := c.srv.limits.MaxPipelined
	c.mu.Lock()
	full := c.inFlight >= limit
	c.mu.Unlock()
	if !full {
		return nil
	}
	if err := c.flush(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.failed == nil && c.inFlight >= limit {
		c.changed.Wait()
	}
	return c.failed
}

func (c *tcpConn) takeSeat() {
	if c.seat == nil {
		c.seat = c.srv.seats.Get().(*tcpSeat)
		c.seat.q.Client, c.seat.q.Local, c.seat.q.Proto, c.seat.q.from = c.client, c.local, c.srv.proto, c
		c.seat.q.Peer = c.peer
	}
}

func (c *tcpConn) returnSeat() {
	if s := c.seat; s != nil {
		c.seat = nil
		c.counts.publish(&s.tally)
		s.q = Query{}
		s.out = s.out[:0]
		c.srv.seats.Put(s)
	}
}

// answer appends the Worker's answer to what is to be written, its length in front (RFC 7766 §8: both in one write).
func (c *tcpConn) answer(msg []byte) {
	s := c.seat
	defer s.recovered()
	s.q.Msg, s.q.Now, s.q.Idle = msg, c.srv.now().UnixNano(), c.srv.limits.IdleTimeout
	s.out = slices.Grow(s.out, lengthLen+udpSlot)
	body := append(s.out, 0, 0)
	dst := body[len(body):]
	answer := s.answer(dst)
	switch {
	case len(answer) == 0:
		return
	case len(answer) > MaxMessage:
		s.tally[nOversize]++
		return
	case &answer[0] == &dst[:1][0]:
		s.out = body[:len(body)+len(answer)]
	default:
		s.out = append(body, answer...)
	}
	putLength(s.out[len(body)-lengthLen:], len(answer))
	s.tally[nAnswers]++
	s.tally[nBytesOut] += uint64(len(answer))
}

// detached, reply and done make the connection the source of its queries.
func (c *tcpConn) detached() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight++
}

func (c *tcpConn) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight--
	c.lastActive = c.srv.now()
	if c.waiting && c.inFlight == 0 {
		c.srv.table.setWaiting(c, true)
	}
	c.changed.Broadcast()
}
