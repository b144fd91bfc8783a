package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/inspect"
	"onoma/lab"
	"onoma/resolver/validator"
)

type checkCmd struct {
	Zone string `arg:"" help:"The zone to check, as in example.com."`

	Lab         string        `placeholder:"DIR" xor:"hints" help:"Check a zone of the lab that runs in this directory."`
	RootHints   string        `placeholder:"FILE" xor:"hints" help:"Begin at the root servers in this file, which is like IANA's named.root."`
	TrustAnchor string        `placeholder:"FILE" help:"DS or DNSKEY records that are trusted, in the form of a zone file, or \"off\"; without it the Internet's root keys, or the lab's."`
	Port        uint16        `short:"p" placeholder:"PORT" help:"Port that servers are asked on (53)."`
	IPv4        bool          `short:"4" name:"ipv4" xor:"family" help:"Ask IPv4 servers only."`
	IPv6        bool          `short:"6" name:"ipv6" xor:"family" help:"Ask IPv6 servers only."`
	Timeout     time.Duration `default:"2s" help:"How long to wait for one reply (${default})."`
	JSON        bool          `name:"json" help:"Print JSON."`
	SVG         string        `name:"svg" placeholder:"FILE" help:"Draw the chain of trust into this file as well."`
}

// Help is the long text of the verb.
func (checkCmd) Help() string {
	return `What is wrong with a zone, its delegation and the chain of trust that leads to it, as seen from outside: all servers of
the zone and of its parent are asked. Each finding says what is wrong, where, and what to do about it. The exit status
is 1 where there is an error, and 0 where there are warnings at most.

    onoma check example.com
    onoma check thedns.guru --lab .lab --svg chain.svg
    onoma check corp.internal --root-hints internal.hints --trust-anchor internal.key

Where the root hints are one's own, so is the trust anchor: without --trust-anchor there is no chain to look at then.`
}

// Run checks the zone and shows what it found.
func (c *checkCmd) Run(a *app) error {
	name, err := dns.ParseNameIDNA(c.Zone)
	if err != nil {
		return fmt.Errorf("%q is not a domain name: %w", c.Zone, err)
	}
	o, err := c.options()
	if err != nil {
		return err
	}
	h, err := inspect.CheckZone(a.ctx, name, o)
	if err != nil {
		return err
	}
	if c.SVG != "" {
		if err := drawChain(c.SVG, h); err != nil {
			return err
		}
	}
	if err := c.print(a.stdout, h); err != nil {
		return err
	}
	if !h.IsSound() {
		return errFindings
	}
	return nil
}

// options finds the world that the zone is in: the Internet, a lab, or one's own.
func (c *checkCmd) options() (inspect.CheckOptions, error) {
	o := inspect.CheckOptions{Env: &inspect.Network{}, Port: c.Port, NoIPv4: c.IPv6, NoIPv6: c.IPv4, Timeout: c.Timeout}
	hints, anchors := c.RootHints, c.TrustAnchor
	if c.Lab != "" {
		s, err := lab.ReadState(c.Lab)
		if err != nil {
			return o, err
		}
		hints = s.RootHints
		if anchors == "" {
			anchors = s.TrustAnchor
		}
		if o.Port == 0 {
			o.Port = s.Port
		}
	}
	var err error
	if hints != "" {
		if o.Hints, err = readHints(hints); err != nil {
			return o, err
		}
		o.Loopback = anyLoopback(o.Hints)
	}
	switch {
	case anchors == "" && hints == "":
		o.Anchors = validator.RootAnchors()
	case anchors != "" && anchors != "off":
		o.Anchors, err = readAnchors(anchors)
	}
	return o, err
}

// readAnchors reads DS and DNSKEY records.
func readAnchors(file string) (anchors []dns.Record, err error) {
	r, err := zonefile.Open(file, zonefile.Options{Origin: dns.Root, DefaultTTL: 86400})
	if err != nil {
		return nil, fmt.Errorf("reading trust anchors: %w", err)
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		switch {
		case err == io.EOF && len(anchors) == 0:
			return nil, hint(fmt.Errorf("%s has no trust anchor: expected DS or DNSKEY records", file), "--trust-anchor off works without a chain of trust")
		case err == io.EOF:
			return anchors, nil
		case err != nil:
			return nil, fmt.Errorf("reading trust anchors: %w", err)
		case rec.Type == dns.TypeDS || rec.Type == dns.TypeDNSKEY:
			name, err := dns.ParseName(rec.Name.String()) // a record is good until the next one is read
			if err != nil {
				return nil, fmt.Errorf("reading trust anchors: %w", err)
			}
			rec.Name, rec.Data = name, slices.Clone(rec.Data)
			anchors = append(anchors, rec)
		}
	}
}

func (c *checkCmd) print(w io.Writer, h *inspect.Health) error {
	if c.JSON {
		return printJSON(w, h)
	}
	return h.WriteTerminal(w, isTerminal(w))
}

func drawChain(name string, h *inspect.Health) error {
	var picture bytes.Buffer
	err := h.WriteSVG(&picture)
	if err == nil {
		err = os.WriteFile(name, picture.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("drawing the picture: %w", err)
	}
	return nil
}
