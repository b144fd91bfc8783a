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
	"onoma/zone"
)

// worstLags is how many zones that lag are named among the counts.
const worstLags = 20

// Changing counts what happens to zones and how far their secondaries are.
func (d *Daemon) Changing() *telemetry.Changing {
	s := d.pipe.Stats()
	c := &telemetry.Changing{
		Refused: s.Refused, Commits: telemetry.Latencies(pipeline.CommitBuckets[:], s.Latency[:], s.LatencySum), Saved: s.Versions, Queue: s.Queue,
		Updates: make(map[string]uint64), TransfersOut: d.out.Counts(), TransfersIn: d.in.Counts(),
		Signing: d.signingCounts(), States: d.stateCounts(), Propagation: propagations(d.follower.Totals(worstLags)), StoreBytes: storeBytes(storeURL(d.conf.Load())),
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

// worstSigned is how many signed zones that need somebody are named among the counts.
const worstSigned = 20

// signingCounts sums up the zones that this server signs.
func (d *Daemon) signingCounts() *telemetry.Signing {
	c, o, looks := d.signer.Counts(worstSigned, d.parents.need), d.online.Counts(), d.desk.Counts()
	answered, failed := d.parents.watcher.Asked()
	s := &telemetry.Signing{
		Zones:    map[string]int{"signed": c.Signed, "unsigned": c.Unsigned, "by authors": c.ByAuthors},
		Alarming: c.Alarming, Withdrawn: c.Withdrawn, Rolling: c.Rolling, Keys: c.Keys, Signatures: c.Signatures, ClockOff: c.Off.Seconds(),
		Online:  map[string]uint64{"signed": o.Signed, "cached": o.Hits, "refused": o.Refused, "failed": o.Failed, "deferred": o.Later},
		Parents: d.parents.conditions(), Asked: map[string]uint64{"answered": answered, "failed": failed},
		Looks: map[string]uint64{"unchanged": looks.Unchanged, "changed": looks.Changed, "waiting": looks.Waits, "denied": looks.Denied},
	}
	if !c.First.IsZero() {
		s.ExpiresIn = c.First.Sub(c.Now).Seconds()
	}
	d.unsignable.Range(func(id, err any) bool {
		s.Zones["unsigned"]++
		s.Alarming++
		if len(s.Worst) < worstSigned {
			id := id.(zone.ID)
			s.Worst = append(s.Worst, telemetry.Trouble{Zone: id.Name.String(), View: id.View, Text: err.(error).Error()})
		}
		return true
	})
	for _, t := range c.Worst {
		s.Worst = append(s.Worst, telemetry.Trouble{Zone: t.Zone.Name.String(), View: t.Zone.View, Withdrawn: t.Withdrawn, Text: t.Text})
	}
	return s
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
