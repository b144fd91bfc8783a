package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"onoma/console"
	"onoma/dns"
	"onoma/inspect"
	"onoma/resolver"
	"onoma/transport"
)

// DefaultDir is where people keep their lab, below where they work.
const DefaultDir = ".lab"

// Config says where a lab runs. Dir must be set.
type Config struct {
	Dir   string // zone files, root.hints and lab.json; made if missing
	Port  uint16 // of all servers; 0: 53, or 5300 where that is not to be had
	Octet byte   // the lab is in 127.Octet.0.0/16; 0: 53
	Log   *slog.Logger

	wall func() time.Time // the clock that signatures go by; nil: the system's
	hold time.Duration    // before a first DS that nobody vouches for is taken; 0: 20 s
}

// Lab is a running DNS. End it with Close, or by the context given to Start.
type Lab struct {
	dir       string
	block     block
	port      uint16
	log       *slog.Logger
	hub       *hub
	operators []*operator
	network   *inspect.Network
	resolver  *resolver.Resolver
	servers   []*transport.Server
	page      *http.Server
	pageAt    net.Listener
	lock      *os.File
	signing   *signing
	hold      time.Duration // see Config

	change sync.Mutex // serialises changes of zones and of lab.json

	ctx  context.Context // of everything that runs
	stop context.CancelCauseFunc
	wg   sync.WaitGroup
	once sync.Once
	end  error // of Close
}

var errClosed = errors.New("the lab was closed")

// Start brings the lab up and returns when all of it has answered. It runs until
// ctx ends or Close is called.
func Start(ctx context.Context, cfg Config) (*Lab, error) {
	l := &Lab{block: block(cfg.Octet), log: cfg.Log, hub: newHub(), hold: cmp.Or(cfg.hold, 20*time.Second)}
	if l.block == 0 {
		l.block = standardBlock
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	l.ctx, l.stop = context.WithCancelCause(ctx)
	if err := l.start(cfg); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) start(cfg Config) error {
	if err := l.openDir(cfg.Dir); err != nil {
		return err
	}
	for _, p := range plan() {
		l.operators = append(l.operators, newOperator(l, p))
	}
	if err := l.listen(cfg.Port); err != nil {
		return err
	}
	if err := l.openSigning(l.ctx, cfg.wall); err != nil {
		return err
	}
	l.wg.Go(func() { l.ended(l.signing.pipe.Run(l.ctx)) })
	if err := l.begin(l.ctx); err != nil {
		return err
	}
	if cfg.wall == nil { // the resolver goes by the system's clock
		l.resolver.Trust(l.anchors())
	}
	debug.FreeOSMemory() // to sign the root takes more than to keep it
	l.serve()
	if err := l.signing.unsign(l.ctx); err != nil {
		l.log.Warn("zones are signed that are listed as unsigned", "error", err)
	}
	if err := l.check(l.ctx); err != nil {
		return fmt.Errorf("checking the lab: %w", err)
	}
	return l.writeState()
}

// openDir makes the directory this lab's alone, and fills it.
func (l *Lab) openDir(dir string) (err error) {
	if l.dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("finding the lab's directory: %w", err)
	}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return fmt.Errorf("making the lab's directory: %w", err)
	}
	l.lock, err = os.OpenFile(filepath.Join(l.dir, "lab.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("locking the lab's directory: %w", err)
	}
	if err := syscall.Flock(int(l.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		l.lock.Close()
		l.lock = nil // so that the end of this one leaves the other's files alone
		return fmt.Errorf("another lab is running in %s", l.dir)
	}
	if err := l.removeState(); err != nil { // of a lab that was killed
		return err
	}
	if isNew, err := unpack(l.dir, l.block); err != nil {
		return err
	} else if isNew { // what was signed before was another lab's
		if err := os.RemoveAll(l.signingDir()); err != nil {
			return fmt.Errorf("removing the keys of a former lab: %w", err)
		}
	}
	return writeFile(l.hintsFile(), rootHints(l.block))
}

func (l *Lab) hintsFile() string { return filepath.Join(l.dir, "root.hints") }

// The ports to try, in order. Where the first is not to be had without root's
// rights, the last is.
var (
	dnsPorts  = []uint16{53, 5300}
	pagePorts = []uint16{8053, 0}
)

// listen binds all addresses on one port, and the page.
func (l *Lab) listen(port uint16) error {
	ports := dnsPorts
	if port != 0 {
		ports = []uint16{port}
	}
	var err error
	for _, p := range ports {
		if err = l.bind(p); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("another lab or server is in the way: %w", err)
	}
	if l.port == 53 {
		return l.listenPage(append([]uint16{80}, pagePorts...))
	}
	return l.listenPage(pagePorts)
}

// bind listens on every server's address, or on none.
func (l *Lab) bind(port uint16) (err error) {
	l.port = port
	defer func() {
		if err != nil {
			l.unbind()
		}
	}()
	self, clients := l.block.addr(rootOctet, resolverHost), l.clients()
	for _, op := range l.operators {
		names := map[netip.Addr]string{}
		for i, a := range op.addrs {
			names[a] = op.servers[i].name + "."
		}
		t := &tap{next: op.auth, hub: l.hub, role: op.role, names: names, clients: clients, quiet: l.quiet()}
		if err := l.bindOne(t, op.addrs); err != nil {
			return err
		}
	}
	if err := l.newResolver(); err != nil {
		return err
	}
	return l.bindOne(&tap{next: l.resolver, hub: l.hub, role: console.RoleResolver, names: map[netip.Addr]string{self: "resolver"}}, []netip.Addr{self})
}

// clients are who in the lab asks servers of the lab.
func (l *Lab) clients() map[netip.Addr]console.Endpoint {
	clients := map[netip.Addr]console.Endpoint{}
	add := func(a netip.Addr, role, name string) {
		clients[a] = console.Endpoint{Role: role, Name: name, Address: a.String()}
	}
	add(l.block.addr(rootOctet, resolverHost), console.RoleResolver, "resolver")
	add(l.deskAt(), console.RoleTLD, "registry")
	for _, op := range l.operators {
		add(op.addrs[0], op.role, op.servers[0].name+".")
	}
	return clients
}

func (l *Lab) bindOne(h transport.Handler, addrs []netip.Addr) error {
	cfg := transport.Config{Handler: h, Log: l.log, Grace: time.Second, ReadBuffer: 1 << 18, WriteBuffer: 1 << 18}
	for _, a := range addrs {
		cfg.Addrs = append(cfg.Addrs, netip.AddrPortFrom(a, l.port))
	}
	s, err := transport.Listen(cfg)
	if err == nil {
		l.servers = append(l.servers, s)
	}
	return err
}

func (l *Lab) unbind() {
	for _, s := range l.servers {
		s.Close()
	}
	l.servers = nil
	if l.resolver != nil {
		l.resolver.Close()
		l.resolver = nil
	}
}

// loopback is as far as anything of the lab goes.
var loopback = netip.MustParsePrefix("127.0.0.0/8")

// newResolver makes the resolver that knows nothing but the lab's root servers.
func (l *Lab) newResolver() (err error) {
	l.network = &inspect.Network{Source: l.block.addr(rootOctet, resolverHost), Only: []netip.Prefix{loopback}}
	l.resolver, err = resolver.New(resolver.Config{
		Env: l.network, Allow: []netip.Prefix{loopback}, Hints: l.hints(),
		UpstreamPort: l.port, NoIPv6: true, AllowLoopbackServers: true,
		CacheSize: 12 << 20, Log: l.log,
	})
	return err
}

func (l *Lab) hints() []resolver.Hint {
	root := l.operators[0]
	hints := make([]resolver.Hint, len(root.servers))
	for i, s := range root.servers {
		hints[i] = resolver.Hint{Name: dns.MustName(s.name), Addrs: []netip.Addr{root.addrs[i]}}
	}
	return hints
}

// listenPage takes the first port of the page's address that is to be had.
func (l *Lab) listenPage(ports []uint16) (err error) {
	for _, p := range ports {
		l.pageAt, err = net.Listen("tcp4", netip.AddrPortFrom(l.block.addr(rootOctet, pageHost), p).String())
		if err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("listening for the page: %w", err)
	}
	l.page = &http.Server{
		Handler: console.New(l), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return l.ctx }, // so that event streams end
	}
	return nil
}

// serve runs everything that was bound. What ends by itself ends the lab.
func (l *Lab) serve() {
	for _, s := range l.servers {
		l.wg.Go(func() { l.stop(s.Serve(l.ctx)) })
	}
	l.signing.run()
	l.wg.Go(func() {
		err := l.page.Serve(l.pageAt)
		if !errors.Is(err, http.ErrServerClosed) {
			l.stop(err)
		}
	})
}

// ended takes notice of a part that has ended, which with an error ends the lab.
func (l *Lab) ended(err error) {
	if err != nil && l.ctx.Err() == nil {
		l.stop(err)
	}
}

// Wait returns when the lab has ended: nil, or the error that ended it.
func (l *Lab) Wait() error {
	<-l.ctx.Done()
	err := l.Close()
	if cause := context.Cause(l.ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, errClosed) {
		return errors.Join(cause, err)
	}
	return err
}

// Close ends everything, and returns when all of it has.
func (l *Lab) Close() error {
	l.once.Do(func() { l.end = l.close() })
	return l.end
}

func (l *Lab) close() error {
	l.stop(errClosed)
	err := l.removeState()
	if l.page != nil {
		err = errors.Join(err, l.page.Close())
		l.pageAt.Close()
	}
	l.wg.Wait()
	l.unbind()
	err = errors.Join(err, l.signing.close())
	if l.lock != nil {
		l.lock.Close() // which unlocks
	}
	return err
}

// Reload reads all zone files again. Files that have become wrong are an error
// each, and their last good version stays in service.
func (l *Lab) Reload() error {
	l.change.Lock()
	defer l.change.Unlock()
	var errs []error
	for _, op := range l.operators {
		errs = append(errs, op.reload(l.ctx))
	}
	l.resolver.FlushAll()
	l.saveState()
	return errors.Join(errs...)
}

// operatorNamed returns an operator by the name of its directory.
func (l *Lab) operatorNamed(name string) *operator {
	for _, op := range l.operators {
		if op.name == name {
			return op
		}
	}
	return nil
}

// operatorOf returns the operator that serves a TLD.
func (l *Lab) operatorOf(tld dns.Name) *operator {
	for _, op := range l.operators {
		if op.role == roleTLD && dns.MustName(op.name).Equal(tld) {
			return op
		}
	}
	return nil
}
