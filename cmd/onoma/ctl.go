package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"onoma/telemetry/control"
	"onoma/telemetry/screen"
)

// ctlCmd talks to a server that runs. A verb is one more command here, and one more Route there.
type ctlCmd struct {
	reach

	Status   ctlStatusCmd   `cmd:"" help:"Say in a few lines whether the server is well."`
	Stats    ctlStatsCmd    `cmd:"" help:"Show all that the server counts."`
	Top      ctlTopCmd      `cmd:"" help:"Watch the server live: rates, names, clients, threads."`
	Zones    ctlZonesCmd    `cmd:"" help:"List the zones that the server serves."`
	Zone     ctlZoneCmd     `cmd:"" help:"Look at zones, change them, and follow them to their secondaries."`
	Keys     keysCmd        `cmd:"" help:"Look at the keys of signed zones, and roll, import and export them."`
	Children ctlChildrenCmd `cmd:"" help:"Look at the zones below one that is served."`
	Clock    ctlClockCmd    `cmd:"" help:"The clock of the server's machine."`
	Resolve  ctlResolveCmd  `cmd:"" help:"Have a resolver answer a question, and say why the answer is what it is."`
	Flush    ctlFlushCmd    `cmd:"" help:"Have a resolver forget a name, all below it, or everything."`
	Insecure ctlInsecureCmd `cmd:"" help:"Names that a resolver does not validate: list them, add one for a time, take one away."`
	Dump     ctlDumpCmd     `cmd:"" help:"Print a zone as it is served, as a zone file."`
	Reload   ctlReloadCmd   `cmd:"" help:"Read one zone's file again, or all."`
	Config   ctlConfigCmd   `cmd:"" help:"The server's configuration."`
	Store    ctlStoreCmd    `cmd:"" help:"The server's database."`
	Backup   ctlBackupCmd   `cmd:"" help:"Write a copy of the server's database while it runs."`
}

// Help is the long text of the verb.
func (ctlCmd) Help() string {
	return `The server listens on the socket that its --control or its configuration names. Set ONOMA_CONTROL for both, and no flag is needed;
` + usualControl + ` needs none either.

    onoma authority --listen 127.0.0.1:5300 --zone example.com=example.com.zone --control /run/onoma/control
    onoma ctl --control /run/onoma/control status`
}

// advised adds what to do about an error of the server or of the way to it.
func advised(err error) error {
	var p *control.Problem
	switch {
	case errors.Is(err, control.ErrNoServer):
		return hint(err, "start it with --control and this path, or name its path")
	case errors.Is(err, control.ErrDenied):
		return hint(err, "it is for the user that the server runs as, and for root")
	case errors.As(err, &p) && p.Hint != "":
		return hint(err, "%s", p.Hint)
	}
	return err
}

type ctlStatusCmd struct {
	JSON bool `help:"As JSON: all that \"ctl stats\" has."`
}

// Run asks for a report and shows its first lines.
func (c *ctlStatusCmd) Run(a *app, ctl *ctlCmd) error {
	return ctl.report(a, c.JSON, false)
}

type ctlStatsCmd struct {
	JSON bool `help:"As JSON."`
}

// Run asks for a report and shows it.
func (c *ctlStatsCmd) Run(a *app, ctl *ctlCmd) error {
	return ctl.report(a, c.JSON, true)
}

func (c *ctlCmd) report(a *app, asJSON, all bool) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	r, err := client.Report(a.ctx)
	switch {
	case err != nil:
		return advised(err)
	case asJSON:
		err = a.printJSON(r)
	case all:
		return screen.WriteStats(a.stdout, &r)
	default:
		err = screen.WriteStatus(a.stdout, &r)
	}
	if err == nil && !all && screen.IsAlarming(&r) {
		return errFindings
	}
	return err
}

func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

type ctlZonesCmd struct {
	JSON bool `help:"As JSON."`
}

// Run lists the zones.
func (c *ctlZonesCmd) Run(a *app, ctl *ctlCmd) error {
	client, err := ctl.client()
	if err != nil {
		return err
	}
	zones, err := client.Zones(a.ctx)
	if err != nil {
		return advised(err)
	}
	if c.JSON {
		return a.printJSON(zones)
	}
	return screen.WriteZones(a.stdout, zones)
}

type ctlDumpCmd struct {
	Zone string `arg:"" help:"The zone's name."`
}

// Run prints a zone.
func (c *ctlDumpCmd) Run(a *app, ctl *ctlCmd) error {
	client, err := ctl.client()
	if err != nil {
		return err
	}
	return advised(client.Dump(a.ctx, c.Zone, a.stdout))
}

type ctlReloadCmd struct {
	Zone string `arg:"" optional:"" help:"The zone's name; without it all zones are read again."`
}

// Run has the server read zones again. A zone that has become wrong is a finding: its last good version stays in service.
func (c *ctlReloadCmd) Run(a *app, ctl *ctlCmd) error {
	client, err := ctl.client()
	if err != nil {
		return err
	}
	done, err := client.Reload(a.ctx, c.Zone)
	if err != nil {
		return advised(err)
	}
	bad := false
	for _, z := range done {
		if z.Error == "" {
			fmt.Fprintf(a.stdout, "%s serial %d\n", z.Zone, z.Serial)
			continue
		}
		bad = true
		fmt.Fprintf(a.stdout, "%s not reloaded, serial %d stays in service:\n%s\n", z.Zone, z.Serial, z.Error)
	}
	if bad {
		return errFindings
	}
	return nil
}
