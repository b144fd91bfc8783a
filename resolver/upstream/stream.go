package upstream

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"onoma/transport"
)

const (
	// maxPipelined is how many questions a connection carries at the same time.
	maxPipelined = 1024
	// writePatience is how long a server may take no octets.
	writePatience = 2 * time.Second
)

var (
	errFull   = errors.New("too many questions wait on the connection")
	errClosed = errors.New("connection closed")
)

// stream is a connection over TCP or TLS with many questions on their way at once
// (RFC 7766 §6.2.1.1); replies come in any order (§7) and are told apart by IDs
// that the stream itself gives.
type stream struct {
	conn   net.Conn
	random func() uint64

	writing sync.Mutex

	mu      sync.Mutex
	waiting map[uint16]*waiter
	err     error // why the stream ended
	heard   bool  // something came since the last question timed out
}

// waiter is a question on its way.
type waiter struct {
	frame []byte // length and query, which has the stream's ID
	done  chan struct{}
	reply []byte
	err   error
}

func newStream(conn net.Conn, random func() uint64) *stream {
	s := &stream{conn: conn, random: random, waiting: map[uint16]*waiter{}, heard: true}
	go s.read()
	return s
}

// Exchange asks and waits for the reply. An error that Is errClosed, or is of kind
// Broken, says that the stream is of no more use.
func (s *stream) Exchange(ctx context.Context, query []byte) ([]byte, error) {
	w, id, err := s.enter(query)
	if err != nil {
		return nil, err
	}
	if err := s.write(w.frame); err != nil {
		s.end(err)
		return nil, err
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		s.leave(id)
		return nil, ctx.Err()
	}
	if w.err != nil {
		return nil, w.err
	}
	copy(w.reply, query[:2])
	return w.reply, nil
}

// enter gives the question an ID that is free and not to be guessed.
func (s *stream) enter(query []byte) (*waiter, uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return nil, 0, errClosed
	case len(s.waiting) >= maxPipelined:
		return nil, 0, errFull
	}
	id := uint16(s.random())
	for s.waiting[id] != nil {
		id++
	}
	frame := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(query)), uint16(len(query)))
	frame = append(frame, query...)
	binary.BigEndian.PutUint16(frame[2:], id)
	w := &waiter{frame: frame, done: make(chan struct{})}
	s.waiting[id] = w
	return w, id, nil
}

// stands reports whether questions can be asked, as far as is known.
func (s *stream) stands() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err == nil
}

// leave gives a question up. Where nothing at all came since it was asked, the
// connection is no good any more, even if nobody said so.
func (s *stream) leave(id uint16) {
	s.mu.Lock()
	delete(s.waiting, id)
	mute := !s.heard
	s.heard = false
	s.mu.Unlock()
	if mute {
		s.end(errClosed)
	}
}

// write sends length and message in one piece (RFC 7766 §8).
func (s *stream) write(frame []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.conn.SetWriteDeadline(time.Now().Add(writePatience))
	_, err := s.conn.Write(frame)
	return err
}

// read hands out replies until the connection ends.
func (s *stream) read() {
	in := bufio.NewReader(s.conn)
	for {
		msg, err := readMessage(in)
		if err != nil {
			s.end(err)
			return
		}
		s.deliver(msg)
	}
}

func readMessage(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, msg)
	return msg, err
}

// deliver gives a message to who waits for it. A reply that comes too late has
// nobody.
func (s *stream) deliver(msg []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = true
	if len(msg) < headerLen {
		return
	}
	id := binary.BigEndian.Uint16(msg)
	w := s.waiting[id]
	if w == nil {
		return
	}
	switch transport.Match(w.frame[2:], msg) {
	case transport.Matches:
		w.reply = msg
	case transport.OtherQuestion:
		w.err = errSpoofed
	default:
		return
	}
	delete(s.waiting, id)
	close(w.done)
}

// end closes the connection; all who wait are told.
func (s *stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	s.conn.Close()
	for id, w := range s.waiting {
		delete(s.waiting, id)
		w.err = err
		close(w.done)
	}
}

// Close ends the stream.
func (s *stream) Close() { s.end(errClosed) }
