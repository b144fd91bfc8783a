package daemon

import (
	"cmp"
	"os"
	"slices"
	"strings"

	"onoma/authority"
	"onoma/pipeline"
	"onoma/propagation"
	"onoma/telemetry"
	"onoma/telemetry/control"
)

// worstLags is how many zones that lag are named among the counts.
const worstLags = 20

// Changing counts what happens to zones and how far their secondaries are.
func (d *Daemon) Changing() *telemetry.Changing {
	s := d.pipe.Stats()
	c := &telemetry.Changing{
		Refused: s.Refused, Commits: telemetry.Latencies(pipeline.CommitBuckets[:], s.Latency[:], s.LatencySum), Saved: s.Versions, Queue: s.Queue,
		Updates: make(map[string]uint64), TransfersOut: d.out.Counts(), TransfersIn: d.in.Counts(),
		States: d.stateCounts(), Propagation: propagations(d.follower.Totals(worstLags)), StoreBytes: storeBytes(storeURL(d.conf.Load())),
	}
	for k, n := range s.Changes {
		c.Changes = append(c.Changes, telemetry.ChangeCount{Door: string(k.Door), Outcome: string(k.Outcome), Count: n})
	}
	slices.SortFunc(c.Changes, func(a, b telemetry.ChangeCount) int {
		return cmp.Or(cmp.Compare(a.Door, b.Door), cmp.Compare(a.Outcome, b.Outcome))
	})
	u := d.updates.Stats()
	for code, n := range u.RCodes {
		c.Updates[code.String()] = n
	}
	if u.Forwarded > 0 {
		c.Updates["forwarded"] = u.Forwarded
	}
	in := d.secondaries.Stats()
	c.NotifyIn = map[string]uint64{"taken": in.Notices, "refused": in.NoticesRefused}
	c.NotifyOut = d.notices()
	return c
}

func (d *Daemon) notices() map[string]uint64 {
	var n authority.NotifyCounts
	for _, v := range d.views.Load().list {
		one := v.notifier.Counts()
		n.Sent, n.Acked, n.GaveUp = n.Sent+one.Sent, n.Acked+one.Acked, n.GaveUp+one.GaveUp
	}
	return map[string]uint64{"sent": n.Sent, "acknowledged": n.Acked, "given up": n.GaveUp}
}

// stateCounts counts zones by kind and state.
func (d *Daemon) stateCounts() []telemetry.StateCount {
	type in struct {
		kind  string // those from files and those from other doors are both called primary
		state control.State
	}
	counts := make(map[in]int)
	for _, e := range d.zones.all() {
		state, _ := d.stateOf(e)
		counts[in{e.kind().String(), state}]++
	}
	var out []telemetry.StateCount
	for at, n := range counts {
		out = append(out, telemetry.StateCount{Kind: at.kind, State: string(at.state), Count: n})
	}
	slices.SortFunc(out, func(a, b telemetry.StateCount) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.State, b.State))
	})
	return out
}

func propagations(t propagation.Totals) *telemetry.Propagations {
	p := &telemetry.Propagations{
		Zones: t.Zones, Lagging: t.Lagging, Secondaries: make(map[string]int), Failing: t.Failing,
		Asked: t.Asked, Unanswered: t.Unanswered, LagSeconds: t.Lag.Seconds(),
	}
	for condition, n := range t.Secondaries {
		p.Secondaries[propagation.Condition(condition).String()] = n
	}
	for _, l := range t.Worst {
		p.Worst = append(p.Worst, telemetry.ZoneLag{
			Zone: l.Zone.Name.String(), View: l.Zone.View, Serial: l.Serial, Behind: l.Behind, Seconds: l.Lag.Seconds(),
		})
	}
	return p
}

// storeBytes returns the octets of the database's files, 0 where it has none on this machine.
func storeBytes(url string) (n int64) {
	path, ok := strings.CutPrefix(url, "sqlite:")
	if !ok {
		return 0
	}
	for _, file := range []string{path, path + "-wal"} {
		if info, err := os.Stat(file); err == nil {
			n += info.Size()
		}
	}
	return n
}
