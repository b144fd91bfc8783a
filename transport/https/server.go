package https

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	quicgo "github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"onoma/transport"
	"onoma/transport/quic"
)

// DefaultPath is where DNS is asked for unless an endpoint says otherwise (RFC 8484 §4.1.1 uses it in its examples).
const DefaultPath = "/dns-query"

// Endpoint is an address, for TCP and UDP, and the path on it.
type Endpoint struct {
	Addr netip.AddrPort
	Path string // "": DefaultPath
}

// Config says what to listen on and for whom. Zero values of limits mean the defaults named.
type Config struct {
	Handler   transport.Handler
	Endpoints []Endpoint
	TLS       *tls.Config // the certificates; versions, ALPN and tickets are seen to here
	Limits    Limits
	ProxyFrom transport.Proxies // who may, and over TCP has to, say for whom it asks, before the TLS handshake
	Grace     time.Duration     // how long Serve lets requests finish when its context ends: 5 s
	Log       *slog.Logger      // nil: discard
}

// Limits bound what clients may hold, TCP and QUIC apart.
type Limits struct {
	MaxConns          int           // open at once: 2000
	MaxConnsPerClient int           // for one IPv4 address or one IPv6 /64: 200
	MaxStreams        int           // requests of one connection in flight: 100
	RetryAbove        int           // QUIC handshakes open at once, beyond which addresses are validated first: 64
	MaxHeader         int           // bytes of a request's header, and with it of a GET's query: 16 KiB
	HeaderTimeout     time.Duration // for the TLS handshake, and for a request's header: 5 s
	BodyTimeout       time.Duration // for a request's body: 5 s
	WriteTimeout      time.Duration // from the end of the header to the end of the response: 15 s
	IdleTimeout       time.Duration // between requests: 30 s
}

func (c Config) withDefaults() Config {
	l := &c.Limits
	for _, d := range []struct {
		v   *int
		def int
	}{{&l.MaxConns, 2000}, {&l.MaxConnsPerClient, 200}, {&l.MaxStreams, 100}, {&l.RetryAbove, 64}, {&l.MaxHeader, 16 << 10}} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&l.HeaderTimeout, 5 * time.Second}, {&l.BodyTimeout, 5 * time.Second}, {&l.WriteTimeout, 15 * time.Second},
		{&l.IdleTimeout, 30 * time.Second}, {&c.Grace, 5 * time.Second},
	} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	c.Endpoints = append([]Endpoint(nil), c.Endpoints...)
	for i := range c.Endpoints {
		if c.Endpoints[i].Path == "" {
			c.Endpoints[i].Path = DefaultPath
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c *Config) check() error {
	switch {
	case c.Handler == nil:
		return errors.New("listening over https: no handler is given")
	case len(c.Endpoints) == 0:
		return errors.New("listening over https: no address is given")
	case c.TLS == nil:
		return errors.New("listening over https: no certificate is given")
	}
	for _, e := range c.Endpoints {
		if !strings.HasPrefix(e.Path, "/") || strings.ContainsAny(e.Path, "?#{}") {
			return fmt.Errorf("listening over https: %q is not a path, as in %s", e.Path, DefaultPath)
		}
	}
	return nil
}

// Stats is what was done since the server was made.
type Stats struct {
	transport.Counts
	Conns transport.ConnStats // of TCP and QUIC together
}

// Server is a set of endpoints.
type Server struct {
	cfg   Config
	seats *transport.Seats
	tcp   *transport.Limiter
	gate  quic.Gate
	doors []*bound

	accepted, refused atomic.Uint64
}

// bound is one endpoint with its sockets.
type bound struct {
	addr     netip.AddrPort
	listener net.Listener
	tr       *quicgo.Transport
	ln       *quicgo.EarlyListener
	web      *http.Server
	web3     *http3.Server
}

func (b *bound) close() {
	if b.listener != nil {
		b.listener.Close()
	}
	if b.ln != nil {
		b.ln.Close()
	}
	if b.tr != nil {
		b.tr.Close()
		b.tr.Conn.Close()
	}
}

// Listen binds all addresses, or none.
func Listen(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, seats: transport.NewSeats(cfg.Handler, cfg.Log),
		tcp: transport.NewLimiter(cfg.Limits.MaxConns, cfg.Limits.MaxConnsPerClient),
	}
	s.gate.Limiter = transport.NewLimiter(cfg.Limits.MaxConns, cfg.Limits.MaxConnsPerClient)
	s.gate.RetryAbove = cfg.Limits.RetryAbove
	for _, e := range cfg.Endpoints {
		b, err := s.bind(e)
		if err != nil {
			s.closeAll()
			return nil, err
		}
		s.doors = append(s.doors, b)
	}
	return s, nil
}

// portTries bounds the search for a port that is free for UDP and TCP alike.
const portTries = 100

func (s *Server) bind(e Endpoint) (*bound, error) {
	for try := 1; ; try++ {
		b, err := s.bindOnce(e)
		if err == nil || e.Addr.Port() != 0 || try == portTries || !errors.Is(err, syscall.EADDRINUSE) {
			return b, err
		}
	}
}

func (s *Server) bindOnce(e Endpoint) (*bound, error) {
	version := "6"
	if e.Addr.Addr().Unmap().Is4() {
		version = "4"
	}
	lc := net.ListenConfig{KeepAlive: -1}
	l, err := lc.Listen(context.Background(), "tcp"+version, e.Addr.String())
	if err != nil {
		return nil, &transport.BindError{Addr: e.Addr, Proto: transport.HTTPS, Err: err}
	}
	b := &bound{addr: unmapped(l.Addr().(*net.TCPAddr).AddrPort())}
	b.listener = &listener{Listener: l, srv: s}
	pc, err := quic.ListenUDP(b.addr)
	if err != nil {
		b.close()
		return nil, &transport.BindError{Addr: b.addr, Proto: transport.HTTPS, Err: err}
	}
	b.tr = &quicgo.Transport{Conn: pc, VerifySourceAddress: s.gate.Pressed, ConnContext: s.gate.Admit}
	s.open(b, e.Path)
	if b.ln, err = b.tr.ListenEarly(http3.ConfigureTLSConfig(s.tlsConfig()), b.web3.QUICConfig); err != nil {
		b.close()
		return nil, fmt.Errorf("listening over https: %w", err)
	}
	return b, nil
}

func (s *Server) tlsConfig() *tls.Config {
	c := s.cfg.TLS.Clone()
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12) // RFC 9113 §9.2
	return c
}

// The credit that a client of HTTP/2 or HTTP/3 has: for the largest query, and for a few of them on a connection.
const (
	streamWindow = 80 << 10
	connWindow   = 4 * streamWindow
)

// open makes the HTTP servers of an endpoint.
func (s *Server) open(b *bound, path string) {
	l := &s.cfg.Limits
	d := &door{srv: s, path: path, local: b.addr, altSvc: fmt.Sprintf(`h3=":%d"; ma=86400`, b.addr.Port())}
	b.web = &http.Server{
		Handler: d, TLSConfig: s.tlsConfig(), ErrorLog: log.New(io.Discard, "", 0), MaxHeaderBytes: l.MaxHeader,
		ReadHeaderTimeout: l.HeaderTimeout, ReadTimeout: l.HeaderTimeout + l.BodyTimeout,
		WriteTimeout: l.WriteTimeout, IdleTimeout: l.IdleTimeout,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: l.MaxStreams, MaxReceiveBufferPerStream: streamWindow, MaxReceiveBufferPerConnection: connWindow,
		},
	}
	b.web.TLSConfig.NextProtos = append([]string{"h2", "http/1.1"}, s.cfg.TLS.NextProtos...)
	b.web3 = &http3.Server{
		Handler: d, MaxHeaderBytes: l.MaxHeader, IdleTimeout: l.IdleTimeout,
		ConnContext: func(ctx context.Context, qc *quicgo.Conn) context.Context {
			if p := quic.PlaceOf(qc); p != nil {
				p.SettleWith(qc)
			}
			return ctx
		},
		QUICConfig: &quicgo.Config{
			HandshakeIdleTimeout: l.HeaderTimeout, MaxIdleTimeout: l.IdleTimeout,
			MaxIncomingStreams: int64(l.MaxStreams), MaxIncomingUniStreams: 8, // control and QPACK (RFC 9114 §6.2)
			InitialStreamReceiveWindow: streamWindow, MaxStreamReceiveWindow: streamWindow,
			InitialConnectionReceiveWindow: connWindow, MaxConnectionReceiveWindow: connWindow,
			// No 0-RTT: an UPDATE could be replayed, and RFC 8470 §5.2 would have all of them answered with 425.
			DisablePathMTUDiscovery: true,
		},
	}
}

// Addrs returns the addresses listened on, in the order of Config.Endpoints.
func (s *Server) Addrs() []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(s.doors))
	for i, b := range s.doors {
		addrs[i] = b.addr
	}
	return addrs
}

// Stats sums the counters.
func (s *Server) Stats() Stats {
	return Stats{Counts: s.seats.Counts(), Conns: transport.ConnStats{
		Open:     uint64(s.tcp.Open() + s.gate.Limiter.Open()),
		Accepted: s.accepted.Load() + s.gate.Accepted.Load(), Refused: s.refused.Load() + s.gate.Refused.Load(),
	}}
}

// Serve answers until ctx ends, and then lets requests finish within Config.Grace.
func (s *Server) Serve(ctx context.Context) error {
	failed := make(chan error, 2*len(s.doors))
	var wg sync.WaitGroup
	for _, b := range s.doors {
		wg.Go(func() { failed <- b.web.ServeTLS(b.listener, "", "") })
		wg.Go(func() { failed <- b.web3.ServeListener(b.ln) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("serving https: %w", err)
	}
	s.shutDown(ctx)
	wg.Wait()
	return err
}

func (s *Server) shutDown(ctx context.Context) {
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Grace)
	defer cancel()
	var wg sync.WaitGroup
	for _, b := range s.doors {
		wg.Go(func() {
			if b.web.Shutdown(grace) != nil {
				b.web.Close()
			}
		})
		wg.Go(func() {
			if b.web3.Shutdown(grace) != nil {
				b.web3.Close()
			}
		})
	}
	wg.Wait()
	s.closeAll()
}

// Close gives up what Listen bound, where Serve was not called.
func (s *Server) Close() { s.closeAll() }

func (s *Server) closeAll() {
	for _, b := range s.doors {
		b.close()
	}
}
