package inspect

import (
	"fmt"
	"io"
	"strings"

	"onoma/dns"
)

// The colours of a terminal drawing, by ANSI escape; empty where it has none.
type palette struct {
	reset, bold, dim             string
	root, tld, auth, alias, fail string
}

var (
	plain = palette{}
	ansi  = palette{
		reset: "\x1b[0m", bold: "\x1b[1m", dim: "\x1b[2m",
		root: "\x1b[35m", tld: "\x1b[34m", auth: "\x1b[32m", alias: "\x1b[33m", fail: "\x1b[31m",
	}
)

func (p palette) role(r Role) string {
	switch r {
	case RoleRoot:
		return p.root
	case RoleTLD:
		return p.tld
	}
	return p.auth
}

// WriteTerminal draws the journey as text, with colours if so told.
func (j *Journey) WriteTerminal(w io.Writer, colour bool) error {
	p := plain
	if colour {
		p = ansi
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s %s%s\n\n", p.bold, j.Question.Name.Unicode(), j.Question.Type, p.reset)
	for i, h := range j.Hops {
		j.writeHop(&b, p, i+1, h)
	}
	mark, tone := "✔", p.auth
	if j.RCode != dns.RCodeNoError {
		mark, tone = "✘", p.fail
	}
	fmt.Fprintf(&b, "%s%s  %s%s\n", tone, mark, p.bold+j.Conclusion(), p.reset)
	fmt.Fprintf(&b, "%s   %d questions, %s%s\n", p.dim, len(j.Hops), Duration(j.Elapsed), p.reset)
	_, err := io.WriteString(w, b.String())
	return err
}

func (j *Journey) writeHop(b *strings.Builder, p palette, n int, h Hop) {
	rail := "│"
	indent := ""
	if !h.Side.IsZero() {
		indent = "   "
	}
	tone := p.role(h.Role)
	server := h.Address.Addr().String()
	if !h.Server.IsZero() {
		server = fmt.Sprintf("%s (%s)", h.Server, server)
	}
	fmt.Fprintf(b, "%s%s%2d ● %-13s%s %s%s%s  %s%s%s%s\n", indent, tone, n, h.Role, p.reset,
		p.bold, server, p.reset, p.dim, Duration(h.RTT), protoNote(h.Proto), p.reset)
	line := func(label, text string) {
		fmt.Fprintf(b, "%s   %s%s %s%-7s%s %s\n", indent, tone, rail, p.reset+p.dim, label, p.reset, text)
	}
	if !h.Side.IsZero() {
		line("for", "the address of the name server "+h.Side.String())
	}
	line("asked", fmt.Sprintf("%s %s", h.Asked.Name, h.Asked.Type))
	switch h.Outcome {
	case OutcomeAlias:
		line("said", p.alias+h.Said()+p.reset)
	case OutcomeError:
		line("said", p.fail+h.Said()+p.reset)
	default:
		line("said", h.Said())
	}
	for i, k := range h.Keeps {
		label := ""
		if i == 0 {
			label = "keeps"
		}
		line(label, fmt.Sprintf("%s%s for %s%s", p.dim, k.What, Duration(k.For), p.reset))
	}
	fmt.Fprintf(b, "%s   %s%s%s\n", indent, tone, rail, p.reset)
}

func protoNote(proto string) string {
	if proto == "udp" || proto == "" {
		return ""
	}
	return ", " + proto
}
