package main

import (
	"errors"
	"fmt"
	"time"

	"onoma/authority/update"
	"onoma/config"
	"onoma/config/preflight"
)

type configCmd struct {
	Check   configCheckCmd   `cmd:"" help:"Tell every mistake in a configuration file, and what is wrong with what it names."`
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

type configExampleCmd struct{}

// Run prints the example.
func (configExampleCmd) Run(a *app) error {
	_, err := fmt.Fprint(a.stdout, config.Example)
	return err
}
