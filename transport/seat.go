package transport

import (
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// seat is one Worker at its place: the Query it is shown, what was counted, and what happens when it panics. It is owned by
// one goroutine at a time.
type seat struct {
	handler Handler
	worker  Worker // nil: to be made before the next query
	q       Query
	tally   tally
	log     *logLimit
}

func newSeat(h Handler, log *logLimit) *seat {
	return &seat{handler: h, worker: h.NewWorker(), log: log}
}

// admits says whether msg may be a query at all, and counts why not. Answers are never answered: two servers that did could
// keep each other busy for ever with one forged packet.
func (s *seat) admits(msg []byte) bool {
	if len(msg) < headerLen {
		s.tally[nShort]++
		return false
	}
	if msg[2]&0x80 != 0 {
		s.tally[nResponses]++
		return false
	}
	return true
}

// answer shows the query in s.q to the Worker.
func (s *seat) answer(dst []byte) []byte {
	if s.worker == nil {
		s.worker = s.handler.NewWorker()
	}
	s.tally[nQueries]++
	s.tally[nBytesIn] += uint64(len(s.q.Msg))
	return s.worker.Answer(dst, &s.q)
}

// recovered, deferred around calls of answer, keeps a panic from ending the server. The Worker's scratch may be in any state
// then, so the next query gets a new Worker.
func (s *seat) recovered() {
	r := recover()
	if r == nil {
		return
	}
	s.worker = nil
	s.tally[nPanics]++
	if missed, ok := s.log.allow(); ok {
		s.log.Error("a worker panicked; its query was dropped", "panic", r, "client", s.q.Client,
			"proto", s.q.Proto.String(), "unreported", missed, "stack", string(debug.Stack()))
	}
}

// logLimit lets through one line a second: what the network can provoke must not fill a disk.
type logLimit struct {
	*slog.Logger
	now    func() time.Time
	next   atomic.Int64 // Unix nanoseconds before which nothing is logged
	missed atomic.Uint64
}

func newLogLimit(l *slog.Logger, now func() time.Time) *logLimit {
	return &logLimit{Logger: l, now: now}
}

// allow reports whether a line may be logged now, and how many were not since the last.
func (l *logLimit) allow() (missed uint64, ok bool) {
	now, next := l.now().UnixNano(), l.next.Load()
	if now < next || !l.next.CompareAndSwap(next, now+int64(time.Second)) {
		l.missed.Add(1)
		return 0, false
	}
	return l.missed.Swap(0), true
}

// warn logs one line where the limit allows it.
func (l *logLimit) warn(msg string, args ...any) {
	if missed, ok := l.allow(); ok {
		l.Warn(msg, append(args, "unreported", missed)...)
	}
}
