package transport

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// tcpServer accepts connections, of TCP or of TLS, and holds what they share.
type tcpServer struct {
	proto     Proto
	tls       *tls.Config // nil over TCP
	gate      chan struct{}
	proxies   Proxies
	limits    TCPLimits
	listeners []*net.TCPListener
	table     *connTable
	seats     sync.Pool // of *tcpSeat
	log       *logLimit
	now       func() time.Time

	wg     sync.WaitGroup // connections
	conns  connCounters
	shards [16]counters // connections publish to one of these, so that they seldom meet
}

// tcpSeat is what a connection borrows while it has something to answer.
type tcpSeat struct {
	*seat
	out []byte // answers, each with its length field, not yet written
}

func newTCPServer(p Proto, cfg *Config, log *logLimit) *tcpServer {
	t := &tcpServer{proto: p, limits: cfg.TCP, proxies: cfg.ProxyFrom, log: log, now: cfg.now}
	if p == TLS {
		t.limits = cfg.TLS
		if cfg.TLSConfig != nil {
			t.tls, t.gate = dotConfig(cfg.TLSConfig), newGate()
		}
	}
	t.table = newConnTable(t.limits.MaxConns, t.limits.MaxConnsPerClient, t.now)
	handler := cfg.Handler
	t.seats.New = func() any { return &tcpSeat{seat: &seat{handler: handler, log: log}} }
	return t
}

// acceptRetry is the pause after an error that will not pass at once, such as too many open files.
const acceptRetry = 20 * time.Millisecond

// accept takes connections until the listener is closed.
func (t *tcpServer) accept(l *net.TCPListener, stopping <-chan struct{}) error {
	for seq := 0; ; seq++ {
		nc, err := l.AcceptTCP()
		switch {
		case err == nil:
			t.admit(nc, seq)
		case errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, syscall.ECONNABORTED): // gone before it was accepted
		default:
			t.log.warn("accepting a connection failed", "proto", t.proto.String(), "error", err)
			t.makeRoomFor(err)
			select {
			case <-stopping:
			case <-time.After(acceptRetry):
			}
		}
	}
}

// makeRoomFor closes a connection where the process has no file descriptors left.
func (t *tcpServer) makeRoomFor(err error) {
	if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
		return
	}
	if c := t.table.giveWay(); c != nil {
		t.conns.evicted.Add(1)
		c.evict()
	}
}

// admit serves a connection, if it may stay.
func (t *tcpServer) admit(nc *net.TCPConn, seq int) {
	c := newTCPConn(t, nc, &t.shards[seq%len(t.shards)])
	evicted, ok := t.table.admit(c)
	if evicted != nil {
		t.conns.evicted.Add(1)
		evicted.evict()
	}
	if !ok {
		t.conns.refused.Add(1)
		nc.Close()
		return
	}
	t.conns.accepted.Add(1)
	t.wg.Go(c.serve)
}

func (t *tcpServer) stopAccepting() {
	for _, l := range t.listeners {
		l.Close()
	}
}

// drain lets connections finish what they have read. Nothing is accepted any more.
func (t *tcpServer) drain() {
	for _, c := range t.table.drain() {
		c.drain()
	}
}

// drained is closed when no connection is left.
func (t *tcpServer) drained() <-chan struct{} { return t.table.empty }

// cut closes the connections that are left and waits for their goroutines.
func (t *tcpServer) cut() {
	for _, c := range t.table.all() {
		c.fail(ErrClosed)
	}
	t.wg.Wait()
}

func (t *tcpServer) addTo(msgs *Counts, conns *ConnStats) {
	for i := range t.shards {
		t.shards[i].addTo(msgs)
	}
	*conns = ConnStats{
		Open: uint64(t.table.open()), Accepted: t.conns.accepted.Load(), Refused: t.conns.refused.Load(),
		Evicted: t.conns.evicted.Load(), Idle: t.conns.idle.Load(), Stalled: t.conns.stalled.Load(),
		Handshakes: t.conns.handshakes.Load(), Resumed: t.conns.resumed.Load(), Unencrypted: t.conns.unencrypted.Load(),
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	ap := a.(interface{ AddrPort() netip.AddrPort }).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
