package pipeline

import (
	"context"
	"iter"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// Signer signs one zone, as a stage of each change: what the authors have brought
// is signed in the same version. Its methods but Sign may be called by any
// goroutine; Sign and Whole by one at a time for a zone.
type Signer interface {
	// Owns reports whether records are the Signer's alone. Those of authors are
	// dropped, or refused.
	Owns(owner dns.Name, t dns.Type) bool

	// Sign signs what e has edited from head, whose SOA has its serial number
	// already. With quick it gives up what takes long: an error that Is
	// sign.ErrSlow. A *zone.Refusal goes to the author as it is.
	Sign(ctx context.Context, e *zone.Editor, head *zone.Version, by zone.Author, at time.Time, quick bool) error

	// Whole returns v signed. What is still good of head's signatures may be used;
	// head may be nil.
	Whole(ctx context.Context, v, head *zone.Version, at time.Time) (*zone.Version, error)

	// Unsigned yields the records of v that are the authors', in the order of
	// Version.Records.
	Unsigned(v *zone.Version) iter.Seq[dns.Record]
}
