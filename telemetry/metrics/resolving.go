package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"onoma/telemetry"
)

var (
	lookups        = desc("resolver_lookups_total", "Look-ups for clients, by what came of them.", "outcome")
	lookupClients  = desc("resolver_lookup_clients_total", "Clients that waited for look-ups.")
	lookupFailures = desc("resolver_failures_total", "Look-ups that failed or were bogus, by their extended error.", "error")
	clientsRefused = desc("resolver_refused_total", "Queries of clients that may not ask.")
	staleAnswers   = desc("resolver_stale_total", "Answers whose time was over that were made good once more.")
	renewals       = desc("resolver_renewals_total", "Look-ups that began before the time of an answer was over.")
	ruleDecisions  = desc("resolver_rules_total", "What rules decided, by list.", "list", "action")
	lookupsNow     = desc("resolver_lookups", "Look-ups now.")
	cacheEntries   = desc("resolver_cache_entries", "Entries of the cache of record sets.")
	upstreamSent   = desc("resolver_upstream_queries_total", "Questions to name servers.", "transport")
	upstreamFailed = desc("resolver_upstream_failures_total", "Questions to name servers that no reply came to, by reason.", "reason")
	upstreamOctets = desc("resolver_upstream_receive_bytes_total", "Octets of name servers' replies.")
	upstreamJunk   = desc("resolver_upstream_junk_total", "Datagrams from name servers' addresses that were no replies at all.")
	private        = desc("resolver_opportunistic_queries_total", "Questions asked over opportunistic encryption, by what came of it.", "outcome")
)

var allResolving = []*prometheus.Desc{
	lookups, lookupClients, lookupFailures, clientsRefused, staleAnswers, renewals, ruleDecisions, lookupsNow, cacheEntries, upstreamSent, upstreamFailed, upstreamOctets,
	upstreamJunk, private,
}

// resolving shows what there is about a resolver.
func (p page) resolving(r *telemetry.Resolving) {
	if r == nil {
		return
	}
	p.each(lookups, r.LookedUp)
	p.count(lookupClients, r.Clients)
	p.each(lookupFailures, r.Failures)
	p.count(clientsRefused, r.Refused)
	p.count(staleAnswers, r.Stale)
	p.count(renewals, r.Renewals)
	for _, n := range r.Rules {
		p.count(ruleDecisions, n.Count, n.List, n.Action)
	}
	p.gauge(lookupsNow, float64(r.InFlight))
	p.gauge(cacheEntries, float64(r.Entries))
	p.each(upstreamSent, r.UpstreamSent)
	p.each(upstreamFailed, r.UpstreamFailed)
	p.count(upstreamOctets, r.UpstreamOctets)
	p.count(upstreamJunk, r.UpstreamJunk)
	p.each(private, map[string]uint64{"answered": r.Private, "asked again": r.PrivateFallbacks})
}
