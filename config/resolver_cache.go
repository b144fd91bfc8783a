package config

import "time"

// ResolverCache is what a resolver remembers, and how long its clients wait for what
// it does not.
type ResolverCache struct {
	// Size is the memory for all that is remembered: whole answers, records, delegations, failures.
	Size Size `yaml:"size" default:"96MiB" restart:"true"`
	// File keeps what is remembered from one start to the next; without it every start is with an empty cache. Its directory must exist, and is written to.
	File string `yaml:"file" path:"output" restart:"true"`
	// SaveEvery is how often File is written, besides when the server ends.
	SaveEvery time.Duration `yaml:"save-every" default:"15m" range:"1m..7d" restart:"true"`
	// Prefetch looks answers that are asked for often up again shortly before their time is over.
	Prefetch bool `yaml:"prefetch" default:"true" restart:"true"`
	// ServeStale gives answers whose time is over where looking them up fails or takes long (RFC 8767).
	ServeStale bool `yaml:"serve-stale" default:"true" restart:"true"`
	// StaleTTL is for how long after its time an answer may be given.
	StaleTTL time.Duration `yaml:"stale-ttl" default:"24h" range:"1s..3650d" restart:"true"`
	// StaleTTLReset counts that time from when the answer was last given because looking it up failed.
	StaleTTLReset bool `yaml:"stale-ttl-reset" default:"false" restart:"true"`
	// StaleReplyTTL is the TTL of such answers.
	StaleReplyTTL time.Duration `yaml:"stale-reply-ttl" default:"30s" range:"1s..1h" restart:"true"`
	// StaleRecheck is for how long such an answer is given before it is looked up again.
	StaleRecheck time.Duration `yaml:"stale-recheck" default:"30s" range:"1s..1h" restart:"true"`
	// StaleAfter is how long a client waits before it is given such an answer; 0s: it is at once, and the look-up comes afterwards.
	StaleAfter time.Duration `yaml:"stale-after" default:"1800ms" range:"0s..1m" restart:"true"`
	// ClientDeadline is how long a client waits where there is no such answer, before SERVFAIL; the look-up goes on. 0s: until its end.
	ClientDeadline time.Duration `yaml:"client-deadline" default:"4800ms" range:"0s..1m" restart:"true"`
}

// leastCache is the smallest cache that a resolver can work with.
const leastCache = 1 << 20

func (d *decoder) checkResolverCache(m *mapping, c *ResolverCache) {
	if c.Size < leastCache {
		d.fail(m.at("size"), "at least 1MiB", "a resolver that remembers nothing cannot find anything")
	}
}

// UnmarshalText reads a size as it is written in a configuration.
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = parseSize(string(text))
	return err
}
