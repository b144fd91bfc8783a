package main

import (
	"context"
	"io"
	"iter"
	"net/http"

	"onoma/authority"
	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/telemetry"
	"onoma/telemetry/control"
)

// operations are those of an authority.
func (c *authorityCmd) operations(a *app, k *keeper, m *manners) operations {
	return operations{
		role: "authority", identity: c.NSID,
		zones:  func() iter.Seq[telemetry.Zone] { return servedZones(k.server, c.notifier) },
		dump:   func(name string) (control.Text, error) { return dump(k.server, name) },
		report: func(r *telemetry.Report) { reportAuthority(r, k.server.Stats()) },
		reload: func(_ context.Context, name string) ([]control.Reloaded, error) {
			if name == "" {
				m.reload(a.log)
				c.transferFlags.reload(a.log)
			}
			return k.reload(a, name)
		},
		serving: func() { c.notifyAll(k.server) },
	}
}

// dump returns the text of a zone.
func dump(server *authority.Server, name string) (control.Text, error) {
	origin, err := dns.ParseNameIDNA(name)
	if err != nil {
		return nil, &control.Problem{Status: http.StatusBadRequest, Message: err.Error()}
	}
	z := server.Zone(origin)
	if z == nil || z.Current() == nil {
		return nil, &control.Problem{
			Status: http.StatusNotFound, Message: "zone " + origin.String() + " is not served here",
			Hint: "\"onoma ctl zones\" lists what is",
		}
	}
	v := z.Current()
	return func(w io.Writer) error { return zonefile.Write(w, v.Origin(), v.Records()) }, nil
}

func servedZones(server *authority.Server, n *authority.Notifier) iter.Seq[telemetry.Zone] {
	return func(yield func(telemetry.Zone) bool) {
		told := secondariesOf(n)
		for z := range server.Zones() {
			line := telemetry.Zone{Name: z.Origin().String(), Secondaries: told[z.Origin().Fold()]}
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
