package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"onoma/telemetry/control"
)

// reach is the way to a server that runs.
type reach struct {
	Control string `placeholder:"PATH" env:"ONOMA_CONTROL" help:"The server's socket: its own --control, or control in its configuration; /run/onoma/control if that is there."`
}

// usualControl is where a server with a configuration file listens unless that says otherwise.
const usualControl = "/run/onoma/control"

// client returns the way to the server.
func (c *reach) client() (*control.Client, error) {
	path := c.Control
	if _, err := os.Lstat(usualControl); path == "" && !errors.Is(err, os.ErrNotExist) {
		path = usualControl
	}
	if path == "" {
		return nil, hint(errors.New("which server? its control socket is not named"), "--control PATH, or ONOMA_CONTROL in the environment, with the path that the server was given")
	}
	return control.NewClient(path), nil
}

// The verbs about the history of a zone are both "onoma ctl zone" and "onoma zone".
type (
	ctlZoneLogCmd      struct{ zoneLog }
	ctlZoneBlameCmd    struct{ zoneBlame }
	ctlZoneRollbackCmd struct{ zoneRollback }

	zoneLogCmd struct {
		zoneLog
		reach
	}
	zoneBlameCmd struct {
		zoneBlame
		reach
	}
	zoneRollbackCmd struct {
		zoneRollback
		reach
	}
)

// Run lists versions.
func (c *ctlZoneLogCmd) Run(a *app, ctl *ctlCmd) error { return c.run(a, &ctl.reach) }

// Run lists versions.
func (c *zoneLogCmd) Run(a *app) error { return c.run(a, &c.reach) }

// Run tells where records came from.
func (c *ctlZoneBlameCmd) Run(a *app, ctl *ctlCmd) error { return c.run(a, &ctl.reach) }

// Run tells where records came from.
func (c *zoneBlameCmd) Run(a *app) error { return c.run(a, &c.reach) }

// Run goes back to a version.
func (c *ctlZoneRollbackCmd) Run(a *app, ctl *ctlCmd) error { return c.run(a, &ctl.reach) }

// Run goes back to a version.
func (c *zoneRollbackCmd) Run(a *app) error { return c.run(a, &c.reach) }

type zoneLog struct {
	namedZone
	Most  int    `short:"n" default:"20" placeholder:"N" help:"How many versions, 10,000 at most."`
	Below uint64 `placeholder:"V" help:"Begin below this version."`
	JSON  bool   `help:"As JSON."`
}

func (c *zoneLog) run(a *app, r *reach) error {
	client, err := r.client()
	if err != nil {
		return err
	}
	versions, err := client.Zone(c.Zone, c.View).Log(a.ctx, c.Below, c.Most)
	return show(a, c.JSON, versions, err, a.page().Log)
}

type zoneBlame struct {
	namedZone
	Owner string `arg:"" help:"The name whose records are meant, relative to the zone unless it ends with a dot; @ is the zone's own."`
	JSON  bool   `help:"As JSON."`
}

func (c *zoneBlame) run(a *app, r *reach) error {
	client, err := r.client()
	if err != nil {
		return err
	}
	records, err := client.Zone(c.Zone, c.View).Blame(a.ctx, c.Owner)
	return show(a, c.JSON, records, err, a.page().Blame)
}

type zoneRollback struct {
	namedZone
	Version uint64 `arg:"" help:"The version to go back to."`
	Comment string `placeholder:"TEXT" help:"Why; kept in the history."`
	Base    uint64 `placeholder:"V" help:"Refuse it if the zone is no longer at this version."`
	JSON    bool   `help:"As JSON."`
}

// Help is the long text of the verb.
func (zoneRollback) Help() string {
	return `Going back is a change like any other: it makes a new version, with a serial number that is newer than all before, so that
secondaries take it, and it can be undone in the same way.`
}

func (c *zoneRollback) run(a *app, r *reach) error {
	client, err := r.client()
	if err != nil {
		return err
	}
	done, err := client.Zone(c.Zone, c.View).Rollback(a.ctx, control.RollbackRequest{Version: c.Version, Comment: c.Comment, Base: c.Base})
	return show(a, c.JSON, done, err, a.page().Receipt)
}

type ctlZoneDiffCmd struct {
	namedZone
	From uint64 `arg:"" help:"The earlier version."`
	To   uint64 `arg:"" help:"The later version."`
	JSON bool   `help:"As JSON."`
}

// Help is the long text of the verb.
func (ctlZoneDiffCmd) Help() string { return zoneDiffCmd{}.Help() }

// Run compares two versions.
func (c *ctlZoneDiffCmd) Run(a *app, ctl *ctlCmd) error {
	client, err := ctl.client()
	if err != nil {
		return err
	}
	return a.versionsDiff(client.Zone(c.Zone, c.View), c.From, c.To, c.JSON)
}

// versionsDiff tells what is different between two versions of a zone's history.
func (a *app) versionsDiff(z *control.ZoneClient, from, to uint64, asJSON bool) error {
	d, err := z.Diff(a.ctx, from, to)
	err = show(a, asJSON, d, err, a.page().Difference)
	if err == nil && len(d.Removed)+len(d.Added) > 0 {
		return errFindings
	}
	return err
}

// history compares versions: "onoma zone diff ZONE V1 V2".
func (c *zoneDiffCmd) history(a *app) error {
	from, err1 := strconv.ParseUint(c.To, 10, 64)
	to, err2 := strconv.ParseUint(c.Version, 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return hint(fmt.Errorf("%q and %q: expected the numbers of two versions", c.To, c.Version), "\"onoma zone log\" lists them; two zone files are compared without a third argument")
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	return a.versionsDiff(client.Zone(c.From, c.View), from, to, c.JSON)
}

type ctlZoneShowCmd struct {
	namedZone
	Version uint64 `arg:"" optional:"" help:"The version; without it the one that is served."`
	Refused bool   `help:"The version that was refused last, which is kept for inspection."`
}

// Run prints a version.
func (c *ctlZoneShowCmd) Run(a *app, ctl *ctlCmd) error {
	client, err := ctl.client()
	if err != nil {
		return err
	}
	z := client.Zone(c.Zone, c.View)
	if c.Refused {
		return a.told(z.RefusedText(a.ctx, a.stdout))
	}
	return a.told(z.Text(a.ctx, c.Version, a.stdout))
}
