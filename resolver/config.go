package resolver

import (
	"log/slog"
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/resolver/iterator"
)

// The parts of the iterator that a user of this package meets.
type (
	Env     = iterator.Env
	Target  = iterator.Target
	Hint    = iterator.Hint
	Limits  = iterator.Limits
	Tracer  = iterator.Tracer
	Event   = iterator.Event
	Cost    = iterator.Cost
	Route   = iterator.Route
	Failure = iterator.Failure
)

// Config says how a Resolver works. The zero value is a resolver of the Internet
// for loopback and private networks.
type Config struct {
	Env   Env            // nil: the system's clock, randomness and sockets
	Allow []netip.Prefix // who may ask; nil: PrivateNetworks. An empty list allows nobody.

	Anchors []dns.Record // DS and DNSKEY records that are trusted, as validator.RootAnchors; none: nothing is validated

	// Insecure are negative trust anchors (RFC 7646), each with its end; the zero
	// time is none.
	Insecure map[dns.Name]time.Time

	Routes []Route // where answers come from otherwise than by iteration; SetRoutes changes them

	Hints                []Hint // nil: the root servers of the Internet
	UpstreamPort         uint16 // 0: 53
	Source4, Source6     netip.Addr
	NoIPv4, NoIPv6       bool // do not ask servers of that family
	AllowLoopbackServers bool // name servers may have loopback addresses, as in the lab
	RandomCase           bool // random case in names sent upstream (0x20)
	NoMinimise           bool // send whole names to every server
	Limits               Limits

	MessageCacheSize int // octets for whole answers; 0: 32 MiB
	RecordCacheSize  int // octets for RRsets, delegations and negative answers; 0: 64 MiB

	MaxInFlight int           // look-ups at the same time; 0: 2048
	MaxWaiters  int           // clients that wait for one of them; 0: 1000
	JostleAfter time.Duration // a look-up older than this gives way when there are too many; 0: 1 s
	UDPSize     uint16        // largest UDP answer, and what is offered upstream; 0: 1232 (RFC 9715)
	HostsFile   string        // answered from first, and read again when it changes; "": none
	HostsEvery  time.Duration // how often that is looked for; 0: 5 s
	NotSpecial  []dns.Name    // special-use names to be looked up like others
	ID          string        // answer to id.server CH TXT (RFC 4892); "": REFUSED
	Version     string        // answer to version.bind and version.server CH TXT; "": REFUSED
	Tracer      Tracer        // told of every step of every look-up
	Log         *slog.Logger  // nil: slog's default
}

// PrivateNetworks are loopback and the networks that the Internet does not
// route (RFC 1918, 3927, 4193, 4291 §2.5.6, 6598).
func PrivateNetworks() []netip.Prefix {
	var list []netip.Prefix
	for _, p := range []string{
		"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10",
		"::1/128", "fc00::/7", "fe80::/10",
	} {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}

func orDefault[T int | uint16 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

func (c Config) withDefaults() Config {
	if c.Env == nil {
		c.Env = newSystem(c.Source4, c.Source6)
	}
	if c.Allow == nil {
		c.Allow = PrivateNetworks()
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	orDefault(&c.MessageCacheSize, 32<<20)
	orDefault(&c.RecordCacheSize, 64<<20)
	orDefault(&c.MaxInFlight, 2048)
	orDefault(&c.MaxWaiters, 1000)
	orDefault(&c.JostleAfter, time.Second)
	orDefault(&c.UDPSize, 1232)
	orDefault(&c.HostsEvery, 5*time.Second)
	c.Limits = c.Limits.WithDefaults()
	return c
}
