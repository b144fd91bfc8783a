package daemon

import (
	"time"

	"onoma/config"
	"onoma/resolver"
)

// setCache puts what is configured of a resolver's cache into cfg.
func setCache(cfg *resolver.Config, c *config.ResolverCache) {
	cfg.CacheSize, cfg.CacheFile, cfg.CacheSaveEvery = int(c.Size), c.File, c.SaveEvery
	cfg.NoPrefetch, cfg.NoStale, cfg.StaleTTLReset = !c.Prefetch, !c.ServeStale, c.StaleTTLReset
	cfg.StaleTTL, cfg.StaleReplyTTL, cfg.StaleRecheck = c.StaleTTL, c.StaleReplyTTL, c.StaleRecheck
	cfg.StaleAfter, cfg.ClientDeadline = orNever(c.StaleAfter), orNever(c.ClientDeadline)
}

// orNever turns a setting of nothing into what it is for a resolver, where 0 is the
// default.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}
