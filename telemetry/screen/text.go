// Package screen is how a server's Report looks to a person: as a page of text, and live on a terminal. What is drawn is a
// pure function of the reports and the terminal's size; only Watch, which runs the terminal, has a goroutine.
package screen

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"onoma/telemetry"
)

// WriteStatus writes whether the server is well, in a few lines.
func WriteStatus(w io.Writer, r *telemetry.Report) error {
	state := "not ready"
	if r.Ready {
		state = "ready"
	}
	t := table(w)
	fmt.Fprintf(t, "server\tonoma %s %s, process %d\n", r.Role, r.Version, r.PID)
	fmt.Fprintf(t, "state\t%s, up %s\n", state, age(r.Time.Sub(r.Started)))
	fmt.Fprintf(t, "listening\t%s\n", strings.Join(r.Listen, ", "))
	if r.Zones.Count > 0 {
		fmt.Fprintf(t, "zones\t%s, %s records%s\n", grouped(uint64(r.Zones.Count)), grouped(uint64(r.Zones.Records)), missing(r.Zones.Missing))
	}
	s := signingOf(r)
	if s != nil && s.Zones["signed"]+s.Zones["unsigned"] > 0 {
		fmt.Fprintf(t, "signing\t%s\n", signed(s))
	}
	fmt.Fprintf(t, "queries\t%s\n", grouped(queriesOf(r)))
	fmt.Fprintf(t, "dropped\t%s\n", grouped(dropsOf(r)))
	fmt.Fprintf(t, "memory\t%s\n", octets(r.Process.Resident))
	if err := t.Flush(); err != nil {
		return err
	}
	troubles(w, s)
	return nil
}

func missing(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d without data to answer from", n)
}

// queriesOf counts queries of all transports.
func queriesOf(r *telemetry.Report) (n uint64) {
	for _, c := range r.Transports {
		n += c.Queries
	}
	return n
}

// dropsOf counts what was dropped by all transports and by the kernel.
func dropsOf(r *telemetry.Report) (n uint64) {
	for _, c := range r.Transports {
		n += c.Drops()
	}
	return n + r.KernelDrops
}

// WriteStats writes all counts.
func WriteStats(w io.Writer, r *telemetry.Report) error {
	if err := WriteStatus(w, r); err != nil {
		return err
	}
	t := table(w)
	heading(t, "transport", "queries", "answers", "octets in", "octets out", "dropped", "open", "accepted")
	for _, name := range slices.Sorted(maps.Keys(r.Transports)) {
		c, conn := r.Transports[name], r.Connections[name]
		row(t, name, c.Queries, c.Answers, c.BytesIn, c.BytesOut, c.Drops(), conn.Open, conn.Accepted)
	}
	if r.KernelDrops > 0 {
		row(t, "kernel drops", r.KernelDrops)
	}
	heading(t, "loop", "queries", "answers")
	for i, l := range r.Loops {
		row(t, fmt.Sprint(i), l.Queries, l.Answers)
	}
	heading(t, "queries by", "count")
	for _, key := range []func(telemetry.Queries) string{
		func(q telemetry.Queries) string { return q.Family },
		func(q telemetry.Queries) string { return "class " + q.Class },
		func(q telemetry.Queries) string { return "EDNS " + q.EDNS },
	} {
		rows(t, r.Traffic.By(key))
	}
	heading(t, "type", "queries")
	rows(t, r.Traffic.Types)
	heading(t, "code", "responses")
	rows(t, r.Traffic.RCodes)
	row(t, "truncated", r.Traffic.Truncated)
	row(t, "unanswered", r.Traffic.Unanswered)
	row(t, "deferred", r.Traffic.Deferred)
	if len(r.Outcomes) > 0 {
		heading(t, "outcome", "questions")
		rows(t, r.Outcomes)
	}
	resolving(t, r.Resolving)
	if len(r.Limited) > 0 {
		heading(t, "rate limit", "answers too many")
		rows(t, r.Limited)
		row(t, "slipped", r.Slipped)
	}
	changing(t, r.Changing)
	sinks(t, r)
	return t.Flush()
}

func sinks(t io.Writer, r *telemetry.Report) {
	if d := r.Dnstap; d != nil {
		heading(t, "dnstap", d.Sink)
		row(t, "frames written", d.Frames)
		row(t, "events dropped", d.Dropped)
	}
	heading(t, "log", "lines")
	row(t, "written", r.Log.Lines)
	row(t, "dropped", r.Log.Dropped)
}

// WriteZones writes a line for each zone.
func WriteZones(w io.Writer, zones []telemetry.Zone) error {
	t := table(w)
	fmt.Fprintln(t, "zone\tserial\tnames\trecords\tmemory")
	for _, z := range zones {
		if !z.Loaded {
			fmt.Fprintf(t, "%s\tno data\n", z.Name)
			continue
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", z.Name, z.Serial, grouped(uint64(z.Names)), grouped(uint64(z.Records)), octets(uint64(z.Bytes)))
		for _, s := range z.Secondaries {
			fmt.Fprintf(t, "  %s\t%d\t%s\n", s.Address, s.Acked, strings.TrimSuffix(s.State+": "+s.Error, ": "))
		}
	}
	return t.Flush()
}

func table(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

func heading(t io.Writer, cells ...string) { fmt.Fprintf(t, "\n%s\n", strings.Join(cells, "\t")) }

func row(t io.Writer, name string, counts ...uint64) {
	fmt.Fprint(t, "  ", name)
	for _, n := range counts {
		fmt.Fprint(t, "\t", grouped(n))
	}
	fmt.Fprintln(t)
}

func rows(t io.Writer, m map[string]uint64) {
	for _, key := range ranked(m) {
		row(t, key, m[key])
	}
}

// ranked returns the keys, those of the largest counts first.
func ranked(m map[string]uint64) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b))
	})
}

// grouped writes n with a comma between each three digits.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// octets writes n in the largest unit that it fills.
func octets(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, u := float64(n)/1024, 0
	for v >= 1024 {
		v, u = v/1024, u+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[u])
}

// age writes how long something takes, in its two largest units.
func age(d time.Duration) string {
	s := int(d.Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%d h %d min", s/3600, s/60%60)
	}
	return fmt.Sprintf("%d d %d h", s/86400, s/3600%24)
}
