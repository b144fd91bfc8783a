package main

import (
	"fmt"
	"path/filepath"

	"onoma/telemetry/control"
)

type ctlBackupCmd struct {
	File string `arg:"" help:"A file on the server's machine; the server writes it. One that is there is replaced once the new one is whole."`
	JSON bool   `help:"As JSON."`
}

// Help is the long text of the verb.
func (ctlBackupCmd) Help() string {
	return `The server goes on meanwhile. The file is a database of its own, with all zones and their history as they were at one
moment; "onoma restore" makes a server's database of it.`
}

// Run has the database backed up.
func (c *ctlBackupCmd) Run(a *app, ctl *ctlCmd) error {
	client, err := ctl.client()
	if err != nil {
		return err
	}
	file, err := filepath.Abs(c.File)
	if err != nil {
		return err
	}
	r, err := client.Backup(a.ctx, file)
	return show(a, c.JSON, r, err, func(r control.BackupResult) error {
		_, err := fmt.Fprintf(a.stdout, "%s: %s\n", r.File, count(int(r.Octets), "octet"))
		return err
	})
}

type ctlStoreCmd struct {
	Check ctlStoreCheckCmd `cmd:"" help:"Look whether the database is sound."`
}

type ctlStoreCheckCmd struct {
	JSON bool `help:"As JSON."`
}

// Run has the database looked at. What is wrong with it are findings.
func (c *ctlStoreCheckCmd) Run(a *app, ctl *ctlCmd) error {
	client, err := ctl.client()
	if err != nil {
		return err
	}
	r, err := client.CheckStore(a.ctx)
	err = show(a, c.JSON, r, err, func(r control.StoreCheck) error {
		for _, p := range r.Problems {
			fmt.Fprintln(a.stdout, p)
		}
		if r.Sound {
			fmt.Fprintln(a.stdout, "the database is sound")
		}
		return nil
	})
	if err == nil && !r.Sound {
		return errFindings
	}
	return err
}

type ctlConfigCmd struct {
	Reload ctlConfigReloadCmd `cmd:"" help:"Read the configuration again; no query is lost."`
}

type ctlConfigReloadCmd struct {
	JSON bool `help:"As JSON."`
}

// Run has the configuration read again. A mistake in it is a finding: what was there before goes on.
func (c *ctlConfigReloadCmd) Run(a *app, ctl *ctlCmd) error {
	client, err := ctl.client()
	if err != nil {
		return err
	}
	r, err := client.ReloadConfig(a.ctx)
	return show(a, c.JSON, r, err, func(r control.ConfigReload) error {
		if len(r.Changes)+len(r.Pending) == 0 {
			fmt.Fprintf(a.stdout, "%s: nothing has changed\n", r.File)
		}
		for _, x := range r.Changes {
			fmt.Fprintln(a.stdout, x)
		}
		for _, x := range r.Pending {
			fmt.Fprintf(a.stdout, "after a restart: %s\n", x)
		}
		for _, x := range r.Warnings {
			fmt.Fprintf(a.stderr, "onoma: %s\n", x)
		}
		return nil
	})
}
