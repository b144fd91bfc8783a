package telemetry

// Resolving is what a resolver tells of its look-ups. Queries that no look-up was made for, for the cache had the
// answer, are those of Traffic that were not deferred.
type Resolving struct {
	LookedUp map[string]uint64 `json:"looked_up"` // by what came of it: "secure", "insecure", "bogus", "failed"
	Clients  uint64            `json:"clients"`   // that waited for these
	Failures map[string]uint64 `json:"failures"`  // of those that failed or were bogus, the first extended error (RFC 8914)
	Refused  uint64            `json:"refused"`   // queries of clients that may not ask
	Stale    uint64            `json:"stale"`     // answers whose time was over that were made good once more
	Renewals uint64            `json:"renewals"`  // look-ups that began before the time of an answer was over
	Rules    []RuleCount       `json:"rules,omitempty"`
	InFlight int               `json:"in_flight"` // look-ups now
	Entries  int               `json:"entries"`   // of the cache of record sets

	UpstreamSent   map[string]uint64 `json:"upstream_sent"`   // questions to servers, by transport
	UpstreamFailed map[string]uint64 `json:"upstream_failed"` // of them, those that no reply came to, by reason
	UpstreamOctets uint64            `json:"upstream_octets"` // of replies
	UpstreamJunk   uint64            `json:"upstream_junk"`   // datagrams that were no replies at all

	Private          uint64 `json:"private"`           // questions answered over connections of opportunistic encryption
	PrivateFallbacks uint64 `json:"private_fallbacks"` // and those that had to be asked again in the open
}

// RuleCount is how often the rules of a list decided the same: policy zones, block lists, local data, limits of clients.
type RuleCount struct {
	List   string `json:"list"`
	Action string `json:"action"`
	Count  uint64 `json:"count"`
}
