package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

const (
	// flushAt is how much is gathered before it is written although more queries are buffered.
	flushAt = 16 << 10
	// outboxMax is how much may wait behind a write before whoever wants to add more has to wait.
	outboxMax = 64 << 10
)

// outbox is what waits to be written to a connection; the connection's mu guards it. One goroutine at a time writes, and
// goes on until nothing is queued, so that no one who has an answer needs to wait for a client that reads slowly - unless
// outboxMax is reached.
type outbox struct {
	writing bool   // a goroutine is at it
	queue   []byte // whole frames; empty unless writing
}

func putLength(b []byte, n int) { binary.BigEndian.PutUint16(b, uint16(n)) }

// flush writes the answers that the connection's own goroutine has gathered.
func (c *tcpConn) flush() error {
	if c.seat == nil {
		return nil
	}
	out := c.seat.out
	c.seat.out = out[:0]
	c.counts.publish(&c.seat.tally)
	if len(out) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.awaitRoom(len(out)); err != nil {
		return err
	}
	c.lastActive = c.srv.now()
	if c.writing {
		c.queue = append(c.queue, out...)
		return nil
	}
	c.writing = true
	c.writeLocked(out)
	c.writeQueue()
	return c.failed
}

// reply queues one detached answer. Writing it is left to a goroutine of its own where no other is writing: one that
// resolves names should not have to wait for a client.
func (c *tcpConn) reply(_ *Pending, msg []byte) error {
	if len(msg) == 0 || len(msg) > MaxMessage {
		return fmt.Errorf("replying to %v: a message of %d bytes is wanted, 1 to %d are possible", c.client, len(msg), MaxMessage)
	}
	c.counts.v[nAnswers].Add(1)
	c.counts.v[nBytesOut].Add(uint64(len(msg)))
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.awaitRoom(lengthLen + len(msg)); err != nil {
		return err
	}
	c.queue = append(c.queue, byte(len(msg)>>8), byte(len(msg)))
	c.queue = append(c.queue, msg...)
	if !c.writing {
		c.writing = true
		c.srv.wg.Go(c.writeDetached)
	}
	return nil
}

func (c *tcpConn) writeDetached() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeQueue()
}

// awaitRoom waits while n bytes more would overfill the queue. Anything fits an empty one.
func (c *tcpConn) awaitRoom(n int) error {
	for c.failed == nil && len(c.queue) > 0 && len(c.queue)+n > outboxMax {
		c.changed.Wait()
	}
	return c.failed
}

// writeQueue writes what is queued, and what is queued meanwhile.
func (c *tcpConn) writeQueue() {
	for c.failed == nil && len(c.queue) > 0 {
		b := c.queue
		c.queue = nil
		c.changed.Broadcast()
		c.writeLocked(b)
	}
	c.writing, c.queue = false, nil
	c.changed.Broadcast()
}

// writeLocked writes b with the lock released. A client that does not take it in time has lost the connection.
func (c *tcpConn) writeLocked(b []byte) {
	c.mu.Unlock()
	c.nc.SetWriteDeadline(c.srv.now().Add(c.srv.limits.WriteTimeout))
	err := c.write(b)
	c.mu.Lock()
	if err == nil || c.failed != nil {
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.srv.conns.stalled.Add(1)
	}
	c.failed = err
	c.nc.Close()
}

func (c *tcpConn) write(b []byte) (err error) {
	if c.tls != nil {
		_, err = c.tls.conn.Write(b)
	} else {
		_, err = c.nc.Write(b)
	}
	return err
}
