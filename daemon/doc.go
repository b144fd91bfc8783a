// Package daemon is one onoma as its configuration describes it: the zones, the
// doors by which they change, and what tells others of a change.
//
// It owns which zones there are (from the configuration and from catalogs) and
// by which settings each is kept; it joins the packages that do the work and
// holds no policy of its own. Changes come from files, UPDATE, primaries,
// catalogs and the control socket, all go through the pipeline, and each version
// that the pipeline publishes goes to the secondaries, to whoever follows them,
// and to the catalogs that it may belong to.
//
// Concurrency: one configuration is in force at a time; Reload puts another one
// in its place while queries are answered. The table of zones has a lock that is
// held for look-ups only. Lock order: Daemon.reloading before table.mu.
package daemon
