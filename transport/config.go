package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"
)

// Config says what to listen on and for whom. Zero values of limits and sizes mean the defaults named.
type Config struct {
	Handler Handler
	Addrs   []netip.AddrPort // UDP and TCP on each; port 0 picks one that is free for both

	// Threads is the number of UDP loops for each address, each with a socket of its own where the system spreads packets
	// over sockets (Linux, SO_REUSEPORT), else on one socket. 0 means 1.
	Threads int
	// Pin ties each loop to a CPU and an operating system thread that blocks in the socket: for machines that do nothing
	// else. Unpinned loops share the threads of the Go scheduler.
	Pin bool

	// NoTriage treats all UDP clients alike also when more comes in than can be answered. Otherwise known clients go first then,
	// and those that Vouch vouches for, if it is given (Linux).
	NoTriage bool
	Vouch    Vouch

	ReadBuffer  int // bytes of socket buffer, each UDP socket: 1 MiB
	WriteBuffer int // likewise
	DSCP        int // code point that all packets are sent with (RFC 2474), 0 to 63; 0: as the system has it
	TCP         TCPLimits

	TLSAddrs  []netip.AddrPort // DNS over TLS on each (RFC 7858)
	TLSConfig *tls.Config      // the certificates; versions, ALPN and tickets are seen to here
	TLS       TCPLimits        // of TLS connections, which are counted apart from TCP's

	// Inherited returns a socket that is bound to an address already, as a service manager hands it over, and that becomes the
	// server's; nil: there is none, and one is opened. All threads share such a UDP socket; they are not pinned then, and with
	// several there is no triage.
	Inherited func(Proto, netip.AddrPort) *os.File

	ProxyFrom Proxies // who may, and has to, say for whom it asks

	Grace time.Duration // how long Serve lets answers in flight finish when its context ends: 5 s
	Log   *slog.Logger  // nil: discard

	plain bool // the portable UDP loop also where there is a better one (tests)
	now   func() time.Time
}

// TCPLimits bound what TCP clients may hold.
type TCPLimits struct {
	MaxConns          int           // open at once: 2000
	MaxConnsPerClient int           // for one IPv4 address or one IPv6 /64: 200
	IdleTimeout       time.Duration // between messages (RFC 7766 §6.2.3): 10 s
	HandshakeTimeout  time.Duration // from accepting to the end of the TLS handshake: 5 s
	MessageTimeout    time.Duration // from a message's first byte to its last: 5 s
	WriteTimeout      time.Duration // for a client to take what was written: 5 s
	MaxPipelined      int           // detached queries in flight on one connection: 64
	MaxMessage        int           // length of a query: 65535
}

func (c Config) withDefaults() Config {
	orInt(&c.Threads, 1)
	orInt(&c.ReadBuffer, 1<<20)
	orInt(&c.WriteBuffer, 1<<20)
	c.TCP.setDefaults()
	c.TLS.setDefaults()
	orDuration(&c.Grace, 5*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

func (l *TCPLimits) setDefaults() {
	orInt(&l.MaxConns, 2000)
	orInt(&l.MaxConnsPerClient, 200)
	orInt(&l.MaxPipelined, 64)
	orInt(&l.MaxMessage, MaxMessage)
	orDuration(&l.IdleTimeout, 10*time.Second)
	orDuration(&l.HandshakeTimeout, 5*time.Second)
	orDuration(&l.MessageTimeout, 5*time.Second)
	orDuration(&l.WriteTimeout, 5*time.Second)
}

func orInt(v *int, def int) {
	if *v == 0 {
		*v = def
	}
}

func orDuration(v *time.Duration, def time.Duration) {
	if *v == 0 {
		*v = def
	}
}

// check refuses what cannot be meant.
func (c *Config) check() error {
	switch {
	case c.Handler == nil:
		return errors.New("listening: no handler is given")
	case len(c.Addrs)+len(c.TLSAddrs) == 0:
		return errors.New("listening: no address is given")
	case len(c.TLSAddrs) > 0 && c.TLSConfig == nil:
		return errors.New("listening: TLS needs a certificate")
	case c.Threads < 0 || c.Threads > maxThreads:
		return fmt.Errorf("listening: %d threads are wanted, 1 to %d are possible", c.Threads, maxThreads)
	case c.Pin && !canPin:
		return errors.New("listening: threads can be pinned to CPUs only on Linux")
	}
	if c.DSCP < 0 || c.DSCP > maxDSCP {
		return fmt.Errorf("listening: DSCP %d is wanted, 0 to %d are possible", c.DSCP, maxDSCP)
	}
	if err := errors.Join(c.TCP.check(TCP), c.TLS.check(TLS)); err != nil {
		return err
	}
	return checkAddrs(append(c.Addrs[:len(c.Addrs):len(c.Addrs)], c.TLSAddrs...))
}

func (l *TCPLimits) check(p Proto) error {
	switch {
	case l.MaxMessage < headerLen || l.MaxMessage > MaxMessage:
		return fmt.Errorf("listening over %v: messages of up to %d bytes are wanted, %d to %d are possible", p, l.MaxMessage, headerLen, MaxMessage)
	case l.MaxConns < 0 || l.MaxConnsPerClient < 0 || l.MaxPipelined < 0:
		return fmt.Errorf("listening over %v: a limit on connections or queries is negative", p)
	}
	return nil
}

// checkAddrs refuses what is no address, or is there twice: TLS cannot share a port with TCP.
func checkAddrs(addrs []netip.AddrPort) error {
	seen := make(map[netip.AddrPort]bool)
	for _, a := range addrs {
		if !a.Addr().IsValid() {
			return fmt.Errorf("listening: %v is not an address", a)
		}
		if a.Port() != 0 && seen[a] {
			return fmt.Errorf("listening on %v: the address is given twice", a)
		}
		seen[a] = true
	}
	return nil
}

// maxThreads is far beyond any machine; it keeps a typing error from opening a million sockets.
const maxThreads = 1024
