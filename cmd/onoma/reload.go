package main

import (
	"io"
	"net/http"
	"strings"

	"onoma/dns"
	"onoma/telemetry/control"
	"onoma/zone"
)

// reload reads one zone's file again, or where the name is empty the list of
// zones and the files that have changed.
func (k *keeper) reload(a *app, name string) ([]control.Reloaded, error) {
	if name == "" {
		k.relist(a)
		return k.reread(a, k.files, false), nil
	}
	wanted, err := dns.ParseName(name)
	if err != nil {
		return nil, &control.Problem{Status: http.StatusBadRequest, Message: err.Error()}
	}
	for _, f := range k.files {
		if f.name.Fold() == wanted.Fold() {
			return k.reread(a, []zoneFile{f}, true), nil
		}
	}
	return nil, &control.Problem{
		Status: http.StatusNotFound, Message: "zone " + wanted.String() + " is not served here",
		Hint: "\"onoma ctl zones\" lists what is",
	}
}

// relist reads the list of zones again and ends the service of those that are
// gone. A list with mistakes changes nothing.
func (k *keeper) relist(a *app) {
	files, err := k.c.zoneFlags.list()
	if err != nil {
		a.log.Error("list of zones not read again, the one before stays", "error", err)
		return
	}
	listed := make(map[dns.Name]bool, len(files))
	for _, f := range files {
		if listed[f.name.Fold()] {
			a.log.Error("list of zones not taken, the one before stays", "error", "two zones are named "+f.name.String())
			return
		}
		listed[f.name.Fold()] = true
	}
	for name, z := range k.zones {
		if !listed[name] {
			k.server.RemoveZone(z.Origin())
			delete(k.zones, name)
			k.c.transferFlags.forget(z)
			a.log.Info("zone no longer served", "zone", z.Origin())
		}
	}
	k.files = files
}

// reread reads files, all of them or those that have changed, and publishes what
// they are now, except those that have become wrong.
func (k *keeper) reread(a *app, files []zoneFile, all bool) []control.Reloaded {
	done := make([]control.Reloaded, 0, len(files))
	var changed []zoneFile
	for _, f := range files {
		z := k.zones[f.name.Fold()]
		if !all && z != nil && z.Current().Source().IsCurrent(f.file) {
			done = append(done, control.Reloaded{Zone: f.name.String(), Serial: z.Current().Serial()})
			continue
		}
		changed = append(changed, f)
	}
	results := loadZones(a, changed, func(f zoneFile, w io.Writer, p *progress) (*zone.Version, error) {
		return k.c.snapshotFlags.reload(f, func() (*zone.Version, error) { return loadZone(w, f, p) })
	})
	for i, f := range changed {
		done = append(done, k.publish(a, f, &results[i]))
	}
	giveBack(results)
	return done
}

// publish serves what came of reading f again.
func (k *keeper) publish(a *app, f zoneFile, r *loaded) control.Reloaded {
	z := k.zones[f.name.Fold()]
	if r.err != nil {
		reason := strings.TrimSpace(r.log.String())
		if reason == "" {
			reason = r.err.Error()
		}
		out := control.Reloaded{Zone: f.name.String()}
		out.Fail(reason)
		if z == nil {
			a.log.Error("new zone not served, reload when its file is right", "zone", f.name)
			return out
		}
		out.Serial = z.Current().Serial()
		a.log.Error("zone not reloaded, its last good version stays in service", "zone", f.name, "serial", out.Serial)
		return out
	}
	serial := r.version.Serial()
	defer func() { k.c.transferFlags.published(z) }()
	if z == nil {
		z = zone.New(f.name)
		k.c.transferFlags.keep(z)
		z.Publish(r.version)
		k.zones[f.name.Fold()] = z
		k.server.AddZone(z)
		a.log.Info("zone served from now on", "zone", f.name, "serial", serial)
	} else {
		warnSerial(a.log, z.Current(), r.version)
		z.Publish(r.version)
		a.log.Info("zone reloaded", "zone", f.name, "serial", serial)
	}
	return control.Reloaded{Zone: f.name.String(), Serial: serial}
}
