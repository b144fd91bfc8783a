// Package gate decides whether a version of a zone may be served: the last step
// before a change is committed, whichever door it came through.
//
// [Rules] are those of one zone. [Rules.Fast] costs as much as the change: what
// is wrong with the zone because of it (the semantic checks of package zone) and
// how much of the zone goes. [Rules.Slow] costs as much as the zone and may wait
// for others: ZONEMD and a command of the operator's. What must not be served is
// told as a [zone.Refusal] that says what to do.
//
// Concurrency: Rules are a value that nobody changes while it is in use; all
// methods may be called by any goroutine.
//
// RFCs: 8976 (ZONEMD).
package gate
