package main

import (
	"context"
	"iter"

	"onoma/authority"
	"onoma/telemetry"
	"onoma/telemetry/control"
)

// operations are those of an authority.
func (c *authorityCmd) operations(a *app, k *keeper, m *manners) operations {
	return operations{
		role: "authority", identity: c.NSID,
		zones:  func() iter.Seq[telemetry.Zone] { return servedZones(k.server) },
		report: func(r *telemetry.Report) { reportAuthority(r, k.server.Stats()) },
		reload: func(_ context.Context, name string) ([]control.Reloaded, error) {
			if name == "" {
				m.reload(a.log)
			}
			return k.reload(a, name)
		},
	}
}

func servedZones(server *authority.Server) iter.Seq[telemetry.Zone] {
	return func(yield func(telemetry.Zone) bool) {
		for z := range server.Zones() {
			line := telemetry.Zone{Name: z.Origin().String()}
			if v := z.Current(); v != nil {
				s := v.Stats()
				line.Loaded, line.Serial, line.Names, line.Records, line.Bytes = true, v.Serial(), s.Names, s.Records, s.Bytes
			}
			if !yield(line) {
				return
			}
		}
	}
}

// reportAuthority adds what became of questions.
func reportAuthority(r *telemetry.Report, s authority.Stats) {
	r.Outcomes = map[string]uint64{
		"answer": s.Answers, "alias": s.Aliases, "nodata": s.NoData, "nxdomain": s.NXDomain, "referral": s.Referrals,
	}
	r.Limited, r.Slipped = make(map[string]uint64), s.Slipped
	for class, n := range s.Limited {
		r.Limited[class.String()] = n
	}
}
