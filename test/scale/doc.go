// Package scale holds `onoma serve` to what it promises of very many small zones: a catalog's worth of members is
// transferred once, served again within seconds after a restart, and asked for no more than its timers say. ONOMA_SCALE
// says how many zones there are; with 100,000 of them it is what docs/catalogs.md has.
package scale
