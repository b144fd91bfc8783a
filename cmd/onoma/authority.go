package main

import (
	"fmt"
	"io"

	"onoma/authority"
	"onoma/dns"
	"onoma/zone"
)

type authorityCmd struct {
	listening
	snapshotFlags
	mannersFlags
	transferFlags
	zoneFlags
}

// Help is the long text of the verb.
func (authorityCmd) Help() string {
	return `Zones are master files (RFC 1035 §5), signed ones too. A file with a mistake is not served: all its mistakes are
listed with line and column, and the exit status is 2.

SIGHUP reads all files again that have changed. A file that has become wrong keeps its last good version in service.

--zones names a file that lists zones, one "NAME FILE" a line, with # before remarks; files are looked for from the
list's directory. SIGHUP reads the list again, too: zones that are new in it are served, and those that are gone are not.

With --snapshots a zone whose files have not changed is served again at once, without reading its text.

    onoma authority --listen 127.0.0.1:5300 --zone example.com=example.com.zone`
}

// Run serves the zones until it is told to end.
func (c *authorityCmd) Run(a *app) error {
	defer a.logAside()()
	if err := c.listening.check("authority"); err != nil {
		return err
	}
	options, manners, err := c.mannersFlags.apply(a)
	if err != nil {
		return err
	}
	if err := c.transferFlags.apply(a.log, &options); err != nil {
		return err
	}
	k, zones, err := c.load(a)
	if err != nil {
		return err
	}
	c.vouch = manners.vouch()
	server := authority.New(options)
	k.server = server
	if err := server.SetZones(zones...); err != nil {
		return err
	}
	stop := c.transferFlags.notify(a, server)
	defer stop()
	return c.serve(a, server, c.operations(a, k, manners))
}

// keeper is the zones that a server serves and where they come from. It is used
// by one goroutine at a time.
type keeper struct {
	c      *authorityCmd
	server *authority.Server
	files  []zoneFile
	zones  map[dns.Name]*zone.Zone // by folded name
}

// load reads all zones, and tells of all that is wrong with any of them.
func (c *authorityCmd) load(a *app) (*keeper, []*zone.Zone, error) {
	files, err := c.zoneFlags.list()
	if err != nil {
		return nil, nil, err
	}
	k := &keeper{c: c, files: files, zones: make(map[dns.Name]*zone.Zone, len(files))}
	zones := make([]*zone.Zone, 0, len(files))
	bad := 0
	c.snapshotFlags.begin(a.log, len(files))
	results := loadZones(a, files, func(f zoneFile, w io.Writer, p *progress) (*zone.Version, error) {
		return c.snapshotFlags.start(a.log, f, func() (*zone.Version, error) { return loadZone(w, f, p) })
	})
	c.snapshotFlags.begun(a.log)
	for i, f := range files {
		if results[i].err != nil {
			bad++
			continue
		}
		z := zone.New(f.name)
		c.transferFlags.keep(z)
		z.Publish(results[i].version)
		zones = append(zones, z)
		k.zones[f.name.Fold()] = z
	}
	if bad > 0 {
		return nil, nil, hint(fmt.Errorf("%d of %d zones cannot be served", bad, len(files)), "the lines above say where and why")
	}
	giveBack(results)
	return k, zones, nil
}
