package secondary

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"onoma/authority"
	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// Zones is who keeps the zones and makes their versions: the pipeline.
type Zones interface {
	// Submit has changes made, all or none, and returns when they are served.
	Submit(ctx context.Context, changes ...zone.Change) ([]zone.Receipt, error)
	// Head returns the newest version of a zone and its number.
	Head(id zone.ID) (number uint64, v *zone.Version, ok bool)
	// Where zones are signed here, it is Authors too.
	// Zone returns what is served, so that it can be withdrawn; nil: unknown.
	Zone(id zone.ID) *zone.Zone
}

// Options say how a [Secondary] works. Zones must be set; the others have defaults.
type Options struct {
	Zones Zones
	// Keys are those that primaries and NOTIFY may name.
	Keys *authority.Keys
	// DialQUIC connects to a primary by QUIC (transport/quic does); nil: those
	// with that transport cannot be asked.
	DialQUIC func(context.Context, Primary) (Link, error)
	// Save keeps what the zones' timers say, a batch at a time, so that a restart
	// need not ask for what is fresh ([ZoneConfig].Saved). nil: nothing is kept.
	Save func(context.Context, []Saved) error
	// Turn, if it is there, is asked before each transfer, where several servers
	// keep the same zones in one database: who has the turn fetches the zone and
	// calls done, the others look again a little later.
	Turn func(ctx context.Context, id zone.ID) (done func(), ok bool)
	// Ended, if it is there, is told of each transfer that has ended.
	Ended func(Report)
	Log   *slog.Logger

	Clock  func() time.Time    // nil: time.Now
	Random func(n int64) int64 // 0 to n-1; nil: math/rand/v2

	// DialTime is how long connecting may take, the handshake included. 0: 10 s.
	DialTime time.Duration
	// Checks are how many SOA queries, and Transfers how many transfers are under
	// way at once, and with one primary. 0: 64, 16, 10 and 4.
	Checks, ChecksEach       int
	Transfers, TransfersEach int
}

// Saved is what is kept of a zone's timers: a few dozen octets.
type Saved struct {
	Zone zone.ID
	Data []byte
}

// Primary is a server that a zone is fetched from. It is compared by ==, so that
// zones share connections and what is known of failures: configurations should
// share their tls.Config, too.
type Primary struct {
	Addr  netip.AddrPort
	Proto transport.Proto // TCP (SOA queries by UDP, then), TLS or QUIC
	Key   dns.Name        // to sign with; the zero Name: unsigned
	TLS   *tls.Config     // for TLS and QUIC: see [Trust]
	// NoIXFR always fetches the whole zone.
	NoIXFR bool
	// From is the local address to ask from; the zero Addr leaves it to the system.
	From netip.Addr
}

// Link is a connection to a primary for questions with many messages of answers.
type Link interface {
	// Ask sends a query. The reader gives the answers as on TCP: two octets of
	// length before each. It is closed when no more are wanted.
	Ask(ctx context.Context, query []byte) (io.ReadCloser, error)
	Close()
}

// Backwards says what is done where all primaries that answer have an older
// version than the one here (RFC 1982).
type Backwards uint8

// What may be done.
const (
	Ignore Backwards = iota // keep the newer one, and say so in the log
	Accept                  // fetch the whole zone as the primary has it
)

// Timers bound those of SOA records. Zero fields mean the defaults named.
type Timers struct {
	MinRefresh, MaxRefresh time.Duration // 1 s, 4 weeks
	MinRetry, MaxRetry     time.Duration // 1 s, 2 weeks
	MinExpire, MaxExpire   time.Duration // 1 s, no bound
}

// Limits bound one transfer. Zero fields mean the defaults named.
type Limits struct {
	Records int           // 200 million
	Octets  int64         // on the wire: 64 GiB
	Idle    time.Duration // without a message: 60 s
	Total   time.Duration // 2 h
}

// ZoneConfig is one zone that is fetched from primaries.
type ZoneConfig struct {
	ID        zone.ID
	Primaries []Primary // asked in this order; shared, not changed
	// AllowNotify are those who may tell of changes, besides the primaries.
	AllowNotify authority.ACL
	Backwards   Backwards
	Timers      Timers
	Limits      Limits
	// Signer signs the zone here; nil: it is as the primaries have it.
	Signer Signer
	// Saved is what Options.Save was given last; nil: nothing is known.
	Saved []byte
}

// Phase is what is being done for a zone.
type Phase uint8

// The phases.
const (
	Waiting      Phase = iota // for a timer or a NOTIFY
	Queued                    // for its turn
	Checking                  // asking a primary for its SOA record
	Transferring              // fetching
)

var phases = [...]string{"waiting", "queued", "checking", "transferring"}

// String returns the phase as one word.
func (p Phase) String() string { return phases[p] }

// State is what is known of one zone.
type State struct {
	Zone      zone.ID
	Phase     Phase
	HasZone   bool
	Serial    uint32 // where HasZone is set: as the primaries count, which for a zone that is signed here is not what is served
	Signed    bool   // here
	Expired   bool   // it is withdrawn
	Primaries []Primary
	Primary   netip.AddrPort // that was asked last
	LastCheck time.Time      // when a primary confirmed the version, or gave a newer one
	NextCheck time.Time
	Expires   time.Time
	Tries     int    // rounds in a row that have failed
	Err       string // of the last one, empty where it went well
}

// Report is a transfer that has ended.
type Report struct {
	Zone     zone.ID
	Primary  Primary
	IXFR     bool // was asked for
	Kind     authority.TransferKind
	From, To uint32
	Messages int
	Records  int
	Octets   int64
	Took     time.Duration
	Err      error
}
