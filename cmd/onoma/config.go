package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"onoma/authority/update"
	"onoma/config"
	"onoma/config/importer"
	"onoma/config/preflight"
)

type configCmd struct {
	Check   configCheckCmd   `cmd:"" help:"Tell every mistake in a configuration file, and what is wrong with what it names."`
	Import  configImportCmd  `cmd:"" help:"Make a configuration file of that of BIND, NSD, Knot DNS or PowerDNS."`
	Example configExampleCmd `cmd:"" help:"Print a configuration file to begin with."`
}

type configCheckCmd struct {
	File  string `arg:"" help:"The configuration file."`
	Quick bool   `help:"Read the configuration alone, and open nothing that it names."`
}

// Help is the long text of the verb.
func (configCheckCmd) Help() string {
	return `Mistakes in the text are told with file, line and column, all of them at once, and the exit status is 2. What the file
names is opened, too: zone files, keys, certificates, commands. What is wrong with these is a finding, and the exit status is
1. Otherwise it is 0.

    onoma config check /etc/onoma/onoma.yaml`
}

// Run checks the file.
func (c *configCheckCmd) Run(a *app) error {
	conf, err := loadConfig(c.File)
	if err != nil {
		return err
	}
	var findings []preflight.Finding
	if !c.Quick {
		findings = preflight.Check(conf, preflight.Options{Now: time.Now()})
	}
	serious := 0
	for _, f := range findings {
		if !f.Warning {
			serious++
		}
		fmt.Fprintln(a.stdout, f)
	}
	zones := len(conf.Zones)
	for _, v := range conf.Views {
		zones += len(v.Zones)
	}
	fmt.Fprintf(a.stdout, "%s: %s, %s, %s, %s\n", c.File,
		count(zones, "zone"), count(len(conf.Views), "view"), count(serious, "error"), count(len(findings)-serious, "warning"))
	if len(findings) > 0 {
		return errFindings
	}
	return nil
}

// loadConfig reads a configuration. Its error lists all mistakes.
func loadConfig(path string) (*config.Config, error) {
	conf, err := config.Load(path, config.Options{CheckRule: checkRule})
	var mistakes config.Errors
	if errors.As(err, &mistakes) {
		return nil, fmt.Errorf("%s in the configuration:\n%w", count(len(mistakes), "mistake"), mistakes)
	}
	return conf, err
}

func checkRule(text string) error {
	_, err := update.ParseRule(text)
	return err
}

type configImportCmd struct {
	From   string `required:"" enum:"bind,nsd,knot,powerdns" placeholder:"SERVER" help:"Whose configuration it is: bind, nsd, knot or powerdns (its bind backend)."`
	File   string `arg:"" help:"The configuration file of the other server; what it includes is read, too."`
	Output string `short:"o" placeholder:"FILE" help:"Where to write the configuration; it has the secrets of keys, so only this user may read it. Without it, it is printed."`
}

// Help is the long text of the verb.
func (configImportCmd) Help() string {
	return `Each thing that is different here, or that could not be carried over, is told on standard error with its file and line, and
the exit status is 1 then. Access lists that cannot be expressed let in fewer clients than before, never more.

    onoma config import --from bind /etc/bind/named.conf -o onoma.yaml`
}

// Run imports the configuration.
func (c *configImportCmd) Run(a *app) error {
	path, err := filepath.Abs(c.File) // else zone files would be seen from where the result lies
	if err != nil {
		return fmt.Errorf("importing %s: %w", c.File, err)
	}
	r, err := importer.Import(c.From, path, importer.Options{})
	if err != nil {
		return err
	}
	for _, n := range r.Notes {
		fmt.Fprintln(a.stderr, n)
	}
	if c.Output == "" {
		_, err = a.stdout.Write(r.YAML)
	} else {
		err = writeNew(c.Output, r.YAML)
	}
	if err == nil && len(r.Notes) > 0 {
		err = errFindings
	}
	return err
}

// writeNew writes a file that must not be there yet, for this user's eyes.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return hint(fmt.Errorf("%s is there already, and is not overwritten", path), "-o takes another name, or remove it")
	}
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	if _, err := f.Write(text); err != nil {
		f.Close()
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return f.Close()
}

type configExampleCmd struct{}

// Run prints the example.
func (configExampleCmd) Run(a *app) error {
	_, err := fmt.Fprint(a.stdout, config.Example)
	return err
}
