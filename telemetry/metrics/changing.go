package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"onoma/telemetry"
)

var (
	changes        = desc("changes_total", "Changes of zones, by the door they came by and what became of them.", "door", "outcome")
	refused        = desc("changes_refused_total", "Changes that the publish gate refused, by rule.", "rule")
	commits        = desc("commit_seconds", "Time until groups of changes were on the disk.")
	saved          = desc("versions_saved_total", "Versions of zones that were saved.")
	changeQueue    = desc("change_queue", "Changes that wait.")
	updates        = desc("updates_total", "UPDATE requests by response code; \"forwarded\" went to a primary.", "rcode")
	transfers      = desc("transfers_total", "Zone transfers, to others (out) and from primaries (in).", "direction", "kind", "outcome")
	transferBytes  = desc("transfer_bytes_total", "Octets of zone transfers.", "direction", "kind", "outcome")
	notices        = desc("notify_total", "NOTIFY: sent and what became of it (out), and received (in).", "direction", "outcome")
	zoneStates     = desc("zones_by_state", "Zones by kind and state.", "kind", "state")
	followedZones  = desc("propagation_zones", "Zones that are followed to their secondaries.")
	laggingZones   = desc("propagation_lagging_zones", "Zones that not all of their secondaries serve as they are.")
	conditions     = desc("propagation_secondaries", "Secondaries by condition; a server counts once for each of its zones.", "condition")
	failing        = desc("propagation_failing_secondaries", "Secondaries whose last question brought no serial number.")
	propagationAsk = desc("propagation_questions_total", "Questions to secondaries which version they serve.")
	propagationBad = desc("propagation_questions_failed_total", "Of the questions to secondaries, those that brought no serial number.")
	longestLag     = desc("propagation_lag_seconds", "How long some secondary has lacked a version, at most.")
	zoneLag        = desc("zone_lag_seconds", "The same of the zones that lag most.", "view", "zone")
	zoneBehind     = desc("zone_secondaries_behind", "Secondaries of the zones that lag most, that lack a version.", "view", "zone")
	storeBytes     = desc("store_bytes", "Octets of the database's files.")
)

var allChanging = []*prometheus.Desc{
	changes, refused, commits, saved, changeQueue, updates, transfers, transferBytes, notices, zoneStates, followedZones, laggingZones,
	conditions, failing, propagationAsk, propagationBad, longestLag, zoneLag, zoneBehind, storeBytes,
}

// changing shows what there is about zones that change. Only zones that lag most have lines of their own, a bounded number of them.
func (p page) changing(c *telemetry.Changing) {
	if c == nil {
		return
	}
	for _, n := range c.Changes {
		p.count(changes, n.Count, n.Door, n.Outcome)
	}
	p.each(refused, c.Refused)
	p.histogram(commits, c.Commits)
	p.count(saved, c.Saved)
	p.gauge(changeQueue, float64(c.Queue))
	p.each(updates, c.Updates)
	p.transfers("out", c.TransfersOut)
	p.transfers("in", c.TransfersIn)
	p.each(notices, c.NotifyOut, "out")
	p.each(notices, c.NotifyIn, "in")
	for _, n := range c.States {
		p.gauge(zoneStates, float64(n.Count), n.Kind, n.State)
	}
	p.propagation(c.Propagation)
	p.signing(c.Signing)
	if c.StoreBytes > 0 {
		p.gauge(storeBytes, float64(c.StoreBytes))
	}
}

func (p page) transfers(direction string, counts []telemetry.TransferCount) {
	for _, n := range counts {
		p.count(transfers, n.Count, direction, n.Kind, n.Outcome)
		p.count(transferBytes, n.Octets, direction, n.Kind, n.Outcome)
	}
}

func (p page) propagation(x *telemetry.Propagations) {
	if x == nil {
		return
	}
	p.gauge(followedZones, float64(x.Zones))
	p.gauge(laggingZones, float64(x.Lagging))
	for condition, n := range x.Secondaries {
		p.gauge(conditions, float64(n), condition)
	}
	p.gauge(failing, float64(x.Failing))
	p.count(propagationAsk, x.Asked)
	p.count(propagationBad, x.Unanswered)
	p.gauge(longestLag, x.LagSeconds)
	for _, z := range x.Worst {
		p.gauge(zoneLag, z.Seconds, z.View, z.Zone)
		p.gauge(zoneBehind, float64(z.Behind), z.View, z.Zone)
	}
}
