package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"onoma/lab"
)

type labCmd struct {
	Start    labStartCmd    `cmd:"" default:"withargs" help:"Run the lab until it is told to end (the default)."`
	Register labRegisterCmd `cmd:"" help:"Register a domain, or change or delete its delegation, as a registrar's panel does."`
	Record   labRecordCmd   `cmd:"" help:"Change a customer's record, as a hosting panel does."`
	Status   labStatusCmd   `cmd:"" help:"Tell what runs where."`
}

// Help is the long text of the verb.
func (labCmd) Help() string {
	return `Thirteen root servers with a real root zone, registries, hosting providers with customers, a resolver that walks
all of it, and a page to watch it: every server at a loopback address of its own, for dig and all its friends. No root
rights are needed; without them the port is 5300 instead of 53. Nothing is sent to the world outside.

    onoma lab                                       (as "onoma lab start": --dir DIR, --port PORT)
    dig -p 5300 @127.53.0.53 www.thedns.guru
    onoma lab register example.guru --ns ns1.acropolis-dns.net,ns2.acropolis-dns.org
    onoma lab record www.example.guru A 198.18.1.99`
}

// labDir is the flag that all of the lab's verbs have.
type labDir struct {
	Dir string `default:".lab" placeholder:"DIR" help:"The lab's directory (${default}): zone files to read and edit, root.hints, lab.json."`
}

type labStartCmd struct {
	labDir
	Port uint16 `placeholder:"PORT" help:"Port of all servers; without it 53, or 5300 where that is not to be had."`
}

// Help is the long text of the verb.
func (labStartCmd) Help() string {
	return `Zone files are written to DIR/zones once, and are yours from then on: edit them and send SIGHUP. DIR/lab.json has all
addresses, and is there while everything answers. SIGTERM or Ctrl-C ends the lab.`
}

// Run runs the lab.
func (c *labStartCmd) Run(a *app) error {
	defer a.logAside()()
	l, err := lab.Start(a.ctx, lab.Config{Dir: c.Dir, Port: c.Port, Log: a.log})
	if err != nil {
		if a.ctx.Err() != nil {
			return nil // told to end while it began
		}
		return hint(err, "onoma lab --help tells about ports and directories")
	}
	if err := l.WriteGuide(a.stdout, calledAs(), c.Dir); err != nil {
		l.Close()
		return err
	}
	a.log.Info("ready", "resolver", l.State().Resolver, "page", l.State().Console, "directory", c.Dir)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ended := make(chan error, 1)
	go func() { ended <- l.Wait() }()
	for {
		select {
		case err := <-ended:
			return err
		case <-hangup:
			if err := l.Reload(); err != nil {
				a.log.Error("zones not reloaded, their last good versions stay in service", "error", err)
				continue
			}
			a.log.Info("zones reloaded")
		}
	}
}

// calledAs is what to type to call this program again from here.
func calledAs() string {
	if name := os.Args[0]; filepath.Base(name) != name && !filepath.IsAbs(name) {
		return name
	}
	return "onoma"
}

type labRegisterCmd struct {
	labDir
	Name      string   `arg:"" help:"The domain, as in example.guru."`
	NS        []string `name:"ns" placeholder:"HOST" xor:"what" required:"" help:"Its name servers, with commas between them or the flag again."`
	Glue      []string `placeholder:"HOST=ADDR" help:"Address of a name server within the domain itself; the flag again for more."`
	Delete    bool     `xor:"what" required:"" help:"Delete the delegation."`
	KeepCache bool     `help:"Let the lab's resolver remember what it knew, as resolvers in the world do."`
	NoWait    bool     `help:"Do not wait until the domain is secure."`
}

// patience is how long a domain may take to be secure.
const patience = 15 * time.Second

// Help is the long text of the verb.
func (labRegisterCmd) Help() string {
	return `The provider of a domain that is new begins a zone of it, signs it, and tells the registry, which looks at
all its servers and puts the DS record into its own zone. What has happened is told with the time since the command began.

    onoma lab register example.guru --ns ns1.acropolis-dns.net,ns2.acropolis-dns.org`
}

// Run sends the change to the running lab, and follows what comes of it.
func (c *labRegisterCmd) Run(a *app) error {
	remote, err := lab.Connect(c.Dir)
	if err != nil {
		return err
	}
	began := time.Now()
	done, err := remote.Register(a.ctx, lab.Registration{Name: c.Name, NS: c.NS, Glue: c.Glue, Delete: c.Delete, KeepCache: c.KeepCache})
	if err != nil {
		return err
	}
	if _, err = fmt.Fprintln(a.stdout, done); err != nil || c.Delete || c.NoWait {
		return err
	}
	isDone, err := remote.Follow(a.ctx, a.stdout, c.Name, began, patience)
	if err == nil && !isDone {
		return errFindings
	}
	return err
}

type labStatusCmd struct{ labDir }

// Run tells what the running lab consists of.
func (c *labStatusCmd) Run(a *app) error {
	remote, err := lab.Connect(c.Dir)
	if err != nil {
		return err
	}
	return remote.WriteStatus(a.ctx, a.stdout)
}
