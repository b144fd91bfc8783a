package transport

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed is returned where the server, or the connection that a reply belongs to, is gone.
var ErrClosed = errors.New("transport closed")

// Pending is a query to be answered later, from any goroutine. It holds its own copy of the message.
type Pending struct {
	Msg    []byte
	Client netip.AddrPort
	Local  netip.AddrPort
	Proto  Proto
	Since  time.Time // when it began to wait, if its holder says so

	from source
	live atomic.Bool
}

// pendings recycles Pending and the copies of queries they hold.
var pendings = sync.Pool{New: func() any { return new(Pending) }}

// pooledMsg is the largest copy kept for reuse: a query is short, an UPDATE of 60 KiB should not stay for ever.
const pooledMsg = 4096

// Detach copies what a later answer needs. It may only be called within Answer, once for a query, which then normally
// returns dst as it was. The query counts as in flight until Done.
func (q *Query) Detach() *Pending {
	p := pendings.Get().(*Pending)
	p.Msg = append(p.Msg[:0], q.Msg...)
	p.Client, p.Local, p.Proto, p.Since, p.from = q.Client, q.Local, q.Proto, time.Time{}, q.source()
	p.from.detached()
	p.live.Store(true)
	return p
}

// Reply sends one message to who asked, from the address that was asked. It may be called several times (a zone transfer is
// many messages, RFC 5936 §2.2) and does not keep msg. Over TCP it queues the message and waits only while a slow client has
// too much unread; the error then says that the client is gone.
func (p *Pending) Reply(msg []byte) error {
	if !p.live.Load() {
		return ErrClosed
	}
	return p.from.reply(p, msg)
}

// Done ends the query; it must be called exactly once, after the last Reply has returned, and p not used afterwards.
func (p *Pending) Done() {
	if !p.live.CompareAndSwap(true, false) {
		return
	}
	from := p.from
	p.from = nil
	if cap(p.Msg) > pooledMsg {
		p.Msg = nil
	}
	pendings.Put(p)
	from.done()
}

// inflight counts detached UDP queries, so that a shutdown can wait for them.
type inflight struct {
	n        atomic.Int64
	draining atomic.Bool
	once     sync.Once
	zero     chan struct{}
}

func newInflight() *inflight { return &inflight{zero: make(chan struct{})} }

func (f *inflight) add() { f.n.Add(1) }

func (f *inflight) done() {
	if f.n.Add(-1) == 0 && f.draining.Load() {
		f.once.Do(func() { close(f.zero) })
	}
}

// drain returns a channel that is closed when nothing is in flight. Nothing may be added afterwards.
func (f *inflight) drain() <-chan struct{} {
	f.draining.Store(true)
	if f.n.Load() == 0 {
		f.once.Do(func() { close(f.zero) })
	}
	return f.zero
}
