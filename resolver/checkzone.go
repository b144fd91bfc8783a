package resolver

import (
	"context"
	"errors"
	"fmt"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/iterator"
	"onoma/resolver/validator"
	"onoma/zone"
)

// ErrZone is why a copy of a zone is not answered from.
var ErrZone = errors.New("the copy of the zone is not good")

// CheckZone judges a copy of a zone before it is answered from (RFC 8976 §4): where
// trust anchors lead to the zone, its ZONEMD record, or the denial of one, has to be
// signed; and the digest in it has to be that of the zone. With required there has
// to be one that can be computed. A copy that cannot be judged, since what it takes
// cannot be had just now, is not good either.
func (r *Resolver) CheckZone(ctx context.Context, v *zone.Version, required bool) error {
	if err := r.checkSigned(ctx, v); err != nil {
		return err
	}
	verdict := dnssec.VerifyZONEMD(v.Origin(), v.Records())
	if !verdict.OK() && (verdict.Judged() || required) {
		return fmt.Errorf("%w: %s", ErrZone, verdict)
	}
	return nil
}

// checkSigned follows the chain of trust to the ZONEMD record. Of the zone itself
// it believes the copy alone: where that comes from does not matter then.
func (r *Resolver) checkSigned(ctx context.Context, v *zone.Version) error {
	anchored := r.validator.Load()
	if anchored == nil {
		return nil
	}
	fetch := func(ctx context.Context, q dns.Question) (*dns.Message, error) {
		if q.Type != dns.TypeDS && q.Name.Equal(v.Origin()) {
			return iterator.AnswerFrom(v, q), nil
		}
		a, err := r.iterator.Resolve(ctx, q, iterator.Options{Proof: true})
		if err != nil {
			return nil, err
		}
		return messageOf(a), nil
	}
	found, err := anchored.With(fetch).Look(ctx, v.Origin(), dns.TypeZONEMD)
	switch {
	case err != nil:
		return fmt.Errorf("%w: it cannot be judged: %w", ErrZone, err)
	case found.Status == validator.Bogus:
		return fmt.Errorf("%w: %s", ErrZone, found.Why)
	}
	return nil
}
