package iterator

import (
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// Tracer is told of every step of a look-up, in the look-up's goroutine.
type Tracer interface{ Trace(Event) }

// EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	EventStart    EventKind = iota // a client's question begins
	EventCached                    // answered from the cache, or from local data (Local set)
	EventAsk                       // a question goes to a server
	EventReply                     // the server's reply, read; or Err
	EventShared                    // another look-up's reply is used
	EventNSLookup                  // a name server's address must be found first
	EventEnd                       // the client's question ends
)

var eventNames = [...]string{"start", "cached", "ask", "reply", "shared", "ns-lookup", "end"}

// String returns the kind's name.
func (k EventKind) String() string { return eventNames[k] }

// Outcome says what a reply, or a whole look-up, amounts to.
type Outcome uint8

// The outcomes.
const (
	OutcomeNone Outcome = iota
	OutcomeAnswer
	OutcomeAlias
	OutcomeNoData
	OutcomeNXDomain
	OutcomeReferral
	OutcomeTruncated
	OutcomeLame  // a reply that cannot be one of the zone's servers', or makes no sense
	OutcomeError // an error code, or no reply at all
)

var outcomeNames = [...]string{"", "answer", "alias", "nodata", "nxdomain", "referral", "truncated", "lame", "error"}

// String returns the outcome's name.
func (o Outcome) String() string { return outcomeNames[o] }

// Event is one step. Which fields are set depends on Kind.
type Event struct {
	Kind     EventKind
	ID       uint64    // of the client's question
	Time     time.Time // of the event
	Depth    int       // 0 for the client's own question, more for look-ups on its behalf
	Question dns.Question
	Local    bool // EventCached: from local data

	Zone   dns.Name       // whose servers are asked
	Server dns.Name       // name of the server
	Addr   netip.AddrPort // its address
	Proto  transport.Proto
	Sent   dns.Question // as sent, which minimisation makes shorter

	RTT     time.Duration
	Outcome Outcome
	RCode   dns.RCode
	AA      bool
	Size    int          // octets of the reply
	Answer  []dns.Record // the records that were taken from the reply
	Child   dns.Name     // OutcomeReferral: the zone that it leads to
	Servers []dns.Name   // and that zone's servers
	Target  dns.Name     // OutcomeAlias: where the name leads to
	TTL     uint32       // seconds that the outcome is remembered for
	Reason  string       // why a reply is not used
	Err     error
	Cost    Cost // EventEnd
}
