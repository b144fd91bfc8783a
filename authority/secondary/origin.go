package secondary

import (
	"context"
	"fmt"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// A zone that is signed here has versions of its own between those of the primary,
// and serial numbers of its own: of what is here it has to be known which version of
// the primary it was made of. That is asked of the zone's history, where it stands in
// the version itself and so cannot be wrong, and kept with the zone's timers so that
// little has to be looked through.

// Signer signs a zone on its way through (a bump in the wire).
type Signer interface {
	// Owns reports whether records are the signer's alone. What a primary has of
	// them is left out.
	Owns(owner dns.Name, t dns.Type) bool
}

// Authors is what Options.Zones has besides, where zones are signed here.
type Authors interface {
	// LastAuthor returns who has made the newest version above a number that is not
	// the signer's, its number and its serial number; ok is false where there is
	// none. An error says that nobody can tell.
	LastAuthor(ctx context.Context, id zone.ID, above uint64) (by zone.Author, number uint64, serial uint32, ok bool, err error)
}

// source says which version of the primary a version here was made of.
type source struct {
	number uint64 // of the version here; 0: nothing is known
	serial uint32 // of the primary's
	known  bool   // else it is to be fetched as a whole, and compared
}

const remark = "version %d of the primary"

// remarkOf is what the author of a signed version says of the primary's.
func remarkOf(serial uint32) string { return fmt.Sprintf(remark, serial) }

// lookTime bounds how long a history is looked through.
const lookTime = 10 * time.Second

// from brings s up to the version number, which is what is here.
func (s source) from(zones Zones, id zone.ID, number uint64) source {
	if s.number == number {
		return s
	}
	history, ok := zones.(Authors)
	if !ok || s.number > number {
		return source{number: number}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	by, _, serial, ok, err := history.LastAuthor(ctx, id, s.number)
	switch {
	case err != nil:
		return source{number: number}
	case !ok: // the signer's alone
		s.number = number
		return s
	case by.Door != zone.DoorTransfer: // such as a rollback
		return source{number: number}
	}
	out := source{number: number, serial: serial, known: true} // before the zone was signed here
	if by.Comment != "" {
		_, err := fmt.Sscanf(by.Comment, remark, &out.serial)
		out.known = err == nil
	}
	return out
}

// owned reports whether r is left out of what a primary gives. Digests are: they
// would be those of another zone than the one that is signed here (RFC 8976 §3).
func owned(s Signer, r *dns.Record) bool {
	return s != nil && (s.Owns(r.Name, r.Type) || r.Type == dns.TypeZONEMD)
}
