package main

import (
	"fmt"
	"strings"

	"onoma/lab"
)

type labRecordCmd struct {
	labDir
	Name      string   `arg:"" help:"Whose record it is, as in www.example.guru."`
	Type      string   `arg:"" help:"The type of the record, as in A, MX or TXT."`
	Data      []string `arg:"" optional:"" help:"Its data, as in 10 mx1.hermes-mail.com; names are complete, with or without a final dot."`
	TTL       *uint32  `name:"ttl" placeholder:"SECONDS" help:"How long resolvers may remember it; without it as before, or as the zone's others."`
	Add       bool     `xor:"what" help:"Add it beside those that are there, instead of putting it in their place."`
	Delete    bool     `xor:"what" help:"Delete it; without data, all of the type."`
	KeepCache bool     `help:"Let the lab's resolver remember what it knew, as resolvers in the world do."`
}

// Help is the long text of the verb.
func (labRecordCmd) Help() string {
	return `The change is made at every provider that serves the domain. For a domain that has been registered, and has no zone
yet, they make one.

    onoma lab record www.example.guru A 198.18.1.99
    onoma lab record example.guru MX 10 mx1.hermes-mail.com --add
    onoma lab record example.guru TXT '"v=spf1 include:_spf.hermes-mail.com -all"'
    onoma lab record www.example.guru A --delete`
}

// Run sends the change to the running lab.
func (c *labRecordCmd) Run(a *app) error {
	if len(c.Data) == 0 && !c.Delete {
		return hint(fmt.Errorf("%s %s: expected the record's data", c.Name, c.Type), "onoma lab record --help has examples")
	}
	remote, err := lab.Connect(c.Dir)
	if err != nil {
		return err
	}
	done, err := remote.Record(a.ctx, lab.RecordChange{
		Name: c.Name, Type: c.Type, Data: strings.Join(c.Data, " "), TTL: c.TTL,
		Add: c.Add, Delete: c.Delete, KeepCache: c.KeepCache,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, done)
	return err
}
