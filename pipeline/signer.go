package pipeline

import (
	"context"
	"iter"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// Signer signs one zone, as a stage of each change: what the authors have brought
// is signed in the same version. Its methods but Sign and Whole may be called by any
// goroutine; these by one at a time for a zone. What they have made may never be
// served: the gate may refuse it, or another node be faster.
type Signer interface {
	// Owns reports whether records are the Signer's alone. Those of authors are
	// dropped, or refused. One that does not own RRSIG records leaves the zone alone.
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

// Chooser is a Signer that is asked what to do with content that comes whole.
type Chooser interface {
	// Takes reports whether v is to be signed, which else is served as it is. What
	// the Signer owns follows from that at once.
	Takes(v *zone.Version) bool
	// Took says what became of the content that Takes was asked about last: where it
	// was refused, all is as before.
	Took(served bool)
}

// Taker is a Signer that takes what clients write into the zone's sets of keys by UPDATE for orders about other providers' keys
// (RFC 8901); else it is dropped.
type Taker interface {
	// Take reports whether the version that is made of head will have other sets of keys. A *zone.Refusal goes to the client.
	Take(ctx context.Context, head *zone.Version, removed, added []dns.Record) (bool, error)
}

// of returns the spec for a change: without a Signer where that leaves the zone alone.
func (s *ZoneSpec) of(c *zone.Change) *ZoneSpec {
	if s.Signer == nil {
		return s
	}
	if chooser, ok := s.Signer.(Chooser); ok && c.Replace != nil && c.By.Door != zone.DoorRollback {
		chooser.Takes(c.Replace)
	}
	return s.active()
}

// took tells the Choosers of b's zones what became of the first n of its changes.
// The caller holds turn.
func (p *Pipeline) took(b *batch, n int, served bool) {
	for i := range b.changes[:n] {
		c := &b.changes[i]
		st := p.zones[c.Zone]
		if c.Replace == nil || c.By.Door == zone.DoorRollback || st == nil {
			continue
		}
		if chooser, ok := st.spec.Signer.(Chooser); ok {
			chooser.Took(served)
		}
	}
}

// active returns the spec, without a Signer where that leaves the zone alone.
func (s *ZoneSpec) active() *ZoneSpec {
	if s.Signer == nil || s.Signer.Owns(s.ID.Name, dns.TypeRRSIG) {
		return s
	}
	alone := *s
	alone.Signer = nil
	return &alone
}
