package main

import (
	"fmt"
	"net/netip"
	"os"

	"onoma/resolver"
	"onoma/resolver/iterator"
)

type resolverCmd struct {
	listening
	RootHints    string         `placeholder:"FILE" help:"Root servers to begin with, in a file like IANA's named.root; without it those of the Internet."`
	TrustAnchor  string         `default:"off" placeholder:"off" help:"Only \"off\": answers are not validated (DNSSEC). Their signatures reach clients that ask for them."`
	UpstreamPort uint16         `default:"53" placeholder:"PORT" help:"Port that servers are asked on (${default})."`
	Allow        []netip.Prefix `placeholder:"PREFIX" help:"Who may ask, as in 192.0.2.0/24; the flag again for more. Without it loopback and private networks."`
	Hosts        string         `placeholder:"FILE" help:"Answer from this hosts file first; without the flag from /etc/hosts if there is one, \"off\" for none."`
}

// Help is the long text of the verb.
func (resolverCmd) Help() string {
	return `A recursive resolver: it walks from the root servers to whoever knows the answer, and remembers.

With --root-hints of a lab it walks the lab: servers on loopback addresses are asked only where the hints name such.

    onoma resolver --listen 127.0.0.1:5353
    onoma resolver --listen 127.0.0.1:5353 --root-hints .lab/root.hints --upstream-port 5300`
}

// Run resolves until it is told to end.
func (c *resolverCmd) Run(a *app) error {
	defer a.logAside()()
	if c.TrustAnchor != "off" {
		return hint(fmt.Errorf("--trust-anchor %s: this resolver does not validate, expected off", c.TrustAnchor), "leave the flag out")
	}
	cfg := resolver.Config{UpstreamPort: c.UpstreamPort, Allow: c.Allow, Log: a.log}
	cfg.HostsFile = c.hostsFile()
	if c.RootHints != "" {
		hints, err := readHints(c.RootHints)
		if err != nil {
			return err
		}
		cfg.Hints, cfg.AllowLoopbackServers = hints, anyLoopback(hints)
	}
	r, err := resolver.New(cfg)
	if err != nil {
		return err
	}
	defer r.Close()
	return c.serve(a, r, operations{role: "resolver"})
}

const systemHosts = "/etc/hosts"

func (c *resolverCmd) hostsFile() string {
	switch c.Hosts {
	case "off":
		return ""
	case "":
		if _, err := os.Stat(systemHosts); err != nil {
			return ""
		}
		return systemHosts
	}
	return c.Hosts
}

func readHints(name string) ([]resolver.Hint, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading root hints: %w", err)
	}
	defer f.Close()
	return iterator.ParseHints(f, name)
}

// anyLoopback tells hints of a lab from those of the Internet.
func anyLoopback(hints []resolver.Hint) bool {
	for _, h := range hints {
		for _, a := range h.Addrs {
			if a.IsLoopback() {
				return true
			}
		}
	}
	return false
}
