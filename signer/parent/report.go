package parent

import (
	"slices"
	"strconv"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// Report is an error that somebody has reported about a name (RFC 9567): who takes CDS and CSYNC records reports so what was
// wrong with them, if Zone.ReportTo asked for it (RFC 9859 §4.3).
type Report struct {
	Name dns.Name
	Type dns.Type
	Code dns.EDECode
	At   time.Time
}

// ParseReport reads a report from the name that a server of the agent domain is asked for TXT records of (RFC 9567 §6.1.1).
func ParseReport(qname, agent dns.Name) (Report, bool) {
	if !qname.IsSubdomainOf(agent) {
		return Report{}, false
	}
	labels := slices.Collect(qname.Fold().Labels())
	labels = labels[:len(labels)-agent.NumLabels()]
	n := len(labels)
	if n < 4 || labels[0] != "_er" || labels[n-1] != "_er" {
		return Report{}, false
	}
	t, err := strconv.ParseUint(labels[1], 10, 16)
	code, err2 := strconv.ParseUint(labels[n-2], 10, 16)
	if err != nil || err2 != nil {
		return Report{}, false
	}
	name := dns.Root
	for i := n - 3; i >= 2; i-- {
		if name, err = name.Child(labels[i]); err != nil {
			return Report{}, false
		}
	}
	return Report{Name: name, Type: dns.Type(t), Code: dns.EDECode(code)}, true
}

// Reported takes a report about a zone. Anybody can send one: it is worth a notice, until the parent is as it should be.
func (w *Watcher) Reported(id zone.ID, r Report) {
	w.with(id, func(z *watched, now time.Time) {
		if r.Type != dns.TypeCDS && r.Type != dns.TypeCDNSKEY && r.Type != dns.TypeCSYNC || !r.Name.Equal(id.Name) {
			return
		}
		r.At = now
		z.report = &r
		w.core.note(z, now)
	})
}
