package secondary

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"onoma/transport"
)

// alpnDoT is what DNS over TLS is called in a handshake (RFC 9103 §7.1).
const alpnDoT = "dot"

var errNoQUIC = errors.New("this server has no QUIC to ask primaries by")

// dial connects to a primary. One that is to be asked by TLS or QUIC never is asked
// in clear, whatever goes wrong (RFC 9103 §9.3 leaves that to the one who asks).
func (o *Options) dial(ctx context.Context, p Primary) (Link, error) {
	ctx, cancel := context.WithTimeout(ctx, o.DialTime)
	defer cancel()
	if p.Proto == transport.QUIC {
		return o.dialQUIC(ctx, p)
	}
	d := net.Dialer{}
	if p.From.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.From, 0))
	}
	conn, err := d.DialContext(ctx, "tcp", p.Addr.String())
	if err != nil {
		return nil, err
	}
	if p.Proto != transport.TLS {
		return &streamLink{conn: conn}, nil
	}
	cfg, err := p.config()
	if err != nil {
		conn.Close()
		return nil, err
	}
	cfg.NextProtos = []string{alpnDoT}
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("tls: %w", err)
	}
	return &streamLink{conn: secure}, nil
}

func (o *Options) dialQUIC(ctx context.Context, p Primary) (Link, error) {
	if o.DialQUIC == nil {
		return nil, errNoQUIC
	}
	cfg, err := p.config()
	if err != nil {
		return nil, err
	}
	p.TLS = cfg
	return o.DialQUIC(ctx, p)
}

// config returns whom to trust, as which name.
func (p Primary) config() (*tls.Config, error) {
	if p.TLS == nil {
		return nil, fmt.Errorf("nothing says whom to trust over %s", p.Proto)
	}
	cfg := p.TLS.Clone()
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS13) // RFC 9103 §7.1
	if cfg.ServerName == "" {
		cfg.ServerName = p.Addr.Addr().String()
	}
	return cfg, nil
}

// streamLink is a connection by TCP or TLS, for one question at a time.
type streamLink struct{ conn net.Conn }

// Ask is Link's.
func (l *streamLink) Ask(ctx context.Context, query []byte) (io.ReadCloser, error) {
	if err := l.conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { l.conn.SetDeadline(time.Unix(1, 0)) })
	// Length and message in one write (RFC 7766 §8).
	frame := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(query)), uint16(len(query)))
	if _, err := l.conn.Write(append(frame, query...)); err != nil {
		stop()
		return nil, err
	}
	return &answers{conn: l.conn, stop: stop}, nil
}

// Close is Link's.
func (l *streamLink) Close() { l.conn.Close() }

// answers reads what comes on a streamLink.
type answers struct {
	conn net.Conn
	stop func() bool
}

// Read is io.Reader's.
func (a *answers) Read(p []byte) (int, error) { return a.conn.Read(p) }

// Close ends the question; the connection stays, but where it was given up.
func (a *answers) Close() error {
	if !a.stop() {
		return context.Canceled
	}
	return nil
}

// links are connections that wait for another question (RFC 7766 §6.2.1, RFC 9103
// §6.2): the zones of one primary share them.
type links struct {
	mu   sync.Mutex
	idle map[Primary][]*idleLink
}

type idleLink struct {
	link  Link
	timer *time.Timer
}

const (
	idleTime = 10 * time.Second
	maxIdle  = 4 // to one primary
)

// placeOf is what connections are kept by: what concerns questions does not count.
func placeOf(p Primary) Primary {
	p.Key, p.NoIXFR = p.Key.Fold(), false
	return p
}

// take returns a connection that waits, nil where none does.
func (l *links) take(p Primary) Link {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		kept := l.idle[placeOf(p)]
		if len(kept) == 0 {
			return nil
		}
		last := kept[len(kept)-1]
		l.set(placeOf(p), kept[:len(kept)-1])
		if last.timer.Stop() {
			return last.link
		}
	}
}

// put keeps a connection for a while.
func (l *links) put(p Primary, link Link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := placeOf(p)
	if len(l.idle[at]) >= maxIdle {
		link.Close()
		return
	}
	k := &idleLink{link: link}
	k.timer = time.AfterFunc(idleTime, func() { l.expire(at, k) })
	l.set(at, append(l.idle[at], k))
}

func (l *links) set(at Primary, kept []*idleLink) {
	if l.idle == nil {
		l.idle = make(map[Primary][]*idleLink)
	}
	if len(kept) == 0 {
		delete(l.idle, at)
		return
	}
	l.idle[at] = kept
}

func (l *links) expire(at Primary, old *idleLink) {
	old.link.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	var kept []*idleLink
	for _, k := range l.idle[at] {
		if k != old {
			kept = append(kept, k)
		}
	}
	l.set(at, kept)
}

// close closes all that wait.
func (l *links) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, kept := range l.idle {
		for _, k := range kept {
			k.timer.Stop()
			k.link.Close()
		}
	}
	l.idle = nil
}
