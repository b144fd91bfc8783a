package zone

import (
	"errors"
	"fmt"
	"time"

	"onoma/dns"
)

// ID says which zone: its name, and the view that it is served in. Zones of
// servers without views are in the view "".
type ID struct {
	View string
	Name dns.Name // folded, so that IDs can be compared
}

// IDOf returns the ID of the zone name in a view.
func IDOf(view string, name dns.Name) ID { return ID{view, name.Fold()} }

// String returns NAME, or NAME@VIEW.
func (id ID) String() string {
	if id.View == "" {
		return id.Name.String()
	}
	return id.Name.String() + "@" + id.View
}

// MarshalText returns what String returns, for logs in JSON.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// Door is the way by which a change has come.
type Door string

// The doors.
const (
	DoorFile     Door = "file"     // a zone file was read again
	DoorUpdate   Door = "update"   // RFC 2136
	DoorTransfer Door = "transfer" // from a primary, RFC 5936 and RFC 1995
	DoorCatalog  Door = "catalog"  // this server's own catalog zone, RFC 9432
	DoorAPI      Door = "api"      // the control socket, and what is built on it
	DoorRollback Door = "rollback" // back to an earlier version
	DoorSigner   Door = "signer"   // DNSSEC records that follow from the others

	DoorDelegation Door = "delegation" // a child's CDS, CDNSKEY or CSYNC, RFC 7344 and RFC 7477
)

// Author says who makes a change, by which door, and why.
type Author struct {
	Door    Door
	Name    string // such as "key:ddns.example.", "file:/etc/zones/example.com", "primary:192.0.2.1", "user:maria"
	Comment string // in the author's words, may be empty
}

// Change is what somebody wants of one zone: all of it happens, or nothing.
// Exactly one of Edit and Replace is set.
type Change struct {
	Zone ID
	By   Author

	// Edit changes the zone as it then is. It is called by the goroutine that makes
	// versions, may be called again for a later state where the first attempt was
	// overtaken, and must be quick: it has all its records at hand and waits for
	// nobody. Its error refuses the change.
	Edit func(*Editor) error

	// Replace is all that the zone is to be.
	Replace *Version

	// Base, unless it is 0, is the number of the version that the change was made
	// for. Where the zone has another one by now, the change is refused with
	// ErrConflict.
	Base uint64

	// First refuses the change with ErrConflict where the zone has a version already.
	First bool

	// KeepSerial leaves the serial number as the change has it, as that of a transfer
	// is. It must be newer than the one before, but where Replace and Base say that
	// the whole zone is meant to go back. Else the zone's serial policy counts.
	KeepSerial bool
}

// Receipt says what has become of a change: it is on the disk, and served.
type Receipt struct {
	Zone    ID
	Version uint64 // number of the version, counted from 1
	Serial  uint32
	Changed bool // false: the zone was like that already, and there is no new version
	Removed int  // records
	Added   int
	At      time.Time
	By      Author
	Note    string // what the author should know, such as that another serial number was used than theirs; mostly empty
}

// Errors that refuse a change. Nothing of it has happened, then.
var (
	ErrConflict = errors.New("zone has changed meanwhile")
	ErrUnknown  = errors.New("no such zone")
	ErrBusy     = errors.New("too many changes wait")
	ErrReadOnly = errors.New("zone is not changed by this door")
)

// Refusal is the error of a change whose result must not be served.
type Refusal struct {
	Zone     ID
	Rule     string    // of the publish gate, such as "semantics", "removal-limit", "zonemd", "command", "serial"
	Reason   string    // what is wrong, for people
	Findings []Finding // errors of the zone's content, where that is the reason
}

// Error says what is wrong, with the first findings.
func (r *Refusal) Error() string {
	const shown = 3
	text := fmt.Sprintf("%s: refused (%s): %s", r.Zone, r.Rule, r.Reason)
	for i, f := range r.Findings {
		if i == shown {
			return fmt.Sprintf("%s; and %d more", text, len(r.Findings)-shown)
		}
		text += "; " + f.String()
	}
	return text
}
