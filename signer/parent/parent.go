package parent

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// Options say how a Watcher asks.
type Options struct {
	// Resolve asks a resolver: it follows the question through the DNS, with DO set, and its answer has AD set where it is
	// secure. Nil: only what the zones' configured servers say is known.
	Resolve func(context.Context, dns.Question) (*dns.Message, error)
	// Exchange sends a query and returns the reply; nil: over sockets, from Options.From.
	Exchange func(ctx context.Context, proto transport.Proto, server netip.AddrPort, query, buf []byte) (transport.Reply, error)
	// Port is where servers that are found by name are asked, 53 if it is 0.
	Port uint16
	// Keys are those that a Push may name.
	Keys dns.Keyring
	// From are the local addresses to ask from, one of each family at most.
	From []netip.Addr
	// Most is how many questions may wait for an answer at once, 64 if it is 0; MostEach how many of them to one server, 16.
	Most, MostEach int
	// Timeout is how long an answer is waited for, 2 s if it is 0.
	Timeout time.Duration
	// Spread is the time over which zones that are at rest are first looked at, 10 min if it is 0.
	Spread time.Duration
	// Changed is told when something else is seen than before. It must be quick, and may call the Watcher.
	Changed func(zone.ID, View)
	Log     *slog.Logger // nil: discard
}

// Zone is a zone that is watched.
type Zone struct {
	ID zone.ID
	// Parents are the servers of the parent; empty: they are found by asking Options.Resolve who serves the zone above.
	Parents []netip.AddrPort
	Wanted  Wanted
	// WasThere says that the DS records of Wanted were at all servers before this Watcher began: if they are not now, somebody
	// has removed them.
	WasThere bool
	// Notify lets the Watcher tell the parent (RFC 9859), when Tell is called.
	Notify bool
	// ReportTo is the agent domain that the parent is asked to send error reports to (RFC 9567); the zero Name: none.
	ReportTo dns.Name
	// Push is who takes the DS set by UPDATE; nil: nobody.
	Push *Push
	// Delays say how often to look; zero values are replaced.
	Delays Delays
}

// Wanted is what the parent should have.
type Wanted struct {
	// DS is the set that should stand there, none: it should have none.
	DS []dns.DS
	// Keys are those that DS speaks of. The parent may have made DS records with another digest of them, and that is as good.
	Keys []dns.DNSKEY
	// Known are the keys of the zone's DNSKEY set: a DS of theirs at the parent is no stranger, though it may have to go.
	Known []dns.DNSKEY
	// Unmanaged says that somebody else sees to what the parent has: nothing is waited for, and nothing is an alarm but strangers.
	Unmanaged bool
}

// Push says who takes the DS set by UPDATE (RFC 2136).
type Push struct {
	Server netip.AddrPort
	Key    dns.Name // to sign with (RFC 8945), out of Options.Keys
	TTL    uint32   // of the DS set, where there is none; 0: that of the delegation
	// Strangers go, too. Otherwise a DS that is of no known key stops the push: it may be another provider's.
	Strangers bool
}

// Delays are how long to wait.
type Delays struct {
	Often   time.Duration // between two looks when a change has just begun, and the least there is, 500 ms
	Rest    time.Duration // between two looks where all is as it should be, and the most there is, 1 h
	Excuse  time.Duration // after which a server that does not answer no longer counts, if others do, 1 h
	Overdue time.Duration // after which a parent that has not done what it should is an alarm, 24 h
	Again   time.Duration // after which the parent is told once more that there is something to do, 24 h
}

// excuseTries is how often a server must have been asked before it no longer counts.
const excuseTries = 8

func (d Delays) orDefault() Delays {
	for _, x := range []struct {
		d       *time.Duration
		without time.Duration
	}{
		{&d.Often, 500 * time.Millisecond}, {&d.Rest, time.Hour}, {&d.Excuse, time.Hour},
		{&d.Overdue, 24 * time.Hour}, {&d.Again, 24 * time.Hour},
	} {
		if *x.d <= 0 {
			*x.d = x.without
		}
	}
	return d
}

// Status says whether an answer of the resolver was proven.
type Status uint8

// The statuses. Unproven is all of what configured servers say.
const (
	Unproven Status = iota
	Proven          // with AD
)

// View is what is known of a zone's parent.
type View struct {
	Zone    zone.ID
	Parent  dns.Name  // the zero Name: not known yet
	Found   time.Time // when its servers were found
	Error   string    // why they were not found, when they were looked for last
	Servers []Server

	// Counted servers are all but those that are excused, Answered those of them that have said what they have since the change
	// began. Only where they are the same, and not 0, is it known what the parent has.
	Counted, Answered int
	// At is when what they say was so at all of them, at the latest: when the one that was asked least recently has said so, or
	// the last one has begun to say so, whichever is later. Times to wait begin here (RFC 7583 §3.3). Since is when the last of
	// them was first seen to say what it says now.
	At, Since        time.Time
	DS               []SeenDS      // each DS record that any of them has
	TTL, NegativeTTL time.Duration // the largest of DS sets, and of 'there is none', seen since the change began

	Condition Condition
	Begun     time.Time // when what is wanted became what it is
	Delay     time.Duration
	Next      time.Time // the next look
	Signed    bool      // the parent zone is signed, as far as it was seen
	Told      []Telling
	Pushed    *Pushed
	Findings  []Finding
}

// SeenDS is a DS record and how many of the servers that count have it.
type SeenDS struct {
	DS      dns.DS
	Servers int
	Wanted  bool // it is of a key that the parent should trust
	Known   bool // it is of a key of the zone
}

// Server is a server of the parent.
type Server struct {
	Addr     netip.AddrPort
	Name     dns.Name // by which it was found
	DS       []dns.DS // what it has; meaningless while Seen is zero
	TTL      time.Duration
	Serial   uint32    // of the parent zone; 0: not known
	Signed   bool      // its answer had signatures
	Seen     time.Time // its last answer; zero: none
	Since    time.Time // when DS was first as it is
	Asked    time.Time
	Error    string // of the last question
	Failures int    // questions in a row that brought no answer
	Failing  time.Time
	Excused  string // why it does not count; empty: it does
}

// Condition is how the parent stands to what is wanted.
type Condition uint8

// The conditions.
const (
	Unknown  Condition = iota // not all servers that count have said what they have
	Insecure                  // no DS is wanted, and there is none
	Secure                    // all wanted DS are at all servers, and no others
	Waiting                   // it is not yet as it should be
	Removed                   // it was as it should be, and somebody has removed the DS
	Broken                    // there are DS at some server, and none is of a key of the zone: validating resolvers refuse the zone
)

var conditions = [...]string{
	Unknown: "unknown", Insecure: "insecure", Secure: "secure", Waiting: "waiting", Removed: "removed", Broken: "broken",
}

// String returns a word such as "waiting".
func (c Condition) String() string { return conditions[c] }

// MarshalText makes it that word in JSON, too.
func (c Condition) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Presence says at how many of the servers that count something is.
type Presence uint8

// The presences.
const (
	Unseen Presence = iota // it is not known
	None
	Some
	All
)

var presences = [...]string{Unseen: "unseen", None: "none", Some: "some", All: "all"}

// String returns a word such as "all".
func (p Presence) String() string { return presences[p] }

// Telling is a receiver of notifications, and what came of telling it.
type Telling struct {
	Type   dns.Type // CDS or CSYNC
	Target dns.Name
	Port   uint16
	Status Status // of the DSYNC record that named it
	Tries  int
	Last   time.Time
	// Answered is when it last answered, zero: not yet; Error is why it was not told, or what it said other than yes, with its
	// extended errors.
	Answered time.Time
	Error    string
	// NotYet is that it has answered NOTAUTH: it knows of no such delegation. Where that is being made, it soon will.
	NotYet bool
}

// Pushed is what came of an UPDATE.
type Pushed struct {
	Server netip.AddrPort
	Tries  int
	Last   time.Time
	Done   time.Time // when the server said yes; zero: not yet
	Error  string
}

// Level says how bad a Finding is.
type Level uint8

// The levels: Notice is worth knowing, Warning will become a fault, Alarm is one.
const (
	Notice Level = iota + 1
	Warning
	Alarm
)

var levels = [...]string{Notice: "notice", Warning: "warning", Alarm: "alarm"}

// String returns the word.
func (l Level) String() string { return levels[l] }

// MarshalText makes it that word in JSON, too.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Finding is something that a person should know about a zone and its parent.
type Finding struct {
	Level Level
	Code  string // such as "ds-stranger", always the same
	Text  string // what is
	Fix   string // what to do
}
