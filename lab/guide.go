package lab

import (
	"context"
	"fmt"
	"io"
	"strings"

	"onoma/console"
)

// WriteGuide tells a person what runs where, and what to try. command is how
// they call onoma, and dir what they call the lab's directory.
func (l *Lab) WriteGuide(w io.Writer, command, dir string) error {
	s := l.State()
	var b strings.Builder
	b.WriteString("The whole DNS is running on this machine.\n\n")
	writeServers(&b, l.Topology(), s)
	writeHints(&b, s, command, dir)
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteStatus tells what the lab consists of now.
func (r *Remote) WriteStatus(ctx context.Context, w io.Writer) error {
	t, err := r.Topology(ctx)
	if err != nil {
		return err
	}
	var b strings.Builder
	writeServers(&b, t, r.State)
	for _, p := range t.Providers {
		fmt.Fprintf(&b, "\n%s: %s\n", p.Name, serversText(p.Servers))
		for i, z := range p.Zones {
			fmt.Fprintf(&b, "  %-30s %s\n", strings.TrimSuffix(z, "."), strings.Join(p.Security[min(i, len(p.Security)):min(i+1, len(p.Security))], ""))
		}
	}
	_, err = io.WriteString(w, b.String())
	return err
}

func serversText(servers []console.Server) string {
	texts := make([]string, len(servers))
	for i, s := range servers {
		texts[i] = fmt.Sprintf("%s (%s)", strings.TrimSuffix(s.Name, "."), s.Address)
	}
	return strings.Join(texts, ", ")
}

func writeServers(b *strings.Builder, t console.Topology, s State) {
	row := func(what, where string) { fmt.Fprintf(b, "  %-10s %s\n", what, where) }
	row("root", fmt.Sprintf("a to m.root-servers.net, %s to %s", t.Roots[0].Address, t.Roots[len(t.Roots)-1].Address))
	for _, o := range t.TLDs {
		row("."+o.Name, addresses(o))
	}
	for _, o := range t.Providers {
		row("provider", fmt.Sprintf("%s  %s, %s", addresses(o), o.Name, count(len(o.Zones), "zone")))
	}
	row("resolver", s.Resolver.String())
	row("page", s.Console)
}

func addresses(o console.Operator) string {
	texts := make([]string, len(o.Servers))
	for i, s := range o.Servers {
		texts[i] = s.Address
	}
	return strings.Join(texts, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// writeHints writes command lines that work as they stand.
func writeHints(b *strings.Builder, s State, command, dir string) {
	say := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	dig, at := "dig", s.Resolver.Addr().String()
	if s.Port != 53 {
		dig, at = fmt.Sprintf("dig -p %d", s.Port), s.Resolver.String()
	}
	in := ""
	if dir != DefaultDir {
		in = " --dir " + dir
	}
	say("\nAsk the resolver, which walks from the root:")
	say("  %s @%s www.thedns.guru", dig, s.Resolver.Addr())
	say("  %s @%s www.palettepalapp.com", dig, s.Resolver.Addr())
	say("  %s query @%s papyrus.org MX", command, at)
	say("\nWalk by hand:")
	say("  %s @%s +norecurse www.thedns.guru", dig, s.Roots["a"])
	say("  %s trace www.thedns.guru --lab %s", command, dir)
	if s.TrustAnchor != "" {
		say("\nValidate it, from the lab's own trust anchor:")
		say("  delv -p %d @%s -a %s/bind.keys +root www.thedns.guru", s.Port, s.Resolver.Addr(), dir)
	}
	say("\nChange it, and ask again:")
	say("  %s lab register example.guru --ns ns1.acropolis-dns.net,ns2.acropolis-dns.org%s", command, in)
	say("  %s lab record www.example.guru A 198.18.1.99%s", command, in)
	say("  %s @%s www.example.guru", dig, s.Resolver.Addr())
	say("\nWatch it: %s", s.Console)
	say("Zone files to read and edit are in %s/zones, all addresses in %s/lab.json.", dir, dir)
}
