package inspect

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/validator"
	"onoma/zone"
)

// checkColumns is how wide the words of a report are.
const checkColumns = 100

// WriteTerminal draws the chain, lists the servers, and tells the findings; with
// colours if so told. Nothing is told by colour alone.
func (h *Health) WriteTerminal(w io.Writer, colour bool) error {
	d := &chainText{palette: plain, h: h}
	if colour {
		d.palette = ansi
	}
	d.headline()
	d.chain()
	d.servers()
	d.findings()
	_, err := io.WriteString(w, d.String())
	return err
}

// chainText is a report while it is written.
type chainText struct {
	strings.Builder
	palette
	h *Health
}

// mark is a verdict as a sign and a colour.
func (d *chainText) mark(s validator.Status) (sign, tone string) {
	switch s {
	case validator.Secure:
		return "✔", d.auth
	case validator.Bogus:
		return "✘", d.fail
	case validator.Insecure:
		return "○", d.alias
	}
	return "?", d.alias
}

func (d *chainText) headline() {
	sign, tone := d.mark(d.h.Trust.Status)
	fmt.Fprintf(d, "%s%s  %s%s\n\n", tone, sign, d.bold+d.h.Headline(), d.reset)
}

// chain draws zone by zone from the anchor down.
func (d *chainText) chain() {
	links := d.h.Trust.Chain
	for i, link := range links {
		sign, tone := d.mark(link.Status)
		if i > 0 {
			d.handover(link, tone)
		}
		note := ""
		if link.IsAnchor {
			note = "  trust anchor"
		}
		fmt.Fprintf(d, "%s%s  %s%s%s%s\n", tone, sign, d.reset+d.bold, link.Zone, d.reset+d.dim+note, d.reset)
		_, below := d.mark(d.below(i))
		if link.IsAnchor {
			d.ds(link, below)
		}
		d.keys(link, below)
		if link.Status != validator.Secure && len(link.DS) > 0 {
			d.line(below, "why", tone, link.Why)
		}
		if i+1 < len(links) || len(d.h.Trust.Sets) > 0 {
			fmt.Fprintf(d, "%s│%s\n", below, d.reset)
		}
	}
	d.data()
	if zone := d.h.unreached(); !zone.IsZero() {
		fmt.Fprintf(d, "%s?  %s%s%s  the chain does not come here%s\n", d.alias, d.reset+d.bold, zone, d.reset+d.dim, d.reset)
	}
	if len(links) > 0 {
		d.WriteByte('\n')
	}
}

// below is the verdict on what follows a zone in the chain.
func (d *chainText) below(i int) validator.Status {
	if i+1 < len(d.h.Trust.Chain) {
		return d.h.Trust.Chain[i+1].Status
	}
	return d.h.Trust.Status
}

// line writes words beside the rail.
func (d *chainText) line(rail, label, tone, words string) {
	for i, part := range wrap(printable(words), checkColumns-14) {
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(d, "%s│%s  %-7s %s%s%s\n", rail, d.reset+d.dim, label, d.reset+tone, part, d.reset)
	}
}

// handover is the parent's word for a zone: the DS set, or the proof that there is none.
func (d *chainText) handover(link validator.Link, tone string) {
	d.ds(link, tone)
	if len(link.DS) == 0 {
		d.line(tone, "no DS", "", link.Why)
	}
	d.signatures(link.DSSigs, tone)
	for _, set := range link.Denial {
		d.signatures(set.Sigs, tone)
	}
	fmt.Fprintf(d, "%s▼%s\n", tone, d.reset)
}

func (d *chainText) ds(link validator.Link, rail string) {
	label := "DS"
	if link.IsAnchor {
		label = "anchor"
	}
	for _, ds := range link.DS {
		text := fmt.Sprintf("%-5d %s, %s", ds.KeyTag, dnssec.AlgorithmName(ds.Algorithm), digestName(ds.DigestType))
		if !isUsed(link, ds) {
			d.line(rail, label, d.dim, text+"  – leads to no key")
		} else {
			d.line(rail, label, "", text)
		}
		label = ""
	}
}

func (d *chainText) keys(link validator.Link, rail string) {
	label := "keys"
	for _, k := range link.Keys {
		words := []string{fmt.Sprintf("%-5d %s  %s", k.Tag, d.h.role(link, k), dnssec.AlgorithmName(k.Algorithm))}
		words = append(words, keyNotes(link, k)...)
		d.line(rail, label, "", strings.Join(words, "  – "))
		label = ""
	}
	d.signatures(link.KeySigs, rail)
}

// signatures tells who signed, and how old that is.
func (d *chainText) signatures(sigs []validator.Signature, rail string) {
	label := "signed"
	for _, sig := range sigs {
		l := lifeOf(sig, d.h.At)
		sign, tone := d.sigMark(sig)
		d.line(rail, label, tone, fmt.Sprintf("by %d  %s  %s  %s", sig.KeyTag, gauge(l.share), l, sign))
		label = ""
	}
}

func (d *chainText) sigMark(sig validator.Signature) (words, tone string) {
	switch {
	case sig.IsGood:
		return "✔", ""
	case sig.Why != "":
		return "✘ " + sig.Why, d.fail
	}
	return "– not needed", d.dim
}

// data is the end of the chain: the zone's own records.
func (d *chainText) data() {
	for _, set := range d.h.Trust.Sets {
		sign, tone := d.mark(set.Status)
		fmt.Fprintf(d, "%s%s  %s%s %s%s\n", tone, sign, d.reset+d.bold, set.Owner, set.Type, d.reset)
		if len(set.Sigs) == 0 {
			fmt.Fprintf(d, "   %snot signed%s\n", d.dim, d.reset)
		}
		for _, sig := range set.Sigs {
			words, tone := d.sigMark(sig)
			l := lifeOf(sig, d.h.At)
			fmt.Fprintf(d, "   %s%-7s %s%sby %d  %s  %s  %s%s\n", d.dim, "signed", d.reset, tone, sig.KeyTag, gauge(l.share), l, words, d.reset)
		}
	}
}

// servers lists who was asked, the zone's own and those of its parent that say nothing.
func (d *chainText) servers() {
	fmt.Fprintf(d, "%sservers%s\n", d.dim, d.reset)
	for _, st := range append(broken(d.h.Above), d.h.Own...) {
		sign, tone := "✔", d.auth
		note := fmt.Sprintf("serial %d", st.Serial)
		if st.Error != "" {
			sign, tone, note = "✘", d.fail, printable(st.Error)
		} else if st.Trust != d.h.best() {
			sign, tone = d.mark(st.Trust)
			note += ", " + st.Trust.String()
		}
		fmt.Fprintf(d, "  %s%s%s %-30s %-22s %s%s%s\n", tone, sign, d.reset, bare(st.Name.String()), st.Addr.Addr(), d.dim, note, d.reset)
	}
	for _, e := range d.h.DSYNC {
		fmt.Fprintf(d, "  %s%s takes news of %s at %s port %d%s\n", d.dim, d.h.Parent, e.Type, e.Target, e.Port, d.reset)
	}
	d.WriteByte('\n')
}

func broken(list []ServerState) (out []ServerState) {
	for _, st := range list {
		if st.Error != "" {
			out = append(out, st)
		}
	}
	return out
}

func (d *chainText) findings() {
	for _, f := range d.h.Findings {
		sign, tone := "▲", d.alias
		if f.Severity == zone.Error {
			sign, tone = "✘", d.fail
		}
		fmt.Fprintf(d, "%s%s %s%s  %s  %s%s\n", tone, sign, f.Severity, d.reset, d.bold+f.Code+d.reset, d.dim+subject(f), d.reset)
		for _, part := range wrap(printable(f.Text), checkColumns-4) {
			fmt.Fprintf(d, "    %s\n", part)
		}
		for i, part := range wrap(printable(f.Cure), checkColumns-6) {
			fmt.Fprintf(d, "    %s%s%s%s\n", d.dim, [...]string{"→ ", "  "}[min(i, 1)], part, d.reset)
		}
	}
	fmt.Fprintf(d, "%s%s, %s%s\n", d.dim, d.h.Tally(), Duration(d.h.Elapsed), d.reset)
}

func subject(f zone.Finding) string {
	if f.Type == dns.TypeNone {
		return f.Name.String()
	}
	return f.Name.String() + " " + f.Type.String()
}

// gauge draws a share of a whole as ten boxes.
func gauge(share float64) string {
	n := int(min(max(share, 0), 1)*10 + 0.5)
	return strings.Repeat("▰", n) + strings.Repeat("▱", 10-n)
}

// wrap breaks words into lines of at most so many characters, where that is possible.
func wrap(words string, width int) (lines []string) {
	line := ""
	for word := range strings.SplitSeq(words, " ") {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
