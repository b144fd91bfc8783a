package resolver

import (
	"log/slog"
	"math"
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
	"onoma/resolver/iterator"
	"onoma/resolver/upstream"
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
	Env   Env            // nil: the system's clock, randomness and network
	Allow []netip.Prefix // who may ask; nil: PrivateNetworks. An empty list allows nobody.

	Limit  ClientLimits // of what one client may cost
	Policy *Policy      // rules by which clients are answered otherwise; nil: none

	Anchors []dns.Record // DS and DNSKEY records that are trusted, as validator.RootAnchors; none: nothing is validated

	// AnchorFiles keep anchors that follow their zone's keys by themselves (RFC 5011):
	// one zone each. A file that is not there begins with what Anchors has of the
	// first of its zones; Anchors that it has not seen yet are trusted, too.
	AnchorFiles    []string
	NoAnchorSignal bool // do not tell these zones which of their keys are trusted (RFC 8145)

	// Insecure are negative trust anchors (RFC 7646), each with its end; the zero
	// time is none.
	Insecure map[dns.Name]time.Time
	// ExceptionFile keeps those that have an end, and are set while it runs, over
	// restarts; "": they are lost.
	ExceptionFile string

	// ReportErrors tells the agents that servers name of answers of theirs that do
	// not pass validation (RFC 9567).
	ReportErrors bool

	ClientSubnet ClientSubnet // which servers are told the networks of clients (RFC 7871); the zero value: none

	Routes []Route // where answers come from otherwise than by iteration; SetRoutes changes them

	Hints                []Hint          // nil: the root servers of the Internet
	UpstreamPort         uint16          // 0: 53
	Upstream             upstream.Config // of the network, where Env is nil
	NoIPv4, NoIPv6       bool            // do not ask servers of that family
	AllowLoopbackServers bool            // name servers may have loopback addresses, as in the lab
	NAT64                netip.Prefix    // servers with IPv4 addresses are asked through the translator of this prefix
	NeverAsk             []netip.Prefix  // networks in which no name server is asked
	NoRandomCase         bool            // no random case in names sent upstream (0x20)
	NoMinimise           bool            // send whole names to every server
	Limits               Limits

	CacheSize      int           // octets for all that is cached: a third for whole answers, the rest for records; 0: 96 MiB
	CacheFile      string        // what is cached is kept there from one start to the next; "": it is not
	CacheSaveEvery time.Duration // how often the file is written, besides at the end; 0: 15 min

	// An answer whose time is over is given, with EDE 3 or 19, where looking it up
	// fails or takes long (RFC 8767). Never one that did not pass validation, nor one
	// whose signatures have ended.
	NoStale        bool          // never
	StaleTTL       time.Duration // for how long after its time; 0: 24 h
	StaleTTLReset  bool          // or since it was last given because a look-up failed
	StaleReplyTTL  time.Duration // the TTL that it is given with; 0: 30 s
	StaleRecheck   time.Duration // for how long it is then given without asking; 0: 30 s
	StaleAfter     time.Duration // how long a client waits for it; 0: 1.8 s. Negative: it gets it at once.
	ClientDeadline time.Duration // how long one waits where there is none, before SERVFAIL; 0: 4.8 s, as most stubs ask again after 5. Negative: to the look-up's end.

	NoPrefetch  bool // answers that are asked for often are not renewed before their time is over
	MaxRenewals int  // look-ups at the same time that nobody waits for; 0: 64

	MaxInFlight int           // look-ups at the same time; 0: 2048
	MaxWaiters  int           // clients that wait for one of them; 0: 1000
	MaxWaiting  int           // clients that wait for any of them; 0: 16 for each of MaxInFlight [U 16]
	JostleAfter time.Duration // a look-up older than this gives way when there are too many; 0: 1 s
	UDPSize     uint16        // largest UDP answer, and what is offered upstream; 0: 1232 (RFC 9715)
	HostsFile   string        // answered from first, and read again when it changes; "": none
	HostsEvery  time.Duration // how often that is looked for; 0: 5 s
	NotSpecial  []dns.Name    // special-use names to be looked up like others
	ID          string        // answer to id.server CH TXT (RFC 4892); "": REFUSED
	InfoURL     string        // a page about this resolver, told to clients that ask (RFC 9606)
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
	if c.Allow == nil {
		c.Allow = PrivateNetworks()
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	orDefault(&c.CacheSize, 96<<20)
	orDefault(&c.CacheSaveEvery, 15*time.Minute)
	orDefault(&c.StaleTTL, 24*time.Hour)
	orDefault(&c.StaleReplyTTL, 30*time.Second)
	orDefault(&c.StaleRecheck, 30*time.Second)
	orDefault(&c.StaleAfter, 1800*time.Millisecond)
	orDefault(&c.ClientDeadline, 4800*time.Millisecond)
	orDefault(&c.MaxRenewals, 64)
	orDefault(&c.MaxInFlight, 2048)
	orDefault(&c.MaxWaiters, 1000)
	orDefault(&c.MaxWaiting, 16*c.MaxInFlight)
	orDefault(&c.JostleAfter, time.Second)
	orDefault(&c.UDPSize, 1232)
	orDefault(&c.HostsEvery, 5*time.Second)
	c.Limits = c.Limits.WithDefaults()
	return c
}

// stale is the cache's part of what is said of stale answers.
func (c *Config) stale() cache.Stale {
	if c.NoStale {
		return cache.Stale{}
	}
	return cache.Stale{For: seconds(c.StaleTTL), TTL: seconds(c.StaleReplyTTL), Recheck: seconds(c.StaleRecheck)}
}

func seconds(d time.Duration) uint32 { return uint32(min(d/time.Second, math.MaxInt32)) }
