package quic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"onoma/transport"
)

// alpn is what DNS over QUIC is called in a handshake (RFC 9250 §4.1.1).
const alpn = "doq"

// Config says what to listen on and for whom. Zero values of limits mean the defaults named.
type Config struct {
	Handler transport.Handler
	Addrs   []netip.AddrPort
	TLS     *tls.Config // the certificates; versions, ALPN and tickets are seen to here
	Limits  Limits
	Grace   time.Duration // how long Serve lets answers in flight finish when its context ends: 5 s
	Log     *slog.Logger  // nil: discard
}

// Limits bound what clients may hold.
type Limits struct {
	MaxConns          int           // open at once: 2000
	MaxConnsPerClient int           // for one IPv4 address or one IPv6 /64: 200
	MaxStreams        int           // queries of one connection in flight: 100
	MaxPartial        int           // streams of all connections whose query has not come whole: 4096
	RetryAbove        int           // handshakes open at once, beyond which addresses are validated first: 64
	IdleTimeout       time.Duration // without a packet: 30 s
	HandshakeTimeout  time.Duration // 5 s
	MessageTimeout    time.Duration // from a stream's opening to the end of its query, and for an answer to be taken: 5 s
}

func (c Config) withDefaults() Config {
	l := &c.Limits
	for _, d := range []struct {
		v   *int
		def int
	}{{&l.MaxConns, 2000}, {&l.MaxConnsPerClient, 200}, {&l.MaxStreams, 100}, {&l.MaxPartial, 4096}, {&l.RetryAbove, 64}} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&l.IdleTimeout, 30 * time.Second}, {&l.HandshakeTimeout, 5 * time.Second}, {&l.MessageTimeout, 5 * time.Second}, {&c.Grace, 5 * time.Second}} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Stats is what was done since the server was made.
type Stats struct {
	transport.Counts
	Conns          transport.ConnStats
	ProtocolErrors uint64 // connections closed for what a client did
}

// Server is a set of bound sockets and their connections.
type Server struct {
	cfg       Config
	seats     *transport.Seats
	gate      Gate
	listeners []*listener
	streams   sync.Pool // of *stream

	evicted, handshakes, resumed, protocolErrors atomic.Uint64

	mu       sync.Mutex
	conns    map[*conn]struct{}
	stopping bool

	inFlight inFlight       // streams that are being answered
	partial  atomic.Int64   // of these, streams whose query has not come whole
	wg       sync.WaitGroup // goroutines
}

// listener is one address.
type listener struct {
	addr netip.AddrPort
	tr   *quic.Transport
	ln   *quic.EarlyListener
}

func (l *listener) close() {
	if l.ln != nil {
		l.ln.Close()
	}
	l.tr.Close()
	l.tr.Conn.Close()
}

// Listen binds all addresses, or none.
func Listen(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	switch {
	case cfg.Handler == nil:
		return nil, errors.New("listening over quic: no handler is given")
	case len(cfg.Addrs) == 0:
		return nil, errors.New("listening over quic: no address is given")
	case cfg.TLS == nil:
		return nil, errors.New("listening over quic: no certificate is given")
	}
	s := &Server{
		cfg: cfg, seats: transport.NewSeats(cfg.Handler, cfg.Log), conns: make(map[*conn]struct{}),
	}
	s.gate.Limiter = transport.NewLimiter(cfg.Limits.MaxConns, cfg.Limits.MaxConnsPerClient)
	s.gate.RetryAbove, s.gate.Evict = cfg.Limits.RetryAbove, s.evict
	s.inFlight.zero = make(chan struct{})
	s.streams.New = func() any { return newStream(s) }
	for _, a := range cfg.Addrs {
		l, err := s.listen(a)
		if err != nil {
			s.closeAll()
			return nil, err
		}
		s.listeners = append(s.listeners, l)
	}
	return s, nil
}

// quiet keeps quic-go from writing to the standard logger that the system's limit on socket buffers is below its wish.
var quiet = sync.OnceFunc(func() { os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") })

// ListenUDP opens a socket for QUIC.
func ListenUDP(addr netip.AddrPort) (*net.UDPConn, error) {
	quiet()
	network := "udp6"
	if addr.Addr().Unmap().Is4() {
		network = "udp4"
	}
	return net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
}

func (s *Server) listen(addr netip.AddrPort) (*listener, error) {
	pc, err := ListenUDP(addr)
	if err != nil {
		return nil, &transport.BindError{Addr: addr, Proto: transport.QUIC, Err: err}
	}
	bound := pc.LocalAddr().(*net.UDPAddr).AddrPort()
	l := &listener{addr: netip.AddrPortFrom(bound.Addr().Unmap(), bound.Port())}
	l.tr = &quic.Transport{Conn: pc, VerifySourceAddress: s.gate.Pressed, ConnContext: s.gate.Admit}
	if l.ln, err = l.tr.ListenEarly(tlsConfig(s.cfg.TLS), s.quicConfig()); err != nil {
		l.close()
		return nil, fmt.Errorf("listening over quic: %w", err)
	}
	return l, nil
}

// tlsConfig is cfg as DNS over QUIC wants it.
func tlsConfig(cfg *tls.Config) *tls.Config {
	c := cfg.Clone()
	c.NextProtos = []string{alpn}
	c.MinVersion = tls.VersionTLS13
	return c
}

// The credit that a client has from the start, and all that it ever gets: room for the largest query, and for a few of them
// on a connection.
const (
	streamWindow = 65535 + lengthLen + 1
	connWindow   = 4 * streamWindow
)

func (s *Server) quicConfig() *quic.Config {
	l := &s.cfg.Limits
	return &quic.Config{
		HandshakeIdleTimeout: l.HandshakeTimeout, MaxIdleTimeout: l.IdleTimeout,
		MaxIncomingStreams:         int64(l.MaxStreams),
		MaxIncomingUniStreams:      -1, // RFC 9250 §4.2 has no use for them
		InitialStreamReceiveWindow: streamWindow, MaxStreamReceiveWindow: streamWindow,
		InitialConnectionReceiveWindow: connWindow, MaxConnectionReceiveWindow: connWindow,
		Allow0RTT: true,
		// Answers are short: probing for larger packets costs more than it saves.
		DisablePathMTUDiscovery: true,
	}
}

// evictionSample is how many connections are looked at for an idle one: enough to find one that has been idle for long, and
// few enough to do it for each packet of a flood.
const evictionSample = 32

// evict closes a connection that has been idle for long, among some that the map's order picks at random.
func (s *Server) evict() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest *conn
	seen := 0
	for c := range s.conns {
		if c.open.Load() == 0 && (oldest == nil || c.lastActive.Load() < oldest.lastActive.Load()) {
			oldest = c
		}
		if seen++; seen == evictionSample {
			break
		}
	}
	if oldest == nil || s.stopping {
		return false
	}
	delete(s.conns, oldest)
	oldest.place.leave()
	s.evicted.Add(1)
	s.wg.Go(func() { oldest.close(codeNoError, "making room") })
	return true
}

// Addrs returns the addresses listened on, in the order of Config.Addrs.
func (s *Server) Addrs() []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.addr
	}
	return addrs
}

// Stats sums the counters.
func (s *Server) Stats() Stats {
	return Stats{
		Counts: s.seats.Counts(), ProtocolErrors: s.protocolErrors.Load(),
		Conns: transport.ConnStats{
			Open: uint64(s.gate.Limiter.Open()), Accepted: s.gate.Accepted.Load(), Refused: s.gate.Refused.Load(),
			Evicted: s.evicted.Load(), Handshakes: s.handshakes.Load(), Resumed: s.resumed.Load(),
		},
	}
}

// Serve answers until ctx ends, and then lets answers in flight finish within Config.Grace. It returns when every goroutine
// has ended.
func (s *Server) Serve(ctx context.Context) error {
	failed := make(chan error, len(s.listeners))
	for _, l := range s.listeners {
		s.wg.Go(func() { failed <- s.accept(ctx, l) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	if ctx.Err() != nil {
		err = nil
	}
	s.shutDown()
	return err
}

func (s *Server) accept(ctx context.Context, l *listener) error {
	for {
		qc, err := l.ln.Accept(ctx)
		if err != nil {
			return fmt.Errorf("accepting over quic: %w", err)
		}
		if c := s.newConn(qc, l); c != nil {
			s.wg.Go(c.serve)
		}
	}
}

// newConn registers a connection, unless its place was taken from it before it came this far, or the server is ending.
func (s *Server) newConn(qc *quic.Conn, l *listener) *conn {
	p := PlaceOf(qc)
	c := &conn{srv: s, qc: qc, place: p, local: l.addr}
	c.final.Store(-1)
	c.touch()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping || p == nil {
		qc.CloseWithError(codeNoError, "")
		return nil
	}
	s.conns[c] = struct{}{}
	return c
}

// admitPartial reports whether there is room for one more stream whose query has not come whole. Queries that come in one
// piece, as nearly all do, need no such room: half queries by the thousand do not keep them out.
func (s *Server) admitPartial() bool {
	if s.partial.Add(1) <= int64(s.cfg.Limits.MaxPartial) {
		return true
	}
	s.partial.Add(-1)
	return false
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// lingering is the time between the last answer and the end of its connection: enough for a few retransmissions on a near path.
const lingering = 100 * time.Millisecond

// shutDown waits for the streams that are being answered, and closes everything.
func (s *Server) shutDown() {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	select {
	case <-s.inFlight.drain():
	case <-time.After(s.cfg.Grace):
	}
	// Closing a connection throws away what its own goroutine has not sent yet, and nothing tells when it has.
	time.Sleep(min(lingering, s.cfg.Grace))
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.close(codeNoError, "server is shutting down")
	}
	s.closeAll()
	s.wg.Wait()
}

// Close gives up what Listen bound, where Serve was not called.
func (s *Server) Close() { s.closeAll() }

func (s *Server) closeAll() {
	for _, l := range s.listeners {
		l.close()
	}
}

// inFlight counts streams, so that the end can wait for a moment without any.
type inFlight struct {
	n        atomic.Int64
	draining atomic.Bool
	once     sync.Once
	zero     chan struct{}
}

func (f *inFlight) done() {
	if f.n.Add(-1) == 0 && f.draining.Load() {
		f.once.Do(func() { close(f.zero) })
	}
}

// drain returns a channel that is closed when nothing is in flight.
func (f *inFlight) drain() <-chan struct{} {
	f.draining.Store(true)
	if f.n.Load() == 0 {
		f.once.Do(func() { close(f.zero) })
	}
	return f.zero
}
