package resolver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"onoma/dns"
	"onoma/resolver/iterator"
)

// maxReports is how many reports are on their way at the same time; others are not
// made. Each is one look-up, and what comes of it is cached as any answer is: so the
// same is not reported again before its time is over (RFC 9567 §6.1.1).
const maxReports = 8

// report tells the agent that a server has named what is wrong with its answer.
func (in *inquiry) report(ede dns.EDE) {
	r := in.r
	i := slices.IndexFunc(in.doubted, func(s iterator.Source) bool { return !s.Agent.IsZero() })
	if !r.cfg.ReportErrors || i < 0 {
		return
	}
	name, ok := reportName(in.q, ede.Code, in.doubted[i].Agent)
	if !ok {
		return
	}
	if r.reports.Add(1) > maxReports {
		r.reports.Add(-1)
		return
	}
	r.wg.Add(1) // the look-up that in belongs to is counted, too: nobody has waited for all yet
	go func() {
		defer r.wg.Done()
		defer r.reports.Add(-1)
		ctx, cancel := context.WithTimeout(r.ctx, 10*time.Second)
		defer cancel()
		_, err := r.iterator.Resolve(ctx, dns.Question{Name: name, Type: dns.TypeTXT, Class: dns.ClassIN}, iterator.Options{})
		r.cfg.Log.Debug("validation error reported", "name", name.String(), "error", err)
	}()
}

// reportName is the name that reports an error (RFC 9567 §6.1.1); ok is false where
// it is too long, or would be a report about reports.
func reportName(q dns.Question, code dns.EDECode, agent dns.Name) (name dns.Name, ok bool) {
	if q.Name.IsSubdomainOf(agent) {
		return dns.Name{}, false
	}
	failed := strings.TrimSuffix(q.Name.String(), ".")
	if strings.HasPrefix(failed, "_er.") {
		return dns.Name{}, false
	}
	if failed != "" {
		failed += "."
	}
	name, err := dns.ParseName(fmt.Sprintf("_er.%d.%s%d._er.%s", q.Type, failed, code, agent))
	return name, err == nil
}
