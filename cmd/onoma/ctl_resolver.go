package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"onoma/dns"
	"onoma/resolver"
	"onoma/telemetry"
	"onoma/telemetry/control"
)

// resolverDesk is what the operator may do about a resolver; nil where there is none.
func resolverDesk(r *resolver.Resolver) *control.ResolverDesk {
	if r == nil {
		return nil
	}
	return &control.ResolverDesk{
		Explain: func(ctx context.Context, req control.ExplainRequest) (any, error) {
			q := dns.Question{Name: req.Name, Type: req.Type, Class: dns.ClassIN}
			return r.Explain(ctx, q, resolver.Options{CheckingDisabled: req.CheckingDisabled, Client: req.Client})
		},
		Flush: func(req control.FlushRequest) int {
			switch {
			case req.Name.IsZero():
				return r.FlushAll()
			case req.Type != 0:
				return r.FlushType(req.Name, req.Type)
			}
			return r.Flush(req.Name, req.Tree)
		},
		Insecure: func() []control.Insecure {
			list := []control.Insecure{}
			for name, until := range r.Exceptions() {
				list = append(list, control.Insecure{Name: name.String(), Until: until})
			}
			slices.SortFunc(list, func(a, b control.Insecure) int { return strings.Compare(a.Name, b.Name) })
			return list
		},
		Except: func(x control.Insecure) { r.Except(dns.MustName(x.Name), x.Until) },
	}
}

// reportResolver adds what a resolver counts, where there is one.
func reportResolver(r *telemetry.Report, from *resolver.Resolver) {
	if from == nil {
		return
	}
	s := from.Stats()
	var rules []telemetry.RuleCount
	for _, n := range s.Rules {
		rules = append(rules, telemetry.RuleCount{List: n.List, Action: n.Action.String(), Count: n.Count})
	}
	slices.SortFunc(rules, func(a, b telemetry.RuleCount) int {
		return cmp.Or(strings.Compare(a.List, b.List), strings.Compare(a.Action, b.Action))
	})
	r.Resolving = &telemetry.Resolving{
		LookedUp: s.LookedUp, Clients: s.Clients, Failures: s.Failures, Refused: s.Refused, Stale: s.Stale, Renewals: s.Renewals, Rules: rules, InFlight: s.InFlight, Entries: s.Entries,
		UpstreamSent: s.Upstream.Sent, UpstreamFailed: s.Upstream.Failed, UpstreamOctets: s.Upstream.Octets,
		UpstreamJunk: s.Network.Junk, Private: s.Network.Private, PrivateFallbacks: s.Network.Fallbacks,
	}
}

type ctlResolveCmd struct {
	Name    string     `arg:"" help:"The name to look up."`
	Type    string     `arg:"" optional:"" default:"A" help:"The type of records (${default})."`
	Explain bool       `help:"Tell every step: who was asked and said what, the proof, what it cost."`
	Client  netip.Addr `placeholder:"ADDR" help:"As a client at this address, whose rules are heard."`
	CD      bool       `name:"cd" help:"Do not validate, as for a client with the CD flag."`
	JSON    bool       `name:"json" help:"As JSON: all that --explain has."`
}

// Help is the long text of the verb.
func (ctlResolveCmd) Help() string {
	return `The server answers as it would answer a client, from its cache where it can. With --explain it shows the reasons: each question
to a server with its time and its reply, referrals, aliases, the chain of trust and the signatures of the answer, and what
was spent of the work that one question may cause.

    onoma ctl resolve www.example.com AAAA --explain`
}

// Run asks the server's resolver.
func (c *ctlResolveCmd) Run(a *app, ctl *ctlCmd) error {
	req := control.ExplainRequest{CheckingDisabled: c.CD, Client: c.Client}
	var err error
	if req.Name, err = dns.ParseNameIDNA(c.Name); err != nil {
		return fmt.Errorf("%q is not a domain name: %w", c.Name, err)
	}
	var ok bool
	if req.Type, ok = dns.ParseType(c.Type); !ok {
		return fmt.Errorf("%q: expected a type of records, as in AAAA or MX", c.Type)
	}
	client, err := ctl.client()
	if err != nil {
		return err
	}
	var x resolver.Explanation
	if err := client.Explain(a.ctx, req, &x); err != nil {
		return advised(err)
	}
	switch {
	case c.JSON:
		err = a.printJSON(x)
	default:
		_, err = a.stdout.Write(explanationText(&x, c.Explain))
	}
	if err == nil && x.RCode == dns.RCodeServFail.String() {
		return errFindings
	}
	return err
}

type ctlFlushCmd struct {
	Name string `arg:"" optional:"" help:"The name to forget."`
	Type string `xor:"what" placeholder:"TYPE" help:"Only what is known of records of this type there."`
	Tree bool   `xor:"what" help:"And all below it."`
	All  bool   `help:"Everything."`
}

// Run has the server's resolver forget.
func (c *ctlFlushCmd) Run(a *app, ctl *ctlCmd) error {
	var req control.FlushRequest
	switch {
	case c.All == (c.Name != ""), c.All && (c.Tree || c.Type != ""):
		return errors.New("expected a name, or --all")
	case c.Name != "":
		name, err := dns.ParseNameIDNA(c.Name)
		if err != nil {
			return fmt.Errorf("%q is not a domain name: %w", c.Name, err)
		}
		req.Name, req.Tree = name, c.Tree
		var ok bool
		if req.Type, ok = dns.ParseType(c.Type); !ok && c.Type != "" {
			return fmt.Errorf("--type %q: expected a type of records, as in AAAA or MX", c.Type)
		}
	}
	client, err := ctl.client()
	if err != nil {
		return err
	}
	n, err := client.Flush(a.ctx, req)
	if err != nil {
		return advised(err)
	}
	fmt.Fprintf(a.stdout, "%d entries forgotten\n", n)
	return nil
}

type ctlInsecureCmd struct {
	Name   string        `arg:"" optional:"" help:"The name; without one those that there are are listed."`
	For    time.Duration `placeholder:"TIME" default:"1h" help:"For how long, as in 12h (${default})."`
	Remove bool          `help:"Validate there again."`
	JSON   bool          `name:"json" help:"As JSON."`
}

// Help is the long text of the verb.
func (ctlInsecureCmd) Help() string {
	return `A negative trust anchor (RFC 7646): a zone whose signatures are broken, and that is known to be no forgery, is answered as if it
were not signed. It ends by itself. One that is to stay belongs into the configuration (resolver.insecure).

    onoma ctl insecure broken.example --for 6h
    onoma ctl insecure broken.example --remove`
}

// Run lists, sets or removes negative trust anchors.
func (c *ctlInsecureCmd) Run(a *app, ctl *ctlCmd) error {
	client, err := ctl.client()
	if err != nil {
		return err
	}
	var list []control.Insecure
	switch {
	case c.Name == "" && c.Remove:
		return errors.New("--remove: expected a name")
	case c.Name == "":
		list, err = client.Insecure(a.ctx)
	case c.For <= 0:
		return fmt.Errorf("--for %v: expected a time, as in 12h", c.For)
	default:
		until := time.Now().Add(c.For).Truncate(time.Second)
		if c.Remove {
			until = time.Unix(0, 0)
		}
		list, err = client.Except(a.ctx, control.Insecure{Name: c.Name, Until: until})
	}
	if err != nil {
		return advised(err)
	}
	if c.JSON {
		return a.printJSON(list)
	}
	for _, x := range list {
		until := "until it is removed"
		if !x.Until.IsZero() {
			until = "until " + x.Until.Local().Format(time.DateTime)
		}
		fmt.Fprintf(a.stdout, "%s %s\n", x.Name, until)
	}
	if len(list) == 0 {
		fmt.Fprintln(a.stdout, "everything is validated")
	}
	return nil
}
