package iterator

import (
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/resolver/cache"
)

// Config says how an Iterator works. Its zero value needs Env only.
type Config struct {
	Env    Env
	Begin  BeginFunc      // nil: every exchange that may take too long has a goroutine of its own
	Cache  *cache.Records // nil: 16 MiB of its own
	Hints  []Hint         // nil: the root servers of the Internet
	Limits Limits

	UpstreamPort         uint16         // 0: 53
	NoIPv4, NoIPv6       bool           // do not ask servers of that family
	AllowLoopbackServers bool           // 127.0.0.0/8 and ::1 may be name servers
	NAT64                netip.Prefix   // servers with IPv4 addresses are asked through this translator (RFC 6052)
	NoRandomCase         bool           // names are asked for in the case that the client gave, without 0x20
	NeverAsk             []netip.Prefix // no server in these is asked
	NoMinimise           bool           // send whole names to every server (RFC 9156 off)
	UDPSize              uint16         // EDNS payload size offered upstream; 0: 1232
	Tell                 []dns.Name     // zones whose servers are told of Options.Subnet (RFC 7871)

	// Local answers for a name without asking, before the cache is looked at:
	// hosts file, special-use names. It sees the targets of aliases too. A nil
	// answer means that the name is not local.
	Local func(dns.Question) *Answer

	// Link is told when our own link seems to be down, and when somebody was heard
	// again. It must be quick; nil tells nobody.
	Link func(isDown bool)

	// Tracer sees every step of every look-up. It must be quick.
	Tracer Tracer
}

// Limits is the work budget of one client's question, and what is taken from
// one reply. A zero field has the default in its comment; reference values of
// other resolvers are in brackets (U Unbound, K Knot, P PowerDNS, B BIND).
type Limits struct {
	Queries       int           // 200 packets sent upstream, TCP and repeats included [U 200, P 50, B 200]
	ZoneQueries   int           // 20 packets for one step in one zone [U 32, B 50 per fetch]
	Bytes         int           // 100,000 octets received [P 100,000]
	Aliases       int           // 11 CNAMEs and DNAMEs followed [U 11, K 13, P 10, B 11]
	Depth         int           // 8 look-ups within look-ups [B 7, P 16]
	Referrals     int           // 30 referrals and minimised steps in one walk down [U 130, sdns 30]
	NSLookups     int           // 16 look-ups of addresses of name servers [U 64, K 5, P 10]
	ZoneNSLookups int           // 5 of them for one step in one zone [U 16, K 5]
	NameServers   int           // 13 name servers of one zone [P 13, B 13, U 20]
	Addresses     int           // 6 addresses of one name server [B 6]
	Time          time.Duration // 7 s [P 7, K 10, B 10]

	Signatures     int // 100 checks of signatures (CVE-2023-50387)
	Rounds         int // 20,000 rounds of SHA-1 for NSEC3 (CVE-2023-50868)
	ProofQuestions int // 100 questions for DS and DNSKEY sets, whoever knows them

	RRsetRecords int // 256 records of a cached RRset; a larger one is passed on only [P 256, B 100]
	RRsetBytes   int // 8192 octets of a cached RRset [P 8192]

	MaxTTL         time.Duration // 24 h for answers and delegations
	MaxNegativeTTL time.Duration // 1 h for NXDOMAIN and NODATA (RFC 2308 §5 suggests 1 to 3 hours)
	FailureTTL     time.Duration // 5 s for the first failure, doubled for each in succession (RFC 9520 §3.2)
	MaxFailureTTL  time.Duration // 5 min (RFC 9520 §3.2: MUST NOT exceed 5 minutes)
}

func orDefault[T int | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// WithDefaults returns l with its zero fields filled in.
func (l Limits) WithDefaults() Limits {
	orDefault(&l.Queries, 200)
	orDefault(&l.ZoneQueries, 20)
	orDefault(&l.Bytes, 100_000)
	orDefault(&l.Aliases, 11)
	orDefault(&l.Depth, 8)
	orDefault(&l.Referrals, 30)
	orDefault(&l.NSLookups, 16)
	orDefault(&l.ZoneNSLookups, 5)
	orDefault(&l.NameServers, 13)
	orDefault(&l.Addresses, 6)
	orDefault(&l.Time, 7*time.Second)
	orDefault(&l.Signatures, 100)
	orDefault(&l.Rounds, 20_000)
	orDefault(&l.ProofQuestions, 100)
	orDefault(&l.RRsetRecords, 256)
	orDefault(&l.RRsetBytes, 8192)
	orDefault(&l.MaxTTL, 24*time.Hour)
	orDefault(&l.MaxNegativeTTL, time.Hour)
	orDefault(&l.FailureTTL, 5*time.Second)
	orDefault(&l.MaxFailureTTL, 5*time.Minute)
	return l
}

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	if c.Cache == nil {
		c.Cache = cache.NewRecords(16 << 20)
	}
	if c.Hints == nil {
		c.Hints = RootHints()
	}
	if c.UpstreamPort == 0 {
		c.UpstreamPort = 53
	}
	if c.UDPSize == 0 {
		c.UDPSize = 1232 // RFC 9715 §3.2: no fragments
	}
	if c.Link == nil {
		c.Link = func(bool) {}
	}
	c.Limits = c.Limits.WithDefaults()
	return c
}
