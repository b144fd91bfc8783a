package main

import (
	"errors"
	"fmt"
	"io"

	"onoma/authority"
	"onoma/zone"
)

type authorityCmd struct {
	listening
	snapshotFlags
	mannersFlags
	Zone []zoneFile `required:"" sep:"none" placeholder:"NAME=FILE" help:"Serve this zone from this master file; the flag again for more."`
}

// Help is the long text of the verb.
func (authorityCmd) Help() string {
	return `Zones are master files (RFC 1035 §5), signed ones too. A file with a mistake is not served: all its mistakes are
listed with line and column, and the exit status is 2.

SIGHUP reads all files again. A file that has become wrong keeps its last good version in service.

With --snapshots a zone whose files have not changed is served again at once, without reading its text.

    onoma authority --listen 127.0.0.1:5300 --zone example.com=example.com.zone`
}

// Run serves the zones until it is told to end.
func (c *authorityCmd) Run(a *app) error {
	defer a.logAside()()
	zones, err := c.load(a)
	if err != nil {
		return err
	}
	options, manners, err := c.mannersFlags.apply(a)
	if err != nil {
		return err
	}
	c.vouch = manners.vouch()
	server := authority.New(options)
	if err := server.SetZones(zones...); err != nil {
		return err
	}
	return c.serve(a, server, c.operations(a, server, zones, manners))
}

// load reads all zones, and tells of all that is wrong with any of them.
func (c *authorityCmd) load(a *app) ([]*zone.Zone, error) {
	zones := make([]*zone.Zone, len(c.Zone))
	bad := 0
	for i, f := range c.Zone {
		v, err := c.snapshotFlags.start(a.log, f, func() (*zone.Version, error) { return loadZone(a.stderr, f) })
		if err != nil {
			bad++
			continue
		}
		zones[i] = zone.New(f.name)
		zones[i].Publish(v)
	}
	if bad > 0 {
		return nil, hint(fmt.Errorf("%d of %d zones cannot be served", bad, len(zones)), "the lines above say where and why")
	}
	return zones, nil
}

var errZone = errors.New("the zone cannot be served")

// loadZone reads one zone and writes what is wrong with it to w.
func loadZone(w io.Writer, f zoneFile) (*zone.Version, error) {
	v, findings, err := zone.LoadFile(f.file, f.name)
	if err != nil {
		fmt.Fprintln(w, err)
		return nil, errZone
	}
	serious := writeFindings(w, f.file, findings)
	if serious > 0 || v == nil {
		return nil, errZone
	}
	return v, nil
}

// writeFindings writes a line for each finding and returns how many are errors.
func writeFindings(w io.Writer, file string, findings []zone.Finding) (serious int) {
	for _, f := range findings {
		kind := "warning"
		if f.Severity == zone.Error {
			kind = "error"
			serious++
		}
		fmt.Fprintf(w, "%s: %s: %s\n", file, kind, f)
	}
	return serious
}
