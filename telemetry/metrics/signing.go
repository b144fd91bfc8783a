package metrics

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"onoma/telemetry"
)

var (
	signedZones   = desc("signing_zones", "Zones by whether this server signs them.", "state")
	alarming      = desc("signing_alarming_zones", "Signed zones that somebody should look at.")
	withdrawn     = desc("signing_withdrawn_zones", "Signed zones that are served no more, for they would be bogus.")
	rolling       = desc("signing_rollovers", "Zones with a rollover on its way.")
	signingKeys   = desc("signing_keys", "Keys by phase (RFC 7583).", "phase")
	signatures    = desc("signing_signatures_total", "Signatures made for zones.")
	expiresIn     = desc("signing_earliest_expiration_seconds", "Time until the first signature of any zone expires, if it is not renewed.")
	clockOff      = desc("signing_clock_offset_seconds", "How far the clock of the system is from the one that is believed; 0 is as it should be.")
	onlineSets    = desc("signing_online_total", "Sets of answers that were to be signed while answering, by what became of them.", "outcome")
	parentZones   = desc("parent_zones", "Signed zones by what their parent's servers have.", "condition")
	parentLooks   = desc("parent_looks_total", "Questions for DS to servers of parents.", "outcome")
	childrenLooks = desc("children_looks_total", "Looks at delegated zones for CDS, CDNSKEY and CSYNC, by what came of them.", "verdict")
)

var allSigning = []*prometheus.Desc{
	signedZones, alarming, withdrawn, rolling, signingKeys, signatures, expiresIn, clockOff, onlineSets, parentZones, parentLooks, childrenLooks,
}

// signing shows what there is about signed zones. None of its labels grows with the number of zones.
func (p page) signing(s *telemetry.Signing) {
	if s == nil {
		return
	}
	for state, n := range s.Zones {
		p.gauge(signedZones, float64(n), state)
	}
	p.gauge(alarming, float64(s.Alarming))
	p.gauge(withdrawn, float64(s.Withdrawn))
	p.gauge(rolling, float64(s.Rolling))
	for phase, n := range s.Keys {
		p.gauge(signingKeys, float64(n), phase)
	}
	p.count(signatures, s.Signatures)
	if s.ExpiresIn != 0 {
		p.gauge(expiresIn, s.ExpiresIn)
	}
	p.gauge(clockOff, s.ClockOff)
	p.each(onlineSets, s.Online)
	for condition, n := range s.Parents {
		p.gauge(parentZones, float64(n), condition)
	}
	p.each(parentLooks, s.Asked)
	p.each(childrenLooks, s.Looks)
}

// health is the text of /healthz: that the server lives, and which of its zones need somebody.
func health(r *telemetry.Report) string {
	var b strings.Builder
	b.WriteString("alive\n")
	if r.Changing == nil || r.Changing.Signing == nil {
		return b.String()
	}
	s := r.Changing.Signing
	if s.Alarming > 0 {
		fmt.Fprintf(&b, "signed zones that need somebody: %d, of them withdrawn: %d\n", s.Alarming, s.Withdrawn)
	}
	for _, t := range s.Worst {
		fmt.Fprintf(&b, "%s: %s\n", strings.TrimSuffix(t.Zone+"@"+t.View, "@"), strings.Join(strings.Fields(t.Text), " "))
	}
	return b.String()
}
