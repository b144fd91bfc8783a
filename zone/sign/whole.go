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
	s, err := p.begin(e, head, at)
	if err != nil {
		e.Discard()
		return nil, Report{}, err
	}
	s.verify = true
	if err = s.whole(ctx); err == nil {
		err = s.finishZONEMD(ctx)
	}
	if err != nil {
		e.Discard()
		return nil, Report{}, err
	}
	nv, err := e.Commit()
	if err != nil {
		return nil, Report{}, err
	}
	return nv.Settled(), s.report, nil
}
