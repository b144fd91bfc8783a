package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"onoma/transport"
)

// Conn is a connection for any number of questions at once, as *quic.Conn and
// *https.Client are.
type Conn interface {
	Exchange(ctx context.Context, query []byte) ([]byte, error)
	Close()
}

// Dialers make the connections of transports that this package does not know
// itself; nil: questions cannot be sent over it.
type Dialers struct {
	QUIC  func(ctx context.Context, from netip.Addr, to netip.AddrPort, cfg *tls.Config) (Conn, error)
	HTTPS func(url string, to netip.AddrPort, cfg *tls.Config, h3 bool) (Conn, error)
}

// line is a connection to one target, with all who use it. It is made by the first
// of them, while the others wait.
type line struct {
	key   transport.Target
	ready chan struct{} // closed once conn or err is set
	conn  Conn
	err   error

	users int       // under lines.mu
	used  time.Time // when the last of them left; under lines.mu
	gone  bool      // not to be used by anybody else; under lines.mu
	timer *time.Timer
}

// lines are the connections of all cores. A target is in the map with the name it
// must prove: one that was not authenticated never serves a question that wants it.
type lines struct {
	most int
	idle time.Duration
	dial func(ctx context.Context, to transport.Target) (Conn, error)

	mu   sync.Mutex
	all  map[transport.Target]*line
	open int
}

// errCrowded is the end of a question for which no connection could be made.
var errCrowded = errors.New("too many connections are in use")

// exchange asks over the shared connection to a target. A connection that breaks
// may have been closed by the server for being idle, or before it read the question
// (RFC 7766 §6.2.4): once, the question is asked again, on a connection of its own,
// since some servers close after each reply.
func (p *lines) exchange(ctx context.Context, to transport.Target, query []byte) ([]byte, error) {
	reply, err := p.once(ctx, to, query)
	if err == nil || ctx.Err() != nil || !isBroken(err) {
		return reply, err
	}
	own, err := p.lone(to)
	if err != nil {
		return nil, err
	}
	return p.ask(ctx, own, query)
}

// once asks over the shared connection, and does not try again.
func (p *lines) once(ctx context.Context, to transport.Target, query []byte) ([]byte, error) {
	l, err := p.take(to)
	if err != nil {
		return nil, err
	}
	return p.ask(ctx, l, query)
}

func isBroken(err error) bool {
	return errors.Is(err, errClosed) || errors.Is(err, net.ErrClosed) || errors.Is(err, errFull) || transport.KindOf(err) == transport.Broken
}

// has reports whether a connection stands that can be used at once.
func (p *lines) has(to transport.Target) bool {
	p.mu.Lock()
	l := p.all[to]
	p.mu.Unlock()
	if l == nil {
		return false
	}
	select {
	case <-l.ready:
	default:
		return false
	}
	s, isStream := l.conn.(*stream)
	return l.err == nil && (!isStream || s.stands())
}

// warm makes a connection that waits for a first question.
func (p *lines) warm(to transport.Target) error {
	l, err := p.take(to)
	if err != nil {
		return err
	}
	<-l.ready
	p.leave(l)
	return l.err
}

// take joins the users of a target's connection.
func (p *lines) take(to transport.Target) (*line, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.all[to]; l != nil {
		l.users++
		return l, nil
	}
	l, err := p.add(to)
	if err == nil {
		p.all[to] = l
	}
	return l, err
}

// lone makes a connection that nobody shares.
func (p *lines) lone(to transport.Target) (*line, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, err := p.add(to)
	if err == nil {
		l.gone = true
	}
	return l, err
}

// add begins a connection; mu is held.
func (p *lines) add(to transport.Target) (*line, error) {
	if p.open >= p.most && !p.evict() {
		return nil, errCrowded
	}
	p.open++
	l := &line{key: to, ready: make(chan struct{}), users: 1}
	go p.connect(l)
	return l, nil
}

// dialPatience is how long a connection may take to be made; who waits for it has
// a deadline of its own.
const dialPatience = 4 * time.Second

func (p *lines) connect(l *line) {
	ctx, cancel := context.WithTimeout(context.Background(), dialPatience)
	defer cancel()
	l.conn, l.err = p.dial(ctx, l.key)
	close(l.ready)
	if l.err != nil {
		p.drop(l)
	}
}

// ask uses a line that was taken, and leaves it.
func (p *lines) ask(ctx context.Context, l *line, query []byte) ([]byte, error) {
	defer p.leave(l)
	select {
	case <-l.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l.err != nil {
		return nil, l.err
	}
	reply, err := l.conn.Exchange(ctx, query)
	if err != nil && ctx.Err() == nil && !errors.Is(err, errSpoofed) {
		p.drop(l)
	}
	return reply, err
}

// drop makes nobody else use a line.
func (p *lines) drop(l *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.gone = true
	if p.all[l.key] == l {
		delete(p.all, l.key)
	}
}

// leave ends one use. What nobody uses is closed after a while, or at once if it is
// of no more use.
func (p *lines) leave(l *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.users--; l.users > 0 {
		return
	}
	if l.gone {
		p.end(l)
		return
	}
	l.used = time.Now()
	if l.timer == nil {
		l.timer = time.AfterFunc(p.idle, func() { p.expire(l) })
	}
}

// expire closes a line that was not used for long enough.
func (p *lines) expire(l *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.idle - time.Since(l.used)
	switch {
	case l.gone:
	case l.users > 0 || left > 0:
		l.timer.Reset(max(left, time.Second))
	default:
		p.end(l)
	}
}

// end closes a line without users; mu is held.
func (p *lines) end(l *line) {
	p.open--
	l.gone = true
	if p.all[l.key] == l {
		delete(p.all, l.key)
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	go func() { // whoever closes may have to wait for others
		if <-l.ready; l.conn != nil {
			l.conn.Close()
		}
	}()
}

// evict closes the line that was idle longest; mu is held.
func (p *lines) evict() bool {
	var oldest *line
	for _, l := range p.all {
		if l.users == 0 && (oldest == nil || l.used.Before(oldest.used)) {
			oldest = l
		}
	}
	if oldest == nil {
		return false
	}
	p.end(oldest)
	return true
}

// close closes what nobody uses, and keeps nothing from now on.
func (p *lines) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = 0
	for _, l := range p.all {
		if l.users == 0 {
			p.end(l)
		}
	}
}

// unknownProto is the end of a question over a transport that was not given.
func unknownProto(p transport.Proto) error { return fmt.Errorf("nothing here speaks %v", p) }
