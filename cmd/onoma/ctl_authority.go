package main

import (
	"context"
	"io"
	"iter"
	"net/http"
	"strings"

	"onoma/authority"
	"onoma/dns"
	"onoma/telemetry"
	"onoma/telemetry/control"
	"onoma/zone"
)

// operations are those of an authority.
func (c *authorityCmd) operations(a *app, server *authority.Server, zones []*zone.Zone, m *manners) operations {
	return operations{
		role: "authority", identity: c.NSID,
		zones:  func() iter.Seq[telemetry.Zone] { return servedZones(server) },
		report: func(r *telemetry.Report) { r.Outcomes = outcomes(server.Stats()) },
		reload: func(_ context.Context, name string) ([]control.Reloaded, error) {
			if name == "" {
				m.reload(a.log)
			}
			return c.reloadNamed(a, zones, name)
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

func outcomes(s authority.Stats) map[string]uint64 {
	return map[string]uint64{
		"answer": s.Answers, "alias": s.Aliases, "nodata": s.NoData, "nxdomain": s.NXDomain, "referral": s.Referrals,
	}
}

// reloadNamed reads one zone's file again, or those of all zones where the name is empty.
func (c *authorityCmd) reloadNamed(a *app, zones []*zone.Zone, name string) ([]control.Reloaded, error) {
	done := []control.Reloaded{}
	wanted, err := dns.ParseName(name)
	if name != "" && err != nil {
		return nil, &control.Problem{Status: http.StatusBadRequest, Message: err.Error()}
	}
	for i, f := range c.Zone {
		if name == "" || f.name.Fold() == wanted.Fold() {
			done = append(done, c.reloadOne(a, zones[i], f))
		}
	}
	if len(done) == 0 && name != "" {
		return nil, &control.Problem{
			Status: http.StatusNotFound, Message: "zone " + wanted.String() + " is not served here",
			Hint: "\"onoma ctl zones\" lists what is",
		}
	}
	return done, nil
}

// maxReason is how much of what is wrong with a zone goes to who asked for it to be read; the log has all.
const maxReason = 4096

// reloadOne publishes the file as it is now, unless it has become wrong.
func (c *authorityCmd) reloadOne(a *app, z *zone.Zone, f zoneFile) control.Reloaded {
	var why strings.Builder
	w := io.MultiWriter(a.stderr, &why)
	v, err := c.snapshotFlags.reload(a.log, f, func() (*zone.Version, error) { return loadZone(w, f) })
	if err != nil {
		serial := z.Current().Serial()
		a.log.Error("zone not reloaded, its last good version stays in service", "zone", f.name, "serial", serial)
		reason := strings.TrimSpace(why.String())
		if reason == "" {
			reason = err.Error()
		}
		return control.Reloaded{Zone: f.name.String(), Serial: serial, Error: reason[:min(len(reason), maxReason)]}
	}
	z.Publish(v)
	a.log.Info("zone reloaded", "zone", f.name, "serial", v.Serial())
	return control.Reloaded{Zone: f.name.String(), Serial: v.Serial()}
}
