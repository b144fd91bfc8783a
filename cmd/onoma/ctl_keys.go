package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"

	"onoma/telemetry/control"
)

// verbName is the name of the verb that was chosen.
type verbName string

// AfterApply has the verbs below find the way to the server, and know what they are called.
func (c *ctlCmd) AfterApply(k *kong.Context) error { return bindReach(k, &c.reach) }

// AfterApply is that of "onoma zone keys".
func (c *zoneKeysCmd) AfterApply(k *kong.Context) error { return bindReach(k, &c.reach) }

func bindReach(k *kong.Context, r *reach) error {
	k.Bind(r)
	if n := k.Selected(); n != nil {
		k.Bind(verbName(n.Name))
	}
	return nil
}

// ctlChildrenCmd has the verbs about delegations that a zone keeps as its children publish them.
type ctlChildrenCmd struct {
	Look ctlChildLookCmd `cmd:"" help:"Look at a child now, and do what follows from what it publishes."`
}

type ctlChildLookCmd struct {
	Parent  string `arg:"" help:"The zone."`
	Child   string `arg:"" help:"The delegated name."`
	View    string `placeholder:"NAME" help:"The view of the zone, where the server has several."`
	Approve bool   `help:"Do what the child's records leave to a person: a first DS, or a CSYNC without the flag immediate."`
}

// Help is the long text of the verb.
func (ctlChildLookCmd) Help() string {
	return `All name servers of the child are asked for its CDS, CDNSKEY and CSYNC records, and it is told what each said and what came of it.

    onoma ctl children look example shop.example
    onoma ctl children look example shop.example --approve`
}

// Run looks.
func (c *ctlChildLookCmd) Run(a *app, r *reach) error {
	return a.doKeys(r, namedZone{Zone: c.Parent, View: c.View}, control.KeyRequest{Do: "child", Child: c.Child, Approve: c.Approve})
}

type ctlClockCmd struct {
	Accept ctlClockAcceptCmd `cmd:"" help:"Say that the clock of the server's machine is right although it has jumped."`
}

type ctlClockAcceptCmd struct{}

// Help is the long text of the verb.
func (ctlClockAcceptCmd) Help() string {
	return `A clock that jumps by a quarter of an hour or more is not believed: signatures go on by the time before, and an alarm says so. Look at
the machine's time first; if it is right, say so with this verb.`
}

// Run says so.
func (c *ctlClockAcceptCmd) Run(a *app, r *reach) error {
	client, err := r.client()
	if err != nil {
		return err
	}
	done, err := client.AcceptClock(a.ctx)
	if err != nil {
		return a.told(err)
	}
	_, err = fmt.Fprintln(a.stdout, done.Result)
	return err
}

// absolute makes paths that the server, which may be elsewhere, understands.
func absolute(paths []string) ([]string, error) {
	out := make([]string, len(paths))
	for i, path := range paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		out[i] = abs
	}
	return out, nil
}

// writePrivate makes a file that only its owner may read. It never writes into one that others may have open.
func writePrivate(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return hint(fmt.Errorf("writing %s: %w", path, errExists), "name a new file")
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		os.Remove(path)
	}
	return err
}
