package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"onoma/telemetry/control"
	"onoma/telemetry/screen"
)

// ctlZoneCmd has the verbs about zones of a server that runs.
type ctlZoneCmd struct {
	List       ctlZoneListCmd       `cmd:"" help:"List the zones: kind, state, version, serial, secondaries in sync."`
	Status     ctlZoneStatusCmd     `cmd:"" help:"Tell all about one zone: state, primaries, timers, history, secondaries."`
	Wait       ctlZoneWaitCmd       `cmd:"" help:"Wait until all secondaries serve a version."`
	Log        ctlZoneLogCmd        `cmd:"" help:"List the zone's versions: who, when, by which door, why."`
	Diff       ctlZoneDiffCmd       `cmd:"" help:"Tell what is different between two versions."`
	Blame      ctlZoneBlameCmd      `cmd:"" help:"Tell which version each record of a name came with."`
	Rollback   ctlZoneRollbackCmd   `cmd:"" help:"Make a new version with the content of an earlier one."`
	Show       ctlZoneShowCmd       `cmd:"" help:"Print a version as a zone file."`
	Change     ctlZoneChangeCmd     `cmd:"" help:"Add and remove records."`
	Reload     ctlZoneReloadCmd     `cmd:"" help:"Read the zone's file again."`
	Refresh    ctlZoneRefreshCmd    `cmd:"" help:"Ask the zone's primaries whether they have a newer version."`
	Retransfer ctlZoneRetransferCmd `cmd:"" help:"Fetch the whole zone from its primaries."`
	Notify     ctlZoneNotifyCmd     `cmd:"" help:"Tell the zone's secondaries once more that there is a version."`
}

// Help is the long text of the verb.
func (ctlZoneCmd) Help() string {
	return `A change is one version, and all of it happens or nothing. A change that is refused is told with the reason, and the exit
status is 1.

    onoma ctl zone change example.com --remove 'www A' --add 'www 300 A 192.0.2.1' --comment 'new web server'
    onoma ctl zone wait example.com
    onoma ctl zone log example.com
    onoma ctl zone rollback example.com 41`
}

// page returns where a verb writes for people.
func (a *app) page() screen.Page {
	return screen.Page{W: a.stdout, Now: time.Now(), Colour: isTerminal(a.stdout)}
}

// told returns the error of a verb: what the server has refused is a finding, which is told here.
func (a *app) told(err error) error {
	var p *control.Problem
	if !errors.As(err, &p) || !p.Refused() {
		return advised(err)
	}
	fmt.Fprintf(a.stderr, "onoma: %v\n", err)
	for _, f := range p.Findings {
		fmt.Fprintf(a.stderr, "  %s\n", f)
	}
	if p.Hint != "" {
		fmt.Fprintf(a.stderr, "  hint: %s\n", p.Hint)
	}
	return errFindings
}

// namedZone are the arguments of every verb about one zone.
type namedZone struct {
	Zone string `arg:"" help:"The zone's name."`
	View string `placeholder:"NAME" help:"The view of the zone, where the server has several."`
}

// show prints a value as JSON, or as draw does.
func show[T any](a *app, asJSON bool, v T, err error, draw func(T) error) error {
	switch {
	case err != nil:
		return a.told(err)
	case asJSON:
		return a.printJSON(v)
	}
	return draw(v)
}

type ctlZoneListCmd struct {
	View  *string         `placeholder:"NAME" help:"Only the zones of this view."`
	State []control.State `placeholder:"STATE" enum:"served,refused,loading,expired,broken,alarm" help:"Only zones in this state: served, refused, loading, expired, broken; alarm: those whose signing has one."`
	JSON  bool            `help:"As JSON."`
}

// Run lists the zones.
func (c *ctlZoneListCmd) Run(a *app, ctl *ctlCmd) error {
	client, err := ctl.client()
	if err != nil {
		return err
	}
	zones, err := client.ZoneLines(a.ctx)
	zones = slices.DeleteFunc(zones, func(z control.ZoneLine) bool {
		isOther := len(c.State) > 0 && !slices.Contains(c.State, z.State) && (z.Alarm == "" || !slices.Contains(c.State, "alarm"))
		return c.View != nil && z.View != *c.View || isOther
	})
	return show(a, c.JSON, zones, err, a.page().Zones)
}

type ctlZoneStatusCmd struct {
	namedZone
	JSON bool `help:"As JSON."`
}

// Run tells all about a zone.
func (c *ctlZoneStatusCmd) Run(a *app, ctl *ctlCmd) error {
	client, err := ctl.client()
	if err != nil {
		return err
	}
	z, err := client.Zone(c.Zone, c.View).Detail(a.ctx)
	return show(a, c.JSON, z, err, a.page().Zone)
}

type ctlZoneWaitCmd struct {
	namedZone
	Serial  *uint32       `placeholder:"N" help:"Wait for this serial number or a newer one; without it, for the one that the server serves now."`
	Timeout time.Duration `default:"10s" help:"How long to wait, 10 minutes at most."`
	JSON    bool          `help:"As JSON."`
}

// Help is the long text of the verb.
func (ctlZoneWaitCmd) Help() string {
	return `The exit status is 0 when this server and all secondaries serve it, and 1 when the time is over before that; then it is
told who does not serve it, since when, and why. Secondaries are those that the server follows: "onoma ctl zone status" lists them.
What caches elsewhere still hold has nothing to do with it: that expires when its TTL says so.`
}

// Run waits.
func (c *ctlZoneWaitCmd) Run(a *app, ctl *ctlCmd) error {
	client, err := ctl.client()
	if err != nil {
		return err
	}
	r, err := client.Zone(c.Zone, c.View).Wait(a.ctx, c.Serial, c.Timeout)
	err = show(a, c.JSON, r, err, func(r control.WaitResult) error { return a.page().Wait(c.Zone, r) })
	if err == nil && !r.InSync {
		return errFindings
	}
	return err
}

type ctlZoneChangeCmd struct {
	namedZone
	Add     []string `sep:"none" placeholder:"RECORD" help:"A line of a zone file, such as 'www 300 A 192.0.2.1'; the flag again for more. Names are relative to the zone unless they end with a dot."`
	Remove  []string `sep:"none" placeholder:"RECORD" help:"What goes: 'www A 192.0.2.1' a record, 'www A' all of that type, 'www' all at that name."`
	Comment string   `placeholder:"TEXT" help:"Why; kept in the history."`
	Base    uint64   `placeholder:"V" help:"Refuse the change if the zone is no longer at this version."`
	JSON    bool     `help:"As JSON."`
}

// Run asks for the change.
func (c *ctlZoneChangeCmd) Run(a *app, ctl *ctlCmd) error {
	if len(c.Add)+len(c.Remove) == 0 {
		return hint(errors.New("the change is empty"), "--add RECORD, --remove RECORD")
	}
	client, err := ctl.client()
	if err != nil {
		return err
	}
	r, err := client.Zone(c.Zone, c.View).Change(a.ctx, control.ChangeRequest{Add: c.Add, Remove: c.Remove, Comment: c.Comment, Base: c.Base})
	return show(a, c.JSON, r, err, a.page().Receipt)
}

// zoneAction is a verb that asks for something about zones.
type zoneAction struct {
	Zone []string `arg:"" help:"The zones' names."`
	View string   `placeholder:"NAME" help:"The view of the zones, where the server has several."`
	JSON bool     `help:"As JSON."`
}

func (c *zoneAction) run(a *app, ctl *ctlCmd, what string) error {
	client, err := ctl.client()
	if err != nil {
		return err
	}
	var all []control.Done
	for _, name := range c.Zone {
		done, err := client.Zone(name, c.View).Do(a.ctx, what)
		if err != nil {
			return a.told(err)
		}
		all = append(all, done)
	}
	return show(a, c.JSON, all, nil, func(all []control.Done) error {
		for _, d := range all {
			fmt.Fprintf(a.stdout, "%s %s\n", d.Zone, strings.TrimSpace(d.Result))
		}
		return nil
	})
}

type ctlZoneReloadCmd struct {
	zoneAction
	TakeFile bool `help:"Read a file that is the first content of its zone only, too: it takes the place of all that the zone has become."`
}

// Run has the zones' files read again.
func (c *ctlZoneReloadCmd) Run(a *app, ctl *ctlCmd) error {
	if c.TakeFile {
		return c.run(a, ctl, "take-file")
	}
	return c.run(a, ctl, "reload")
}

type ctlZoneRefreshCmd struct{ zoneAction }

// Run has the zones' primaries asked.
func (c *ctlZoneRefreshCmd) Run(a *app, ctl *ctlCmd) error { return c.run(a, ctl, "refresh") }

type ctlZoneRetransferCmd struct{ zoneAction }

// Run has the zones fetched.
func (c *ctlZoneRetransferCmd) Run(a *app, ctl *ctlCmd) error { return c.run(a, ctl, "retransfer") }

type ctlZoneNotifyCmd struct{ zoneAction }

// Run has the zones' secondaries told.
func (c *ctlZoneNotifyCmd) Run(a *app, ctl *ctlCmd) error { return c.run(a, ctl, "notify") }
