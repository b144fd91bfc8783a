package telemetry

// Resolving is what a resolver tells of its look-ups. Queries that no look-up was made for, for the cache had the
// answer, are those of Traffic that were not deferred.
type Resolving struct {
	LookedUp map[string]uint64 `json:"looked_up"` // by what came of it: "secure", "insecure", "bogus", "failed"
	Clients  uint64            `json:"clients"`   // that waited for these
	Failures map[string]uint64 `json:"failures"`  // of those that failed or were bogus, the first extended error (RFC 8914)
	Refused  uint64            `json:"refused"`   // queries of clients that may not ask
	InFlight int               `json:"in_flight"` // look-ups now
	Entries  int               `json:"entries"`   // of the cache of record sets

	UpstreamSent   map[string]uint64 `json:"upstream_sent"`   // questions to servers, by transport
	UpstreamFailed map[string]uint64 `json:"upstream_failed"` // of them, those that no reply came to, by reason
	UpstreamOctets uint64            `json:"upstream_octets"` // of replies
	UpstreamJunk   uint64            `json:"upstream_junk"`   // datagrams that were no replies at all

	Private          uint64 `json:"private"`           // questions answered over connections of opportunistic encryption
	PrivateFallbacks uint64 `json:"private_fallbacks"` // and those that had to be asked again in the open
}
