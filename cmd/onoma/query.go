package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"

	"onoma/dns"
	"onoma/inspect"
)

type queryCmd struct {
	// Four arguments that kong lets stand between flags, as a list of them may not.
	Name   string `arg:"" optional:"" help:"The name to ask for."`
	Type   string `arg:"" optional:"" help:"The type of record (A)."`
	Server string `arg:"" optional:"" name:"@server" help:"Whom to ask: @ADDR, @NAME or @ADDR:PORT, encrypted with @tls://ADDR, @quic://ADDR or @https://NAME/PATH."`
	Class  string `arg:"" optional:"" help:"The class (IN). These four may stand in any order."`

	Reverse netip.Addr    `short:"x" placeholder:"ADDR" help:"Ask for the name of this address."`
	Port    uint16        `short:"p" placeholder:"PORT" help:"The server's port (53)."`
	IPv4    bool          `short:"4" name:"ipv4" xor:"family" help:"Ask IPv4 servers only."`
	IPv6    bool          `short:"6" name:"ipv6" xor:"family" help:"Ask IPv6 servers only."`
	TCP     bool          `help:"Ask over TCP at once."`
	DNSSEC  bool          `name:"dnssec" help:"Ask for signatures and proofs (DO)."`
	Recurse bool          `negatable:"" default:"true" help:"Ask the server to ask others (RD)."`
	CD      bool          `name:"cd" help:"Ask the server not to validate (CD)."`
	NSID    bool          `name:"nsid" help:"Ask the server who it is (RFC 5001)."`
	EDNS    edns          `name:"edns" default:"0" placeholder:"VERSION" help:"EDNS version, or \"no\"."`
	Bufsize uint16        `default:"1232" placeholder:"N" help:"Largest UDP reply that is asked for (${default})."`
	Timeout time.Duration `default:"5s" placeholder:"TIME" help:"How long to wait for each try (${default})."`
	Tries   int           `default:"3" placeholder:"N" help:"How often to ask each server (${default})."`
	Short   bool          `xor:"form" help:"Print the answer's data alone."`
	JSON    bool          `name:"json" xor:"form" help:"Print JSON."`
	trustFlags
}

// Help is the long text of the verb.
func (queryCmd) Help() string {
	return `One question to one server, and its reply in full. Without @SERVER it goes to the first of /etc/resolv.conf that replies.
A truncated reply is asked for again over TCP. Names may be internationalised. A reply that says "no such name" is a
reply: the exit status is 0. It is 2 where nobody replied.

    onoma query example.com MX
    onoma query @127.53.0.53 www.thedns.guru --short
    onoma query @tls://dns.example www.example.com
    onoma query @https://127.0.0.1:8443/dns-query www.example.com --insecure
    onoma query -x 198.18.25.10 @127.53.0.53:5300
    onoma query com. NS @127.53.0.1 --no-recurse --dnssec --json`
}

// Run asks and prints the reply.
func (c *queryCmd) Run(a *app) error {
	words, err := parseWords([]string{c.Name, c.Type, c.Server, c.Class})
	if err != nil {
		return err
	}
	q, err := c.question(words)
	if err != nil {
		return err
	}
	target, err := parseTarget(words.server)
	if err != nil {
		return err
	}
	if c.Port != 0 {
		target.port = c.Port
	}
	servers, err := c.servers(a.ctx, target)
	if err != nil {
		return err
	}
	network, err := c.network(target)
	if err != nil {
		return err
	}
	if c.Tries < 1 || c.Timeout <= 0 {
		return fmt.Errorf("--tries %d --timeout %s: expected at least one try of some length", c.Tries, c.Timeout)
	}
	ask := inspect.Query{
		Env: network, Encrypted: target.proto, Servers: servers, Question: q, Recurse: c.Recurse, CD: c.CD, AD: true,
		TCP: c.TCP, Timeout: c.Timeout, Tries: c.Tries, EDNS: c.edns(),
	}
	reply, err := ask.Ask(a.ctx)
	if err != nil {
		return err
	}
	return c.print(a.stdout, reply)
}

func (c *queryCmd) edns() *dns.EDNS {
	if c.EDNS.off {
		return nil
	}
	e := &dns.EDNS{UDPSize: c.Bufsize, Version: c.EDNS.version, DO: c.DNSSEC}
	if c.NSID {
		e.Options = append(e.Options, dns.Option{Code: dns.OptionNSID})
	}
	return e
}

func (c *queryCmd) print(w io.Writer, r *inspect.Reply) error {
	switch {
	case c.Short:
		return r.WriteShort(w)
	case c.JSON:
		return printJSON(w, r)
	}
	return r.WriteText(w)
}

// printJSON writes v for programs, and for people who look at it.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
