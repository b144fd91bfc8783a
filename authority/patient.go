package authority

import (
	"sync"

	"onoma/transport"
)

// patients are the workers that answer what takes too long for a loop that has
// others to answer: signatures by slow keys. Each has a goroutine for as long as
// it has a query.
type patients struct {
	mu   sync.Mutex
	free []*worker
	busy int
}

// How many queries may wait for slow signatures at a time: some places are only
// for names that exist.
const (
	maxPatients  = 64
	maxForOthers = 48
)

// later has a query answered by who can wait. It reports false where too many
// wait already.
func (s *Server) later(q *transport.Query, known bool) bool {
	w := s.patients.take(s, known)
	if w == nil {
		return false
	}
	again := transport.Query{Now: q.Now, Idle: q.Idle}
	p := q.Detach()
	go func() {
		defer s.patients.give(w)
		defer p.Done()
		again.Msg, again.Client, again.Local, again.Proto = p.Msg, p.Client, p.Local, p.Proto
		w.answerLater(p, &again)
	}()
	return true
}

// answerLater answers. Should that panic, it is this client alone that has no
// answer, and the worker goes.
func (w *worker) answerLater(p *transport.Pending, q *transport.Query) {
	defer func() { w.broken = recover() != nil }()
	if out := w.Answer(nil, q); len(out) > 0 {
		_ = p.Reply(out) // or the client is gone, and nobody is to be told
	}
}

func (p *patients) take(s *Server, known bool) *worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy >= maxPatients || !known && p.busy >= maxForOthers {
		return nil
	}
	p.busy++
	if n := len(p.free); n > 0 {
		w := p.free[n-1]
		p.free = p.free[:n-1]
		return w
	}
	w := s.NewWorker().(*worker)
	w.patient = true
	return w
}

func (p *patients) give(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	if !w.broken {
		p.free = append(p.free, w)
	}
}
