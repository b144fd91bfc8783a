package sign

import (
	"context"
	"time"

	"onoma/zone"
)

// Whole returns v as the plan has it: signed, or with Kind None as its authors wrote
// it. Signatures that v has and that are good under the plan are kept; since v may
// come from anywhere they are verified. Signing goes on all cores.
func (p *Plan) Whole(ctx context.Context, v *zone.Version, at time.Time) (*zone.Version, Report, error) {
	return p.WholeFrom(ctx, v, nil, at)
}

// WholeFrom is Whole where head, which may be nil, has been signed before: what is
// the same in v keeps the signatures that head has.
func (p *Plan) WholeFrom(ctx context.Context, v, head *zone.Version, at time.Time) (*zone.Version, Report, error) {
	e := v.Fork()
	defer e.Discard()
	s, err := p.begin(e, head, at)
	if err != nil {
		return nil, Report{}, err
	}
	s.verify = true
	nv, err := s.copy(ctx)
	if err != nil {
		return nil, Report{}, err
	}
	nv, err = s.digested(ctx, nv)
	return nv, s.report, err
}

// copy signs all that there is, in a copy of the zone.
func (s *signing) copy(ctx context.Context) (*zone.Version, error) {
	if err := s.prepareWhole(); err != nil {
		return nil, err
	}
	s.from = s.e.View()
	c := s.e.Copy()
	s.out = c
	if err := s.walkAll(ctx); err != nil {
		return nil, err
	}
	return c.Commit()
}

// digested returns v, which is signed, with its digest.
func (s *signing) digested(ctx context.Context, v *zone.Version) (*zone.Version, error) {
	if len(s.plan.ZONEMD) == 0 {
		return v, nil
	}
	s.e = v.Edit()
	s.out, s.from = s.e, nil
	defer s.e.Discard()
	if err := s.finishZONEMD(ctx); err != nil {
		return nil, err
	}
	return s.e.Commit()
}
