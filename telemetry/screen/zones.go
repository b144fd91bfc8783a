package screen

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"onoma/telemetry/control"
)

// Zones writes a line for each zone.
func (p Page) Zones(zones []control.ZoneLine) error {
	t := table(p.W)
	fmt.Fprintln(t, "zone\tkind\tstate\tversion\tserial\trecords\tmemory\tin sync")
	for _, z := range zones {
		fmt.Fprintf(t, "%s\t%s\t%s\t", named(z.Name, z.View), plain(z.Kind), marked(z))
		if z.Loaded {
			fmt.Fprintf(t, "%d\t%d\t%s\t%s\t", z.Version, z.Serial, grouped(uint64(z.Records)), octets(uint64(z.Bytes)))
		} else {
			fmt.Fprint(t, "-\t-\t-\t-\t")
		}
		fmt.Fprintln(t, strings.TrimSuffix(sync(z)+"  "+plain(z.Reason), "  "))
	}
	return t.Flush()
}

// marked is the state of a zone, and that its signing has an alarm, of which "zone status" tells.
func marked(z control.ZoneLine) string {
	if z.Alarm == "" {
		return string(z.State)
	}
	return string(z.State) + ", alarm"
}

func sync(z control.ZoneLine) string {
	if z.Secondaries == 0 {
		return "-"
	}
	return fmt.Sprintf("%d of %d", z.InSync, z.Secondaries)
}

// Zone writes all about one zone.
func (p Page) Zone(z control.ZoneDetail) error {
	t := table(p.W)
	line := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	line("zone", "%s", named(z.Name, z.View))
	line("kind", "%s", plain(kind(z)))
	line("state", "%s", p.state(z.ZoneLine))
	if z.Loaded {
		line("version", "%d, serial %d%s", z.Version, z.Serial, p.published(z.Published))
		line("content", "%s, %s, %s", counted(z.Names, "name"), counted(z.Records, "record"), octets(uint64(z.Bytes)))
	}
	if s := z.Signing; s != nil {
		line("signing", "%s", p.signing(s))
	}
	if h := z.History; h != nil {
		line("history", "%s, %s, the oldest %s", counted(h.Versions, "version"), octets(uint64(h.Octets)), p.when(h.Oldest))
	}
	if r := z.Refusal; r != nil {
		line("refused", "%s", p.refusal(r))
		for _, f := range r.Findings {
			line("", "%s", plain(f))
		}
	}
	if x := z.Timers; x != nil {
		if x.Serial != 0 {
			line("primary has", "serial %d", x.Serial)
		}
		line("refreshed", "%s", p.when(x.Refreshed))
		line("refresh", "%s", p.when(x.Refresh))
		line("expires", "%s", p.when(x.Expire))
	}
	for _, s := range z.Primaries {
		line("primary", "%s", p.primary(s))
	}
	if err := t.Flush(); err != nil || z.Propagation == nil {
		return err
	}
	return p.Propagation(*z.Propagation)
}

// counted writes a number of things.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return grouped(uint64(n)) + " " + what + "s"
}

func kind(z control.ZoneDetail) string {
	text := z.Kind
	if len(z.Doors) > 0 {
		text += ", changed by " + strings.Join(z.Doors, ", ")
	}
	if z.File != "" {
		text += ", from " + z.File
	}
	if z.Catalog != "" {
		text += ", member of " + z.Catalog
	}
	return text
}

func (p Page) state(z control.ZoneLine) string {
	text := string(z.State)
	if z.Reason != "" {
		text += ": " + plain(z.Reason)
	}
	if z.State == control.Served {
		return text
	}
	return p.paint(yellow, text)
}

func (p Page) published(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", published " + p.when(t)
}

func (p Page) refusal(r *control.Refusal) string {
	text := plain(r.Reason) + " (" + plain(r.Rule)
	if r.Serial != 0 {
		text += fmt.Sprintf(", serial %d", r.Serial)
	}
	if r.Author != "" || r.Door != "" {
		text += ", " + plain(cmp.Or(r.Author, r.Door))
	}
	return text + "), " + p.when(r.At)
}

func (p Page) primary(s control.Primary) string {
	text := s.Address
	if s.Transport != "" {
		text += " by " + s.Transport
	}
	if s.Key != "" {
		text += " with key " + plain(s.Key)
	}
	if s.Serial != 0 {
		text += fmt.Sprintf(", has serial %d", s.Serial)
	}
	if !s.Contact.IsZero() {
		text += ", heard " + p.ago(s.Contact)
	}
	if s.Error != "" {
		text += ", " + p.paint(yellow, plain(s.Error))
	}
	return text
}

// Propagation writes a line for each secondary of a zone.
func (p Page) Propagation(x control.Propagation) error {
	n := 0
	for _, s := range x.Secondaries {
		if s.Condition == "in sync" || s.Condition == "ahead" {
			n++
		}
	}
	if len(x.Secondaries) == 0 {
		_, err := fmt.Fprintln(p.W, "no secondaries are followed")
		return err
	}
	verb := "ies serve"
	if len(x.Secondaries) == 1 {
		verb = "y serves"
	}
	fmt.Fprintf(p.W, "%d of %d secondar%s serial %d\n", n, len(x.Secondaries), verb, x.Serial)
	t := table(p.W)
	for _, s := range x.Secondaries {
		p.secondary(t, s)
	}
	return t.Flush()
}

func (p Page) secondary(t io.Writer, s control.Secondary) {
	serial, seen := "-", "never seen"
	if !s.Seen.IsZero() {
		serial, seen = fmt.Sprint(s.Serial), "seen "+p.ago(s.Seen)
	}
	fmt.Fprintf(t, "  %s\t%s\t%s\t%s", s.Address, s.Condition, serial, seen)
	if s.Lag > 0 {
		fmt.Fprintf(t, ", behind for %s", lag(s.Lag))
	}
	if !s.WentBack.IsZero() {
		fmt.Fprintf(t, ", went back %s", p.ago(s.WentBack))
	}
	if s.Error != "" {
		fmt.Fprintf(t, ": %s", plain(s.Error))
	}
	fmt.Fprintln(t)
}

// lag writes seconds: short ones with more digits.
func lag(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Minute {
		return d.Round(time.Millisecond).String()
	}
	return age(d)
}

// Wait writes how waiting for secondaries ended.
func (p Page) Wait(zone string, r control.WaitResult) error {
	if r.InSync {
		_, err := fmt.Fprintf(p.W, "%s serial %d is served by this server and %s, after %s\n", zone, r.Serial, secondaries(len(r.Propagation.Secondaries)), lag(r.Seconds))
		return err
	}
	self := ""
	if newest := r.Propagation.Serial; int32(r.Serial-newest) > 0 { // RFC 1982
		self = fmt.Sprintf("; this server itself has serial %d", newest)
	}
	fmt.Fprintf(p.W, "%s serial %d is not served everywhere after %s%s\n", zone, r.Serial, lag(r.Seconds), self)
	return p.Propagation(r.Propagation)
}

func secondaries(n int) string {
	switch n {
	case 0:
		return "no others"
	case 1:
		return "its secondary"
	case 2:
		return "both secondaries"
	}
	return fmt.Sprintf("all %d secondaries", n)
}
