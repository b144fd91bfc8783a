package screen

import (
	"fmt"
	"io"
	"strings"
	"time"

	"onoma/telemetry"
	"onoma/telemetry/control"
)

func signingOf(r *telemetry.Report) *telemetry.Signing {
	if r.Changing == nil {
		return nil
	}
	return r.Changing.Signing
}

// IsAlarming reports whether some signed zone needs somebody.
func IsAlarming(r *telemetry.Report) bool {
	s := signingOf(r)
	return s != nil && s.Alarming > 0
}

// signed says in a few words how the zones do that the server signs.
func signed(s *telemetry.Signing) string {
	text := grouped(uint64(s.Zones["signed"])) + " signed"
	if n := s.Zones["unsigned"]; n > 0 {
		text += ", " + grouped(uint64(n)) + " unsigned yet or again"
	}
	if s.Rolling > 0 {
		text += ", " + grouped(uint64(s.Rolling)) + " with a rollover"
	}
	if s.Alarming > 0 {
		text += ", " + grouped(uint64(s.Alarming)) + " with an ALARM"
	}
	if s.Withdrawn > 0 {
		text += ", " + grouped(uint64(s.Withdrawn)) + " WITHDRAWN"
	}
	return text
}

// troubles writes what is wrong with signed zones, as far as they are named.
func troubles(w io.Writer, s *telemetry.Signing) {
	if s == nil || s.Alarming == 0 {
		return
	}
	fmt.Fprintln(w)
	for _, g := range together(s.Worst) {
		fmt.Fprintln(w, wrapped("", "  ", g))
	}
	if n := s.Alarming - len(s.Worst); n > 0 {
		fmt.Fprintf(w, "and %s more\n", counted(n, "zone"))
	}
	fmt.Fprintln(w, "\"onoma zone keys NAME\" tells more of each")
}

// together returns a line for each thing that is wrong, with the zones of which it is said: a clock that has jumped is that of all.
func together(worst []telemetry.Trouble) (lines []string) {
	const few = 3
	type what struct {
		withdrawn bool
		text      string
	}
	var order []what
	zones := make(map[what][]string)
	for i := range worst {
		t := &worst[i]
		w := what{t.Withdrawn, plain(t.Text)}
		if zones[w] == nil {
			order = append(order, w)
		}
		zones[w] = append(zones[w], named(t.Zone, t.View))
	}
	for _, w := range order {
		line, of := "ALARM ", zones[w]
		if w.withdrawn {
			line = "WITHDRAWN "
		}
		line += strings.Join(of[:min(len(of), few)], ", ")
		if n := len(of) - few; n > 0 {
			line += " and " + counted(n, "other zone")
		}
		lines = append(lines, line+": "+w.text)
	}
	return lines
}

// signing writes all counts of signed zones.
func signing(t io.Writer, s *telemetry.Signing) {
	if s == nil || s.Zones["signed"]+s.Zones["unsigned"] == 0 {
		return
	}
	heading(t, "signing", "zones")
	for _, state := range []string{"signed", "unsigned", "by authors"} {
		row(t, state, uint64(s.Zones[state]))
	}
	row(t, "with a rollover", uint64(s.Rolling))
	row(t, "with an alarm", uint64(s.Alarming))
	row(t, "withdrawn", uint64(s.Withdrawn))
	heading(t, "keys", "count")
	for _, phase := range control.Phases {
		if n := s.Keys[phase]; n > 0 {
			row(t, phase, uint64(n))
		}
	}
	heading(t, "signatures", "count")
	row(t, "made", s.Signatures)
	if s.ExpiresIn != 0 {
		fmt.Fprintf(t, "  first expires in\t%s\n", age(time.Duration(s.ExpiresIn*float64(time.Second))))
	}
	for _, outcome := range []string{"signed", "cached", "refused", "failed", "deferred"} {
		if n := s.Online[outcome]; n > 0 {
			row(t, "while answering, "+outcome, n)
		}
	}
	if len(s.Parents) > 0 {
		heading(t, "DS at the parent", "zones")
		counts := make(map[string]uint64, len(s.Parents))
		for condition, n := range s.Parents {
			counts[condition] = uint64(n)
		}
		rows(t, counts)
	}
	if s.Asked["answered"]+s.Asked["failed"] > 0 {
		heading(t, "questions to parents", "count")
		rows(t, s.Asked)
	}
	if len(s.Looks) > 0 {
		heading(t, "looks at children", "count")
		rows(t, s.Looks)
	}
}
