package transport

import (
	"context"
	"net/netip"
	"sync"
)

// Server is a set of bound sockets and the loops that serve them.
type Server struct {
	cfg      Config
	addrs    []netip.AddrPort
	socks    []udpSocket
	loops    []*udpLoop
	controls []*triageControl
	tcp      *tcpServer
	tls      *tcpServer // without listeners where there is no TLS
	late     *inflight  // detached UDP queries
	log      *logLimit

	mu      sync.Mutex
	started bool
	ending  bool
	err     error // why a loop ended before it was told to

	wg       sync.WaitGroup // UDP loops and accept loops
	stopping chan struct{}  // closed when Shutdown begins
	force    chan struct{}  // closed when waiting is over
	forced   sync.Once
	finished chan struct{} // closed when every socket is closed and every goroutine gone
}

// Listen binds all addresses, or none: then the error says which one failed and what to do.
func Listen(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, late: newInflight(), log: newLogLimit(cfg.Log, cfg.now),
		stopping: make(chan struct{}), force: make(chan struct{}), finished: make(chan struct{}),
	}
	s.tcp = newTCPServer(TCP, &s.cfg, s.log)
	s.tls = newTCPServer(TLS, &s.cfg, s.log)
	for _, a := range cfg.Addrs {
		b, err := bind(a, &s.cfg)
		if err != nil {
			s.closeSockets()
			return nil, err
		}
		s.adopt(b)
	}
	if err := s.listenTLS(); err != nil {
		s.closeSockets()
		return nil, err
	}
	return s, nil
}

func (s *Server) listenTLS() error {
	for _, a := range s.cfg.TLSAddrs {
		l, err := listenTCP(a, TLS, &s.cfg)
		if err != nil {
			return &BindError{a, TLS, err}
		}
		s.tls.listeners = append(s.tls.listeners, l)
	}
	return nil
}

func (s *Server) adopt(b *bound) {
	s.addrs = append(s.addrs, b.addr)
	s.tcp.listeners = append(s.tcp.listeners, b.listener)
	s.socks = append(s.socks, b.socks...)
	for _, sock := range b.socks {
		if c := sock.watcher(s.log); c != nil {
			s.controls = append(s.controls, c)
		}
	}
	for i := range s.cfg.Threads {
		sock := b.socks[i%len(b.socks)]
		sock.countIn(s.late)
		s.loops = append(s.loops, &udpLoop{sock: sock, thread: i})
	}
}

// Addrs returns the addresses listened on, in the order of Config.Addrs, with the ports that were chosen for port 0.
func (s *Server) Addrs() []netip.AddrPort { return append([]netip.AddrPort(nil), s.addrs...) }

// TLSAddrs returns the addresses listened on for DNS over TLS, in the order of Config.TLSAddrs.
func (s *Server) TLSAddrs() []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(s.tls.listeners))
	for i, l := range s.tls.listeners {
		addrs[i] = addrPort(l.Addr())
	}
	return addrs
}

// Serve answers until ctx ends, and then shuts down within Config.Grace, or until Shutdown or Close are called. It returns
// when every goroutine of the server has ended: nil, or the error that ended a loop, or ErrClosed where there was nothing
// left to serve.
func (s *Server) Serve(ctx context.Context) error {
	if !s.start() {
		return ErrClosed
	}
	select {
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Grace)
		defer cancel()
		s.Shutdown(grace)
	case <-s.stopping:
	}
	<-s.finished
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// start begins all loops, once.
func (s *Server) start() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.ending {
		return false
	}
	s.started = true
	if s.cfg.Pin {
		AddProcessors(len(s.loops))
	}
	for _, l := range s.loops {
		s.wg.Go(func() { s.failed(l.run(s.cfg.Handler, s.log)) })
	}
	s.wg.Go(func() { watch(s.controls, s.stopping) })
	for _, t := range []*tcpServer{s.tcp, s.tls} {
		for _, l := range t.listeners {
			s.wg.Go(func() { s.failed(t.accept(l, s.stopping)) })
		}
	}
	return true
}

// failed ends the server when a loop cannot go on: half a server that looks alive is worse than one that is restarted.
func (s *Server) failed(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	go s.Close()
}

// Shutdown stops reading, waits until answers in flight are sent or ctx ends, and closes everything. The error is ctx's if
// it cut something off.
func (s *Server) Shutdown(ctx context.Context) error {
	s.begin()
	select {
	case <-s.finished:
		return nil
	case <-ctx.Done():
		s.forced.Do(func() { close(s.force) })
		<-s.finished
		return ctx.Err()
	}
}

// Close is Shutdown without waiting for detached queries. A Worker that is answering finishes its answer.
func (s *Server) Close() error {
	s.forced.Do(func() { close(s.force) })
	s.begin()
	<-s.finished
	return nil
}

// begin starts the tear-down, once.
func (s *Server) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return
	}
	s.ending = true
	close(s.stopping)
	go s.tearDown()
}

func (s *Server) tearDown() {
	defer close(s.finished)
	s.tcp.stopAccepting()
	s.tls.stopAccepting()
	for _, sock := range s.socks {
		sock.stop()
	}
	s.wg.Wait()
	if s.cfg.Pin && s.started {
		AddProcessors(-len(s.loops))
	}
	s.tcp.drain()
	s.tls.drain()
	s.wait(s.late.drain())
	s.wait(s.tcp.drained())
	s.wait(s.tls.drained())
	s.tcp.cut()
	s.tls.cut()
	s.closeSockets()
}

// wait returns when done is closed or patience is at its end.
func (s *Server) wait(done <-chan struct{}) {
	select {
	case <-done:
	case <-s.force:
	}
}

func (s *Server) closeSockets() {
	s.tcp.stopAccepting()
	s.tls.stopAccepting()
	for _, sock := range s.socks {
		sock.close()
	}
}
