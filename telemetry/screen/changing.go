package screen

import (
	"fmt"
	"io"
	"time"

	"onoma/telemetry"
)

// changing writes what there is about zones that change.
func changing(t io.Writer, c *telemetry.Changing) {
	if c == nil {
		return
	}
	heading(t, "changes by", "outcome", "count")
	for _, n := range c.Changes {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", n.Door, n.Outcome, grouped(n.Count))
	}
	if len(c.Refused) > 0 {
		heading(t, "refused by rule", "changes")
		rows(t, c.Refused)
	}
	heading(t, "saved", "count")
	row(t, "versions", c.Saved)
	row(t, "commits", c.Commits.Count)
	if c.Commits.Count > 0 {
		mean := time.Duration(c.Commits.Sum / float64(c.Commits.Count) * float64(time.Second))
		fmt.Fprintf(t, "  each took\t%s\n", mean.Round(10*time.Microsecond))
	}
	row(t, "waiting", uint64(max(c.Queue, 0)))
	if c.StoreBytes > 0 {
		fmt.Fprintf(t, "  database\t%s\n", octets(uint64(c.StoreBytes)))
	}
	moved(t, c)
	if len(c.States) > 0 {
		heading(t, "zones", "state", "count")
		for _, n := range c.States {
			fmt.Fprintf(t, "  %s\t%s\t%s\n", plain(n.Kind), n.State, grouped(uint64(n.Count)))
		}
	}
	propagations(t, c.Propagation)
	signing(t, c.Signing)
}

// moved writes what went to and came from other servers.
func moved(t io.Writer, c *telemetry.Changing) {
	if len(c.Updates) > 0 {
		heading(t, "UPDATE", "requests")
		rows(t, c.Updates)
	}
	if len(c.TransfersOut)+len(c.TransfersIn) > 0 {
		heading(t, "transfers", "count", "octets")
		for _, n := range c.TransfersOut {
			row(t, fmt.Sprintf("out, %s %s", n.Kind, n.Outcome), n.Count, n.Octets)
		}
		for _, n := range c.TransfersIn {
			row(t, fmt.Sprintf("in, %s %s", n.Kind, n.Outcome), n.Count, n.Octets)
		}
	}
	if len(c.NotifyOut)+len(c.NotifyIn) > 0 {
		heading(t, "NOTIFY", "count")
		rows(t, c.NotifyOut)
		rows(t, c.NotifyIn)
	}
}

func propagations(t io.Writer, x *telemetry.Propagations) {
	if x == nil {
		return
	}
	heading(t, "secondaries", "count")
	for _, condition := range []string{"in sync", "behind", "ahead", "unknown"} {
		row(t, condition, uint64(x.Secondaries[condition]))
	}
	if x.Failing > 0 {
		row(t, "not answering as they should", uint64(x.Failing))
	}
	if len(x.Worst) > 0 {
		heading(t, "lagging most", "serial", "secondaries", "for")
		for _, z := range x.Worst {
			fmt.Fprintf(t, "  %s\t%d\t%d\t%s\n", named(z.Zone, z.View), z.Serial, z.Behind, lag(z.Seconds))
		}
	}
}
