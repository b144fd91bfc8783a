package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"onoma/pipeline/gate"
	"onoma/store"
	"onoma/zone"
)

// Options of a Pipeline. Store is required.
type Options struct {
	Store   *store.Store
	DataDir string           // for snapshots and refused versions; "": there are none
	Log     *slog.Logger     // nil: nothing is logged
	Clock   func() time.Time // nil: time.Now

	Queue   int                // changes that may wait, the others are told zone.ErrBusy: 16384
	Group   int                // most changes of one commit: 256
	History zone.HistoryLimits // differences in memory for IXFR

	// Every is how often the Pipeline looks whether history is to be forgotten: 1 hour.
	Every time.Duration

	// Unknown is called with a zone of the database that has got a version from
	// another node, and that this one does not have. It may be nil, and must be quick.
	Unknown func(row int64)
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Queue <= 0 {
		o.Queue = 1 << 14
	}
	if o.Group <= 0 {
		o.Group = 256
	}
	if o.Every <= 0 {
		o.Every = time.Hour
	}
	return o
}

// ZoneSpec is how one zone is kept. Many specs may share Gate.
type ZoneSpec struct {
	ID      zone.ID
	Serial  SerialPolicy
	History Retention
	Gate    *gate.Rules // nil: the zero Rules
	Signer  Signer      // nil: the zone is as its authors write it
}

// Retention is how much history is kept. Zero fields bound nothing. The current
// version and what is needed to make it stay in any case.
type Retention struct {
	Age    time.Duration // versions that are older than this are forgotten
	Octets int64         // deltas are forgotten, the oldest first, until they take less
}

// SerialPolicy is how the next serial number is found.
type SerialPolicy uint8

// The policies.
const (
	SerialIncrement SerialPolicy = iota // the next number
	SerialDate                          // YYYYMMDDnn, and the next number where that is no more
	SerialUnixTime                      // seconds since 1970, and the next number where that is no more
	SerialKeep                          // what the author of the change says, which must be more
)

var policyNames = [...]string{"increment", "date", "unixtime", "keep"}

// String returns the word that the configuration has for it.
func (p SerialPolicy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return fmt.Sprintf("unknown (%d)", uint8(p))
}

// MarshalText returns String.
func (p SerialPolicy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the word that the configuration has for it.
func (p *SerialPolicy) UnmarshalText(text []byte) error {
	for i, name := range policyNames {
		if name == string(text) {
			*p = SerialPolicy(i)
			return nil
		}
	}
	return fmt.Errorf("serial policy is %q, expected one of %q", text, policyNames)
}

// noRules are those of zones without any.
var noRules gate.Rules

func (s *ZoneSpec) rules() *gate.Rules {
	if s.Gate == nil {
		return &noRules
	}
	return s.Gate
}

// contextOf keeps what has begun going on when its caller is told to end.
func contextOf(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }
