// Package telemetry watches what a server answers: it owns counters, heavy hitters and the copies that dnstap tells of,
// taken by a Hub that wraps a transport.Handler. Neither transport nor the handlers know of it.
//
// Each Worker of a UDP loop writes to a lane of its own, without a lock, an allocation, or a cache line that another
// processor writes; who reads merges the lanes. Streams and answers that come later share a few lanes, each behind a mutex
// that is held for less than a microsecond. Heavy hitters are looked for in one of several queries, and a query is left out
// rather than waited with while its lane is being read. Sub-packages have the algorithms (sketch), the sinks (dnstap,
// journal) and the readers (metrics, control, top).
package telemetry
