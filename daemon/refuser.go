package daemon

import (
	"context"
	"fmt"
	"iter"
	"time"

	"onoma/dns"
	"onoma/zone"
	"onoma/zone/sign"
)

// refuser is the pipeline.Signer of a zone that should be signed and cannot be: nothing that comes is published, for it would
// be without signatures, or with those of before.
type refuser struct {
	id  zone.ID
	err error
}

var nothingSigned sign.Plan

// Owns is as of a zone that is signed.
func (r refuser) Owns(owner dns.Name, t dns.Type) bool {
	return nothingSigned.Owns(r.id.Name, owner, t)
}

// Sign refuses.
func (r refuser) Sign(context.Context, *zone.Editor, *zone.Version, zone.Author, time.Time, bool) error {
	return &zone.Refusal{Zone: r.id, Rule: "signing", Reason: fmt.Sprintf("the zone cannot be signed: %v; what was served stays", r.err)}
}

// Whole refuses.
func (r refuser) Whole(ctx context.Context, _, _ *zone.Version, at time.Time) (*zone.Version, error) {
	return nil, r.Sign(ctx, nil, nil, zone.Author{}, at, false)
}

// Unsigned yields what is the authors'.
func (r refuser) Unsigned(v *zone.Version) iter.Seq[dns.Record] {
	return func(yield func(dns.Record) bool) {
		for rec := range v.Records() {
			if !r.Owns(rec.Name, rec.Type) && !yield(rec) {
				return
			}
		}
	}
}
