package screen

import (
	"fmt"
	"io"

	"onoma/telemetry"
)

// resolving writes what there is about a resolver.
func resolving(t io.Writer, r *telemetry.Resolving) {
	if r == nil {
		return
	}
	heading(t, "look-ups", "count")
	rows(t, r.LookedUp)
	row(t, "clients that waited", r.Clients)
	row(t, "now", uint64(r.InFlight))
	row(t, "refused", r.Refused)
	row(t, "stale answers", r.Stale)
	row(t, "renewals", r.Renewals)
	row(t, "entries of the cache", uint64(r.Entries))
	if len(r.Failures) > 0 {
		heading(t, "failure", "look-ups")
		rows(t, r.Failures)
	}
	if len(r.Rules) > 0 {
		heading(t, "rules of", "action", "questions")
		for _, n := range r.Rules {
			fmt.Fprintf(t, "  %s\t%s\t%s\n", plain(n.List), n.Action, grouped(n.Count))
		}
	}
	heading(t, "asked servers", "questions")
	rows(t, r.UpstreamSent)
	row(t, "octets of replies", r.UpstreamOctets)
	row(t, "junk", r.UpstreamJunk)
	if r.Private+r.PrivateFallbacks > 0 {
		row(t, "in private", r.Private)
		row(t, "in private first", r.PrivateFallbacks)
	}
	if len(r.UpstreamFailed) > 0 {
		heading(t, "no reply", "questions")
		rows(t, r.UpstreamFailed)
	}
}
