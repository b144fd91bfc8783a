package propagation

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// Target is a secondary as it is asked: one with a key answers for the view that the key opens.
type Target struct {
	Addr netip.AddrPort
	Key  dns.Name // to sign questions with (RFC 8945); the zero Name: none
}

// String returns ADDR:PORT, or ADDR:PORT+key:NAME.
func (t Target) String() string {
	if t.Key.IsZero() {
		return t.Addr.String()
	}
	return t.Addr.String() + "+key:" + t.Key.String()
}

// Options say whom a Follower follows, and how hard it asks.
type Options struct {
	// Targets returns the secondaries of a zone. It may take its time, for a few goroutines call it: after each Publish, and
	// for a zone whose secondaries are all asked again. An error leaves those that were known.
	Targets func(context.Context, zone.ID) ([]Target, error)
	// Alone reports at once that a zone has no secondaries, so that many such zones cost no search for them. It must not call
	// the Follower. It may be nil.
	Alone func(zone.ID) bool
	// Keys are those that targets may name; nil: none.
	Keys dns.Keyring
	// From are the local addresses to ask from, one of each family at most.
	From []netip.Addr
	// Most is how many questions may wait for an answer at once, 256 if it is 0; MostEach how many of them to one server, 32.
	Most, MostEach int
	// Timeout is how long an answer is waited for, 2 s if it is 0.
	Timeout time.Duration
	// Recheck is about how often a secondary that serves the newest version is asked whether it still does, 1 h if it is 0;
	// negative: never.
	Recheck time.Duration
	// Spread is the time over which the secondaries of zones that were there from the start (Load) are first asked, 10 min if
	// it is 0.
	Spread time.Duration
	Log    *slog.Logger // nil: discard
}

// Condition says how a secondary stands to the version that this server has published.
type Condition uint8

// The conditions.
const (
	Unknown Condition = iota // it has not said yet what it serves
	InSync                   // it serves the newest version
	Behind                   // it serves an older one
	Ahead                    // it serves a newer one than was ever published here: it will not take ours
)

var conditions = [...]string{Unknown: "unknown", InSync: "in sync", Behind: "behind", Ahead: "ahead"}

// String returns "unknown", "in sync", "behind" or "ahead".
func (c Condition) String() string { return conditions[c] }

// Secondary is what is known of one secondary of a zone.
type Secondary struct {
	Target
	Condition Condition
	Serial    uint32        // that it served last; 0 while it is not known
	Seen      time.Time     // when it said so; the zero Time: never
	Contact   time.Time     // when anything was last heard of it about this zone: an answer, an acknowledged NOTIFY, a transfer
	Acked     uint32        // serial number that it has acknowledged by NOTIFY last, 0 before the first
	Lag       time.Duration // since the first version that it lacks was published; 0 where it lacks none
	WentBack  time.Time     // when it last served an older version than before; the zero Time: never
	Error     string        // why the last question brought no serial number; empty where it did
}

// Event is a secondary that was heard to serve another version than before.
type Event struct {
	Zone      zone.ID
	Target    Target
	Serial    uint32
	At        time.Time
	Condition Condition
	WentBack  bool          // the version is older than the one before
	Took      time.Duration // since that version was published here; 0 where that is not known
	All       bool          // every secondary of the zone now serves the newest version
}

// Totals count zones and secondaries.
type Totals struct {
	Zones       int           // followed
	Lagging     int           // of them, those whose secondaries do not all serve the newest version
	Secondaries [4]int        // by Condition; a server counts once for each of its zones
	Failing     int           // of the secondaries, those whose last question brought no serial number
	Asked       uint64        // questions so far
	Unanswered  uint64        // of them, those that brought no serial number
	Lag         time.Duration // the longest
	Worst       []Lagging     // the zones that lag most, the worst first
}

// Lagging is a zone that not all of its secondaries serve as it is.
type Lagging struct {
	Zone   zone.ID
	Serial uint32 // published here
	Behind int    // secondaries
	Lag    time.Duration
}

// ErrUnknown is returned for a zone that nobody has published.
var ErrUnknown = fmt.Errorf("zone is not followed: %w", zone.ErrUnknown)

// LagError says which secondaries do not serve a version yet.
type LagError struct {
	Zone      zone.ID
	Serial    uint32      // that was waited for
	Published uint32      // that this server serves
	Behind    []Secondary // that do not serve it; empty: this server itself does not, or does not know its secondaries yet
	Cause     error       // why waiting ended
}

// Unwrap returns the cause.
func (e *LagError) Unwrap() error { return e.Cause }

// Error names who lags, by how much and why.
func (e *LagError) Error() string {
	text := fmt.Sprintf("%s: serial %d is not served everywhere: ", e.Zone, e.Serial)
	if len(e.Behind) == 0 {
		if zone.IsNewer(e.Serial, e.Published) {
			return text + fmt.Sprintf("this server itself has serial %d", e.Published)
		}
		return text + "the addresses of its secondaries are not known yet"
	}
	const shown = 5
	var parts []string
	for i, s := range e.Behind {
		if i == shown {
			parts = append(parts, fmt.Sprintf("and %d more", len(e.Behind)-shown))
			break
		}
		parts = append(parts, s.Why())
	}
	return text + strings.Join(parts, "; ")
}

// Why says in words how a secondary stands.
func (s Secondary) Why() string {
	text := s.Target.String()
	switch {
	case s.Seen.IsZero():
		text += " has not said what it serves"
	case s.Condition == Behind:
		text += fmt.Sprintf(" serves %d, %s behind", s.Serial, s.Lag.Round(time.Millisecond))
	case s.Condition == Ahead:
		text += fmt.Sprintf(" serves %d, which was never published here", s.Serial)
	default:
		text += fmt.Sprintf(" serves %d", s.Serial)
	}
	if s.Error != "" {
		text += ": " + s.Error
	}
	return text
}
