package main

import (
	"errors"
	"fmt"
	"io"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/zone"
)

type zoneCmd struct {
	Check  zoneCheckCmd  `cmd:"" help:"Tell every mistake in a zone file, and what is odd about the zone."`
	Format zoneFormatCmd `cmd:"" help:"Print a zone file in order and in columns; comments are lost."`
	Diff   zoneDiffCmd   `cmd:"" help:"Tell what is different between two zone files, or two versions of a server's zone."`
	Sign   zoneSignCmd   `cmd:"" help:"Sign a zone file."`
	Verify zoneVerifyCmd `cmd:"" help:"Verify all signatures of a signed zone file, and its chain of NSEC or NSEC3."`

	Log      zoneLogCmd      `cmd:"" help:"List the versions of a server's zone: who, when, by which door, why."`
	Blame    zoneBlameCmd    `cmd:"" help:"Tell which version each record of a name came with."`
	Rollback zoneRollbackCmd `cmd:"" help:"Make a new version with the content of an earlier one."`

	Keys zoneKeysCmd `cmd:"" help:"Show the keys of a zone that a server signs, what they wait for, and what is to come."`

	Ksr zoneKsrCmd `cmd:"" help:"Make a key signing request, for a key-signing key that is kept elsewhere."`
	Skr zoneSkrCmd `cmd:"" help:"Sign such a request, or check what was signed."`
}

// origin is the flag that all of the zone's verbs have.
type origin struct {
	Origin dnsName `placeholder:"NAME" help:"The zone's name; without it the file has to say it, by $$ORIGIN and its SOA record."`
}

type zoneCheckCmd struct {
	origin
	File string `arg:"" help:"The zone file."`
}

// Help is the long text of the verb.
func (zoneCheckCmd) Help() string {
	return `Mistakes in the text are told with file, line and column, all of them at once, and the exit status is 2. What is wrong
or odd about the zone that the text describes is a finding, with a cure, and the exit status is 1. Otherwise it is 0.

    onoma zone check example.com.zone --origin example.com`
}

// Run checks the file.
func (c *zoneCheckCmd) Run(a *app) error {
	v, findings, err := c.load(a.stderr, c.File)
	if err != nil {
		return err
	}
	serious := writeFindings(a.stdout, c.File, findings)
	if v != nil {
		s := v.Stats()
		fmt.Fprintf(a.stdout, "%s: zone %s, serial %d: %d names, %d records, %d errors, %d warnings\n",
			c.File, v.Origin(), v.Serial(), s.Names, s.Records, serious, len(findings)-serious)
	}
	if len(findings) > 0 {
		return errFindings
	}
	return nil
}

type zoneFormatCmd struct {
	origin
	File string `arg:"" help:"The zone file."`
}

// Run prints the zone.
func (c *zoneFormatCmd) Run(a *app) error {
	v, err := c.loadGood(a.stderr, c.File)
	if err != nil {
		return err
	}
	return zonefile.Write(a.stdout, v.Origin(), v.Records())
}

type zoneDiffCmd struct {
	origin
	From    string `arg:"" help:"The earlier zone file; with three arguments the zone's name."`
	To      string `arg:"" help:"The later zone file; with three arguments the earlier version."`
	Version string `arg:"" optional:"" help:"With three arguments: the later version, in the history of a server that runs."`

	reach
	View string `placeholder:"NAME" help:"With three arguments: the view of the zone, where the server has several."`
	JSON bool   `help:"With three arguments: as JSON."`
}

// Help is the long text of the verb.
func (zoneDiffCmd) Help() string {
	return `Records that are gone come with a minus, new ones with a plus, whatever their order and form in the files. The exit
status is 0 where there is no difference, and 1 where there is one.

    onoma zone diff old.zone new.zone
    onoma zone diff example.com 41 42`
}

// Run compares the files, or the versions.
func (c *zoneDiffCmd) Run(a *app) error {
	if c.Version != "" {
		return c.history(a)
	}
	from, err := c.loadGood(a.stderr, c.From)
	if err != nil {
		return err
	}
	to, err := c.loadGood(a.stderr, c.To)
	if err != nil {
		return err
	}
	if !from.Origin().Equal(to.Origin()) {
		return fmt.Errorf("%s is zone %s and %s is zone %s: expected two of one zone", c.From, from.Origin(), c.To, to.Origin())
	}
	d := zone.Diff(from, to)
	for _, r := range d.Removed {
		fmt.Fprintf(a.stdout, "-%s\n", r)
	}
	for _, r := range d.Added {
		fmt.Fprintf(a.stdout, "+%s\n", r)
	}
	if len(d.Removed)+len(d.Added) > 0 {
		return errFindings
	}
	return nil
}

// load reads a zone file. Its mistakes go to w, a line each.
func (o origin) load(w io.Writer, file string) (*zone.Version, []zone.Finding, error) {
	name := o.Origin.Name
	if name.IsZero() {
		var err error
		if name, err = originOf(file); err != nil {
			return nil, nil, err
		}
	}
	v, findings, err := zone.LoadFile(file, name)
	var mistakes zonefile.Errors
	if errors.As(err, &mistakes) {
		fmt.Fprintln(w, mistakes)
		return nil, nil, fmt.Errorf("%s: %s", file, count(len(mistakes), "mistake"))
	}
	return v, findings, err
}

// loadGood is load for a zone that has to be there; its findings go to w.
func (o origin) loadGood(w io.Writer, file string) (*zone.Version, error) {
	v, findings, err := o.load(w, file)
	if err != nil {
		return nil, err
	}
	writeFindings(w, file, findings)
	if v == nil {
		return nil, fmt.Errorf("%s is no zone", file)
	}
	return v, nil
}

// originOf finds the zone's name in its file: the owner of the SOA record.
func originOf(file string) (dns.Name, error) {
	r, err := zonefile.Open(file, zonefile.Options{})
	if err != nil {
		return dns.Name{}, err
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		var mistake *zonefile.Error
		switch {
		case errors.As(err, &mistake):
			continue
		case err != nil:
			return dns.Name{}, hint(fmt.Errorf("%s does not say which zone it is", file), "--origin NAME says it")
		case rec.Type == dns.TypeSOA:
			return rec.Name, nil
		}
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
