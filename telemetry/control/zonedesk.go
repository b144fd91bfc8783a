package control

import (
	"context"
	"iter"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// ZoneDesk is what a server whose zones change lets its operator see and do about them. A field that is nil is a thing that
// this server cannot do. Errors of package zone, among them a *zone.Refusal, and a *Problem reach the operator with a status
// and advice; any other error is a fault of the server.
type ZoneDesk struct {
	// List yields the zones, in any order.
	List func() iter.Seq[ZoneLine]
	// Detail returns all that is known of one zone, but for who its secondaries are: Propagation says that.
	Detail func(context.Context, zone.ID) (ZoneDetail, error)

	// Log returns the versions below the one with that number, newest first, most at most; below 0: from the newest.
	Log func(ctx context.Context, id zone.ID, below uint64, most int) ([]VersionLine, error)
	// Delta returns what turns one version into the other, in whichever order they came.
	Delta func(ctx context.Context, id zone.ID, from, to uint64) (zone.Delta, error)
	// At returns the content of a version; 0: the one that is served.
	At func(ctx context.Context, id zone.ID, number uint64) (*zone.Version, error)
	// Blame returns the records at a name, and for each the version that it came with.
	Blame func(ctx context.Context, id zone.ID, name dns.Name) ([]Blamed, error)
	// Refused returns what the publish gate refused last, which is kept for inspection: the reason, and the version or what would
	// have changed.
	Refused func(ctx context.Context, id zone.ID) (Text, error)

	// Submit has changes made, all or none.
	Submit func(context.Context, ...zone.Change) ([]zone.Receipt, error)
	// Rollback makes a new version with the content of that number. base is as in zone.Change.
	Rollback func(ctx context.Context, id zone.ID, number, base uint64, by zone.Author) (zone.Receipt, error)

	// Propagation returns how far the secondaries of a zone are, and Wait returns when all of them serve the serial
	// number or a newer one; its error says who does not.
	Propagation func(zone.ID) (Propagation, error)
	Wait        func(ctx context.Context, id zone.ID, serial uint32) error

	// Reload reads the zone's file again; Refresh asks the zone's primaries whether they have a newer version; Retransfer
	// fetches the whole zone from them; Notify tells the secondaries once more. Each returns what came of it in words.
	Reload, Refresh, Retransfer, Notify func(context.Context, zone.ID) (string, error)
	// TakeFile is Reload for a file that is otherwise the first content of the zone only: it takes the place of all that
	// the zone has become.
	TakeFile func(context.Context, zone.ID) (string, error)

	// Keys returns how the signing of a zone stands, and what is to come for a time. DoKeys does something with its keys, and
	// AcceptClock takes the clock of the machine for right; both return what they have done, in words.
	Keys        func(ctx context.Context, id zone.ID, ahead time.Duration) (KeysView, error)
	DoKeys      func(ctx context.Context, id zone.ID, r KeyRequest) (string, error)
	AcceptClock func() string

	// Backup writes the database to a new file on the server's machine, and returns its octets.
	Backup func(ctx context.Context, path string) (int64, error)
	// CheckStore looks whether the database is sound, and returns what is wrong, in words.
	CheckStore func(context.Context) ([]string, error)
	// ReloadConfig reads the configuration again and does what follows from it.
	ReloadConfig func(context.Context) (ConfigReload, error)
}

// State is what a server can do with a zone now.
type State string

// The states.
const (
	Served  State = "served"  // it answers from it
	Refused State = "refused" // it answers from it, and what came later was refused
	Loading State = "loading" // it is being read
	Expired State = "expired" // a secondary has not reached a primary for too long (RFC 1035 §3.3.13): SERVFAIL
	Broken  State = "broken"  // there is no version to answer from
)

// ZoneLine is a zone in a list.
type ZoneLine struct {
	Name    string `json:"name"`
	View    string `json:"view,omitempty"`
	Kind    string `json:"kind"` // "primary", "secondary", "catalog" and so on, as the configuration has it
	State   State  `json:"state"`
	Reason  string `json:"reason,omitempty"` // of a state other than served
	Alarm   string `json:"alarm,omitempty"`  // of its signing
	Loaded  bool   `json:"loaded"`           // there is a version; without it the numbers are 0
	Version uint64 `json:"version"`          // its number, counted from 1
	Serial  uint32 `json:"serial"`
	Names   int    `json:"names"`
	Records int    `json:"records"`
	Bytes   int    `json:"bytes"` // of memory

	Secondaries int `json:"secondary_count"` // that are followed
	InSync      int `json:"secondaries_in_sync"`
}

// ZoneDetail is all about one zone.
type ZoneDetail struct {
	ZoneLine

	Published time.Time    `json:"published,omitzero"` // when the version that is served was
	Doors     []string     `json:"doors,omitempty"`    // by which it changes
	File      string       `json:"file,omitempty"`     // that it is read from
	Catalog   string       `json:"catalog,omitempty"`  // that it is a member of
	Timers    *Timers      `json:"timers,omitempty"`   // of a secondary zone
	Primaries []Primary    `json:"primaries,omitempty"`
	History   *HistorySize `json:"history,omitempty"`
	Refusal   *Refusal     `json:"refusal,omitempty"` // of the version that was refused last, if none came after it

	Signing     *SigningLine `json:"signing,omitempty"`
	Propagation *Propagation `json:"propagation,omitempty"`
}

// SigningLine is how the signing of a zone stands, in short.
type SigningLine struct {
	Policy string `json:"policy,omitempty"` // none where its authors sign
	State  string `json:"state"`            // in words
	Alarm  string `json:"alarm,omitempty"`
}

// Timers are those of a zone that comes from primaries (RFC 1035 §3.3.13).
type Timers struct {
	Refreshed time.Time `json:"refreshed,omitzero"` // when a primary was last found to have nothing newer, or gave it
	Refresh   time.Time `json:"refresh,omitzero"`   // when a primary is asked next
	Expire    time.Time `json:"expire,omitzero"`    // when the zone is no longer served, if no primary is reached until then
	Serial    uint32    `json:"serial,omitempty"`   // of the primary's version that this one was made of, where it is signed here: it counts for itself
}

// Primary is a server that a zone comes from.
type Primary struct {
	Address   string    `json:"address"`
	Key       string    `json:"key,omitempty"`       // that it is asked with
	Transport string    `json:"transport,omitempty"` // "tcp", "tls", "quic"
	Serial    uint32    `json:"serial,omitempty"`    // that it has said it has
	Contact   time.Time `json:"contact,omitzero"`
	Error     string    `json:"error,omitempty"` // of the last try
}

// HistorySize is how much of a zone's past is kept.
type HistorySize struct {
	Versions int       `json:"versions"`
	Octets   int64     `json:"octets"`
	Oldest   time.Time `json:"oldest,omitzero"`
}

// Refusal is why a version is not served.
type Refusal struct {
	Rule     string    `json:"rule"`
	Reason   string    `json:"reason"`
	Findings []string  `json:"findings,omitempty"`
	Serial   uint32    `json:"serial,omitempty"` // that it would have had
	Door     string    `json:"door,omitempty"`
	Author   string    `json:"author,omitempty"`
	At       time.Time `json:"at,omitzero"`
}

// VersionLine is a version in a zone's history.
type VersionLine struct {
	Number  uint64    `json:"version"`
	Serial  uint32    `json:"serial"`
	At      time.Time `json:"at"`
	Door    string    `json:"door"`
	Author  string    `json:"author"`
	Comment string    `json:"comment,omitempty"`
	Removed int       `json:"removed"` // records, the SOA record not counted
	Added   int       `json:"added"`
}

// Blamed is a record and the version that it came with. A record that is older than what is kept of the history is in the
// oldest version.
type Blamed struct {
	Record string `json:"record"` // a line of a zone file
	VersionLine
	Older bool `json:"older,omitempty"` // it was there before the oldest version that is kept
}

// Propagation is how far the secondaries of a zone are.
type Propagation struct {
	Serial      uint32      `json:"serial"` // that this server has published
	Published   time.Time   `json:"published,omitzero"`
	InSync      bool        `json:"in_sync"` // all serve it
	Secondaries []Secondary `json:"secondaries"`
}

// Secondary is how far one secondary is.
type Secondary struct {
	Address   string    `json:"address"`
	Key       string    `json:"key,omitempty"`
	Condition string    `json:"condition"` // "in sync", "behind", "ahead", "unknown"
	Serial    uint32    `json:"serial"`    // that it serves
	Seen      time.Time `json:"seen,omitzero"`
	Contact   time.Time `json:"contact,omitzero"`
	Acked     uint32    `json:"acked,omitempty"` // by NOTIFY
	Lag       float64   `json:"lag_seconds"`
	WentBack  time.Time `json:"went_back,omitzero"`
	Error     string    `json:"error,omitempty"`
}

// WaitResult says how waiting for secondaries ended.
type WaitResult struct {
	Serial  uint32  `json:"serial"` // that was waited for
	InSync  bool    `json:"in_sync"`
	Seconds float64 `json:"seconds"`          // waited
	Reason  string  `json:"reason,omitempty"` // who does not serve it

	Propagation Propagation `json:"propagation"`
}

// Difference is what turns one version into another, in lines of a zone file.
type Difference struct {
	From      uint64   `json:"from"`
	To        uint64   `json:"to"`
	Removed   []string `json:"removed"`
	Added     []string `json:"added"`
	Truncated bool     `json:"truncated,omitempty"` // there are more lines than are sent
}

// ChangeRequest is a change as a client asks for it. Names are relative to the zone unless they end with a dot.
type ChangeRequest struct {
	// Remove has what goes: "NAME TYPE RDATA" a record, whatever its TTL; "NAME TYPE" an RRset; "NAME" all at a name.
	Remove []string `json:"remove,omitempty"`
	// Add has what comes, in lines of a zone file. Without a TTL a record gets that of its RRset, or the SOA record's.
	Add     []string `json:"add,omitempty"`
	Comment string   `json:"comment,omitempty"`
	Base    uint64   `json:"base,omitempty"` // number of the version that the change was made for; 0: whichever there is
}

// RollbackRequest asks for the content of an earlier version.
type RollbackRequest struct {
	Version uint64 `json:"version"`
	Comment string `json:"comment,omitempty"`
	Base    uint64 `json:"base,omitempty"`
}

// Receipt says what became of a change.
type Receipt struct {
	Zone    string    `json:"zone"`
	View    string    `json:"view,omitempty"`
	Version uint64    `json:"version"`
	Serial  uint32    `json:"serial"`
	Changed bool      `json:"changed"` // false: the zone was like that already
	Removed int       `json:"removed"`
	Added   int       `json:"added"`
	At      time.Time `json:"at"`
}

// Done says what came of something that was asked for.
type Done struct {
	Zone   string `json:"zone,omitempty"`
	Result string `json:"result"`
}

// BackupRequest names a new file on the server's machine.
type BackupRequest struct {
	File string `json:"file"`
}

// BackupResult says what was written.
type BackupResult struct {
	File   string `json:"file"`
	Octets int64  `json:"octets"`
}

// StoreCheck says whether the database is sound.
type StoreCheck struct {
	Sound    bool     `json:"sound"`
	Problems []string `json:"problems"`
}

// ConfigReload says what a new configuration has changed.
type ConfigReload struct {
	File     string   `json:"file"`
	Changes  []string `json:"changes"`           // in words
	Pending  []string `json:"pending,omitempty"` // what counts only after a restart
	Warnings []string `json:"warnings,omitempty"`
}
