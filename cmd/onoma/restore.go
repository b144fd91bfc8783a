package main

import (
	"fmt"

	"onoma/store"
)

type restoreCmd struct {
	Backup string `arg:"" type:"existingfile" help:"What \"onoma ctl backup\" has written."`
	To     string `required:"" placeholder:"URL" help:"Where to: a file that is not there yet, sqlite:PATH, or postgres://USER@HOST/DATABASE without zones in it."`
}

// Help is the long text of the verb.
func (restoreCmd) Help() string {
	return `The backup is looked at first, and a database with zones in it is never overwritten. The new database has all zones and their
history; name it in the configuration (store) and start the server. Serial numbers go on from where the backup was made: if zones were
changed after that, secondaries may have newer ones, and "onoma ctl zone status" calls them ahead.

    onoma ctl backup /backup/onoma.db
    onoma restore /backup/onoma.db --to sqlite:/var/lib/onoma/onoma.db`
}

// Run restores the backup.
func (c *restoreCmd) Run(a *app) error {
	if err := store.Restore(a.ctx, c.Backup, c.To); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s is restored to %s\n", c.Backup, c.To)
	return nil
}
