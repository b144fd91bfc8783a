package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	"onoma/authority"
	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/pipeline/files"
	"onoma/telemetry"
	"onoma/telemetry/control"
	"onoma/zone"
)

// Zones yields what metrics tell of each zone, in no order.
func (d *Daemon) Zones() iter.Seq[telemetry.Zone] {
	return func(yield func(telemetry.Zone) bool) {
		for _, e := range d.zones.all() {
			line := telemetry.Zone{Name: e.id.String()}
			if z := d.pipe.Zone(e.id); z != nil && z.Current() != nil {
				v := z.Current()
				s := v.Stats()
				line.Loaded, line.Serial, line.Names, line.Records, line.Bytes = true, v.Serial(), s.Names, s.Records, s.Bytes
			}
			if !yield(line) {
				return
			}
		}
	}
}

// Dump returns the text of a zone as it is served, given NAME or NAME@VIEW.
func (d *Daemon) Dump(name string) (control.Text, error) {
	id, err := d.find(name)
	if err != nil {
		return nil, err
	}
	v, err := d.at(context.Background(), id, 0)
	if err != nil {
		return nil, err
	}
	return func(w io.Writer) error { return zonefile.Write(w, v.Origin(), v.Records()) }, nil
}

// find returns the zone that an operator names: NAME or NAME@VIEW.
func (d *Daemon) find(name string) (zone.ID, error) {
	text, view, _ := strings.Cut(name, "@")
	origin, err := dns.ParseNameIDNA(text)
	if err != nil {
		return zone.ID{}, &control.Problem{Status: http.StatusBadRequest, Message: err.Error()}
	}
	id := zone.IDOf(view, origin)
	if d.zones.get(id) == nil {
		return id, &control.Problem{
			Status: http.StatusNotFound, Message: "zone " + id.String() + " is not served here", Hint: "\"onoma ctl zones\" lists what is",
		}
	}
	return id, nil
}

// Stats returns what the servers of all views have counted.
func (d *Daemon) Stats() authority.Stats {
	var all authority.Stats
	for _, v := range d.views.Load().list {
		all.Add(v.server.Stats())
	}
	return all
}

// ReloadAll reads one zone's file again; where the name is empty the configuration
// and all files that have changed.
func (d *Daemon) ReloadAll(ctx context.Context, name string) ([]control.Reloaded, error) {
	if name != "" {
		id, err := d.find(name)
		if err != nil {
			return nil, err
		}
		s, err := d.files.ReloadZone(ctx, id, false)
		if err != nil {
			return nil, err
		}
		return []control.Reloaded{d.reloaded(&s)}, nil
	}
	r, err := d.Reload(ctx)
	for _, what := range r.Changes {
		d.log.Info("configuration reloaded", "change", what)
	}
	for _, what := range r.Pending {
		d.log.Warn("setting takes effect at the next start", "setting", what)
	}
	if err != nil {
		d.log.Error("configuration not reloaded as a whole", "error", err)
		err = fmt.Errorf("configuration: %w", err)
	}
	states := d.files.Reload(ctx)
	done := make([]control.Reloaded, len(states))
	for i := range states {
		done[i] = d.reloaded(&states[i])
	}
	return done, errors.Join(err)
}

func (d *Daemon) reloaded(s *files.State) control.Reloaded {
	out := control.Reloaded{Zone: s.Zone.String()}
	if _, v, ok := d.pipe.Head(s.Zone); ok && v != nil {
		out.Serial = v.Serial()
	}
	out.Fail(strings.Join(s.Problems, "\n"))
	return out
}
