package quic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"onoma/dns"
	"onoma/transport"
)

// stream is one query on its stream, and the source of it when it is detached. It is recycled when the last who holds it
// lets go: the goroutine that reads it, the detached query, the goroutine that waits for credit to send.
type stream struct {
	srv  *Server
	conn *conn
	st   *quic.Stream
	in   []byte
	out  []byte
	refs atomic.Int32

	detached atomic.Bool
	mu       sync.Mutex // of replies
	replied  bool
}

// The buffers that a stream begins with, and how much of them it keeps.
const (
	inRoom, outRoom = 512, 4096
	pooledRoom      = 16 << 10
)

func newStream(s *Server) *stream {
	return &stream{srv: s, in: make([]byte, inRoom)}
}

// release lets go, and recycles when nobody holds on.
func (s *stream) release() {
	if s.refs.Add(-1) > 0 {
		return
	}
	c, srv := s.conn, s.srv
	if cap(s.in) > pooledRoom {
		s.in = make([]byte, inRoom)
	}
	if cap(s.out) > pooledRoom {
		s.out = nil
	}
	s.conn, s.st, s.replied = nil, nil, false
	s.detached.Store(false)
	srv.streams.Put(s)
	c.touch()
	c.open.Add(-1)
	srv.inFlight.done()
}

// await serves a stream that has not come whole yet. A client that takes too long is not waited for.
func (s *stream) await() {
	defer s.srv.partial.Add(-1)
	s.st.SetReadDeadline(time.Now().Add(s.srv.cfg.Limits.MessageTimeout))
	s.serve()
}

// refuse ends a stream that there is no room to wait for.
func (s *stream) refuse() {
	s.st.CancelRead(codeExcessiveLoad)
	s.st.CancelWrite(codeExcessiveLoad)
	s.release()
}

// serve reads the query and answers it.
func (s *stream) serve() {
	defer s.release()
	msg, ok := s.query()
	if !ok {
		return
	}
	if !replayable(msg) && !s.conn.handshaken() {
		s.refs.Add(1)
		s.srv.wg.Go(func() { s.afterHandshake(msg) })
		return
	}
	s.answer(msg)
}

// afterHandshake answers what must not be a replay.
func (s *stream) afterHandshake(msg []byte) {
	defer s.release()
	select {
	case <-s.conn.qc.HandshakeComplete():
		s.answer(msg)
	case <-s.conn.qc.Context().Done():
	}
}

// query reads the stream to its end and checks it.
func (s *stream) query() (msg []byte, ok bool) {
	b, err := s.readAll()
	if err == nil {
		msg, err = parseQuery(b)
	}
	if err != nil {
		s.unread(err)
		return nil, false
	}
	return msg, true
}

// unread ends what has no query.
func (s *stream) unread(err error) {
	var reset *quic.StreamError
	var violation queryError
	switch {
	case errors.As(err, &violation):
		s.conn.violated(err)
	case errors.As(err, &reset): // the client has given up (RFC 9250 §4.3.1)
		s.st.CancelWrite(codeRequestCancelled)
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.st.CancelRead(codeExcessiveLoad)
		s.st.CancelWrite(codeExcessiveLoad)
	} // else the connection is gone
}

// readAll reads to the end of the stream, or until there is more than a query can be.
func (s *stream) readAll() ([]byte, error) {
	n := 0
	for {
		m, err := s.st.Read(s.in[n:])
		n += m
		switch {
		case err == io.EOF:
			return s.in[:n], nil
		case err != nil:
			return nil, err
		case n > dns.MaxMessageLen+lengthLen:
			return nil, errTrailing
		case n == len(s.in):
			s.in = append(s.in, make([]byte, n)...)
		}
	}
}

// answer has a Worker answer msg, and sends that.
func (s *stream) answer(msg []byte) {
	seat := s.srv.seats.Take()
	defer s.srv.seats.Return(seat)
	q := transport.Query{Msg: msg, Client: s.conn.client(), Local: s.conn.local, Proto: transport.QUIC, Now: time.Now().UnixNano()}
	q.Peer = s.conn.peer()
	q.SetSource(s)
	if s.out == nil { // not before: a stream that waits for its query holds as little as can be
		s.out = make([]byte, 0, outRoom)
	}
	body := append(s.out[:0], 0, 0)
	dst := body[lengthLen:]
	answer, ok := seat.Answer(dst, &q)
	switch {
	case !ok:
		s.st.CancelWrite(codeInternal) // RFC 9250 §4.3.2
	case len(answer) > 0:
		if &answer[0] == &dst[:1][0] {
			s.out = body[:lengthLen+len(answer)]
		} else {
			s.out = append(body, answer...)
		}
		binary.BigEndian.PutUint16(s.out, uint16(len(answer)))
		s.send()
	case !s.detached.Load(): // not to be answered
		s.st.CancelWrite(codeExcessiveLoad)
	}
}

// send sends what is in out and ends the stream, in a goroutine of its own where the client has given too little credit.
func (s *stream) send() {
	if err := s.st.TryWriteAll(s.out); !errors.Is(err, quic.ErrWouldBlock) {
		s.st.Close()
		return
	}
	s.refs.Add(1)
	s.srv.wg.Go(func() {
		defer s.release()
		s.write(s.out)
		s.st.Close()
	})
}

// write waits for credit; a client that gives none in time loses the stream.
func (s *stream) write(b []byte) error {
	s.st.SetWriteDeadline(time.Now().Add(s.srv.cfg.Limits.MessageTimeout))
	_, err := s.st.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.st.CancelWrite(codeExcessiveLoad)
	}
	return err
}

// Detached keeps the stream until Done.
func (s *stream) Detached() {
	s.refs.Add(1)
	s.detached.Store(true)
}

// Reply sends one of the answers to a detached query: a zone transfer has many on one stream (RFC 9250 §4.2).
func (s *stream) Reply(msg []byte) error {
	if len(msg) == 0 || len(msg) > dns.MaxMessageLen {
		return fmt.Errorf("replying to %v: a message of %d bytes is wanted, 1 to %d are possible", s.conn.client(), len(msg), dns.MaxMessageLen)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replied = true
	frame := append(binary.BigEndian.AppendUint16(slices.Grow([]byte(nil), lengthLen+len(msg)), uint16(len(msg))), msg...)
	err := s.st.TryWriteAll(frame)
	if errors.Is(err, quic.ErrWouldBlock) {
		err = s.write(frame)
	}
	if err != nil {
		return fmt.Errorf("replying to %v: %w", s.conn.client(), err)
	}
	s.srv.seats.Replied(len(msg))
	return nil
}

func (s *stream) hasReplied() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replied
}

// Done ends the stream: with FIN behind the last answer, else with an error (RFC 9250 §4.3.2).
func (s *stream) Done() {
	if s.hasReplied() {
		s.st.Close()
	} else {
		s.st.CancelWrite(codeInternal)
	}
	s.release()
}
