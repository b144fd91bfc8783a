package screen

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"onoma/telemetry/control"
)

// Page is a page of text about zones.
type Page struct {
	W      io.Writer
	Now    time.Time // times are also told as how long ago they were, and in the zone of this one
	Colour bool      // W is a terminal
}

// when writes a time as how long ago it was, and as what clocks said.
func (p Page) when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return p.ago(t) + " (" + t.In(p.Now.Location()).Format("2006-01-02 15:04:05") + ")"
}

// ago writes how long ago a time was, or how long it is until then.
func (p Page) ago(t time.Time) string {
	switch d := p.Now.Sub(t); {
	case t.IsZero():
		return "never"
	case d < -time.Second:
		return "in " + age(-d)
	case d < time.Second:
		return "now"
	default:
		return age(d) + " ago"
	}
}

// plain returns text that others have written as it may be sent to a terminal: in one line, without what moves the cursor.
func plain(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, s))
}

// The colours of what has gone, what has come, and what is wrong.
const (
	bold   = "\x1b[1m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

func (p Page) paint(colour, s string) string {
	if !p.Colour {
		return s
	}
	return colour + s + reset
}

// Log writes a line for each version.
func (p Page) Log(versions []control.VersionLine) error {
	t := table(p.W)
	fmt.Fprintln(t, "version\tserial\twhen\tdoor\tby\trecords\tcomment")
	for _, v := range versions {
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%s\t+%d -%d%s\n", v.Number, v.Serial, p.when(v.At), plain(v.Door), plain(v.Author), v.Added, v.Removed, strings.TrimSuffix("\t"+plain(v.Comment), "\t"))
	}
	return t.Flush()
}

// Blame writes the records of a name, and under each where it came from.
func (p Page) Blame(records []control.Blamed) error {
	for _, b := range records {
		since := fmt.Sprintf("version %d, serial %d, %s, %s by %s", b.Number, b.Serial, p.when(b.At), plain(b.Door), plain(b.Author))
		if b.Older {
			since = fmt.Sprintf("older than the history that is kept, which begins with version %d, %s", b.Number, p.when(b.At))
		}
		if b.Comment != "" && !b.Older {
			since += ": " + plain(b.Comment)
		}
		if _, err := fmt.Fprintf(p.W, "%s\n    %s\n", plain(b.Record), since); err != nil {
			return err
		}
	}
	return nil
}

// Difference writes what has gone with a minus, and what has come with a plus, in lines of a zone file.
func (p Page) Difference(d control.Difference) error {
	for _, r := range d.Removed {
		fmt.Fprintln(p.W, p.paint(red, "-"+plain(r)))
	}
	for _, r := range d.Added {
		fmt.Fprintln(p.W, p.paint(green, "+"+plain(r)))
	}
	if d.Truncated {
		fmt.Fprintln(p.W, "and more: too much to be shown")
	}
	return nil
}

// Receipt writes what became of a change.
func (p Page) Receipt(r control.Receipt) error {
	was := "has been like that already:"
	if r.Changed {
		was = "changed:"
	}
	text := fmt.Sprintf("%s %s version %d, serial %d", named(r.Zone, r.View), was, r.Version, r.Serial)
	if r.Changed {
		text += fmt.Sprintf(", +%d -%d records", r.Added, r.Removed)
	}
	_, err := fmt.Fprintln(p.W, text)
	return err
}

// named writes a zone, and its view where it has one.
func named(zone, view string) string {
	if view == "" {
		return zone
	}
	return zone + "@" + view
}
