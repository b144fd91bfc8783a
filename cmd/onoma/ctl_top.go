package main

import (
	"errors"
	"io"
	"os"
	"time"

	"onoma/telemetry/screen"
)

type ctlTopCmd struct {
	JSON   bool          `help:"Print the most frequent names, clients and denied names once, as JSON."`
	Window time.Duration `default:"10s" help:"With --json: how far back to look, up to 1m (${default})."`
	Count  int           `short:"n" default:"20" help:"With --json: how many of each (${default})."`
}

// Help is the long text of the verb.
func (ctlTopCmd) Help() string {
	return `Tab goes from page to page, p pauses, w changes between the last ten seconds and the last minute, q ends it.

Names and clients are estimated from one query in --top-sample of the server; each page says how far off they may be.`
}

// Run shows the server on the terminal until the person has had enough.
func (c *ctlTopCmd) Run(a *app, ctl *ctlCmd) error {
	client, err := ctl.client()
	if err != nil {
		return err
	}
	if c.JSON {
		top, err := client.Top(a.ctx, c.Window, c.Count)
		if err != nil {
			return advised(err)
		}
		return a.printJSON(top)
	}
	if !isScreen(a.stdout) {
		return hint(errors.New("standard output is not a terminal"), "--json prints once what it would show of names and clients, \"onoma ctl stats\" the rest")
	}
	if _, err := client.Report(a.ctx); err != nil {
		return advised(err) // better told here than on an empty screen
	}
	return screen.Watch(a.ctx, client, os.Stdin, a.stdout)
}

// isScreen says whether w can be drawn on.
func isScreen(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
