package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"onoma/dns"
	"onoma/inspect"
	"onoma/lab"
)

type traceCmd struct {
	Name string `arg:"" help:"The name to follow."`
	Type string `arg:"" optional:"" default:"A" help:"The type of record to look for (${default})."`

	Lab       string `placeholder:"DIR" xor:"hints" help:"Begin at the root of the lab that runs in this directory."`
	RootHints string `placeholder:"FILE" xor:"hints" help:"Begin at the root servers in this file, which is like IANA's named.root."`
	Port      uint16 `short:"p" placeholder:"PORT" help:"Port that servers are asked on (53)."`
	IPv4      bool   `short:"4" name:"ipv4" xor:"family" help:"Ask IPv4 servers only."`
	IPv6      bool   `short:"6" name:"ipv6" xor:"family" help:"Ask IPv6 servers only."`
	Minimise  bool   `help:"Send each server only as much of the name as it needs (RFC 9156)."`
	JSON      bool   `name:"json" help:"Print JSON."`
	SVG       string `name:"svg" placeholder:"FILE" help:"Draw a picture into this file as well."`
}

// Help is the long text of the verb.
func (traceCmd) Help() string {
	return `The journey of a name from a root server to its answer, as a resolver that knows nothing makes it: who was asked, what
they said, how long it took, and what would be remembered for how long. Where it ends without an answer the exit
status is 1.

    onoma trace www.thedns.guru --lab .lab
    onoma trace example.com MX --svg journey.svg`
}

// Run makes the journey and shows it.
func (c *traceCmd) Run(a *app) error {
	q, err := c.question()
	if err != nil {
		return err
	}
	o, err := c.options()
	if err != nil {
		return err
	}
	j, err := inspect.Trace(a.ctx, q, o)
	if err != nil {
		return err
	}
	if c.SVG != "" {
		if err := writePicture(c.SVG, j); err != nil {
			return err
		}
	}
	if err := c.print(a.stdout, j); err != nil {
		return err
	}
	if j.RCode != dns.RCodeNoError && j.RCode != dns.RCodeNXDomain {
		return errFindings
	}
	return nil
}

func (c *traceCmd) question() (dns.Question, error) {
	name, err := dns.ParseNameIDNA(c.Name)
	if err != nil {
		return dns.Question{}, fmt.Errorf("%q is not a domain name: %w", c.Name, err)
	}
	typ, ok := dns.ParseType(c.Type)
	if !ok {
		return dns.Question{}, fmt.Errorf("%q is not a type of record: expected one as in A, MX or TYPE65280", c.Type)
	}
	return dns.Question{Name: name, Type: typ, Class: dns.ClassIN}, nil
}

func (c *traceCmd) options() (inspect.TraceOptions, error) {
	o := inspect.TraceOptions{Env: &inspect.Network{}, Port: c.Port, Minimise: c.Minimise, NoIPv4: c.IPv6, NoIPv6: c.IPv4}
	hints := c.RootHints
	if c.Lab != "" {
		s, err := lab.ReadState(c.Lab)
		if err != nil {
			return o, err
		}
		hints = s.RootHints
		if o.Port == 0 {
			o.Port = s.Port
		}
	}
	if hints == "" {
		return o, nil
	}
	var err error
	if o.Hints, err = readHints(hints); err != nil {
		return o, err
	}
	o.Loopback = anyLoopback(o.Hints)
	return o, nil
}

func (c *traceCmd) print(w io.Writer, j *inspect.Journey) error {
	if c.JSON {
		return printJSON(w, j)
	}
	return j.WriteTerminal(w, isTerminal(w))
}

func writePicture(name string, j *inspect.Journey) error {
	var picture bytes.Buffer
	err := j.WriteSVG(&picture)
	if err == nil {
		err = os.WriteFile(name, picture.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("drawing the picture: %w", err)
	}
	return nil
}

// isTerminal says whether colours are wanted: a terminal, and no NO_COLOR.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
