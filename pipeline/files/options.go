package files

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// Mode says when a zone's file is read, and to whom the zone belongs.
type Mode uint8

// The modes.
const (
	Reload  Mode = iota // the zone is the file's, which is read at the start and at each reload
	Watch               // the zone is the file's, which is read as soon as it changes, too
	Initial             // the file is the first content of a zone that is changed in other ways
)

var modeNames = [...]string{"reload", "watch", "initial"}

// String returns the word that the configuration has for it.
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return fmt.Sprintf("unknown (%d)", uint8(m))
}

// MarshalText returns String.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads the word that the configuration has for it.
func (m *Mode) UnmarshalText(text []byte) error {
	for i, name := range modeNames {
		if name == string(text) {
			*m = Mode(i)
			return nil
		}
	}
	return fmt.Errorf("file mode is %q, expected one of %q", text, modeNames)
}

// Allows reports whether a zone with a file in this mode is changed by a door. Where
// it is not, who keeps the door refuses with [zone.ErrReadOnly]. A rollback, and what
// follows from the content (the signer), is not an author beside the file.
func (m Mode) Allows(door zone.Door) bool {
	switch door {
	case zone.DoorFile, zone.DoorRollback, zone.DoorSigner:
		return true
	}
	return m == Initial
}

// Zone is a zone with a file.
type Zone struct {
	ID   zone.ID
	Path string
	Mode Mode

	// WriteBack has the served version written to the file when it has changed in
	// other ways. The file must be in mode Initial.
	WriteBack bool
}

// Options of a Door. Submit and Head are required.
type Options struct {
	Submit func(ctx context.Context, changes ...zone.Change) ([]zone.Receipt, error)
	Head   func(id zone.ID) (number uint64, v *zone.Version, ok bool) // number 0: no version yet

	// Authored yields what of a version is its authors', and not a signer's: what is
	// written back. nil: all of it.
	Authored func(id zone.ID, v *zone.Version) iter.Seq[dns.Record]

	// Stamps returns what Keep was given for each zone, at the start. Where they are
	// nil, all files are read at each start.
	Stamps func(ctx context.Context) (map[zone.ID][]byte, error)
	Keep   func(ctx context.Context, stamps map[zone.ID][]byte) error

	Log   *slog.Logger     // nil: nothing is logged
	Clock func() time.Time // nil: time.Now

	// Progress is called now and then, by several goroutines, with how much of a
	// zone's file has been read, in octets, and once when it is done with. It may be nil.
	Progress func(id zone.ID, read, size int64, done bool)

	Quiet      time.Duration // how long a watched file must stay as it is to be read: 300 ms
	Poll       time.Duration // how often files are looked at that cannot be watched: 5 s
	WriteAfter time.Duration // from a change to the file being written back: 5 s
	InFlight   int           // changes that wait for the pipeline at once: 512
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Authored == nil {
		o.Authored = func(_ zone.ID, v *zone.Version) iter.Seq[dns.Record] { return v.Records() }
	}
	orDuration(&o.Quiet, 300*time.Millisecond)
	orDuration(&o.Poll, 5*time.Second)
	orDuration(&o.WriteAfter, 5*time.Second)
	if o.InFlight <= 0 {
		o.InFlight = 512
	}
	return o
}

func orDuration(d *time.Duration, def time.Duration) {
	if *d <= 0 {
		*d = def
	}
}
