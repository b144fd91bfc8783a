// Package sign keeps zones signed: it applies a [Plan], which says which keys sign,
// what stands at the apex and how denial of existence works, to a version of a zone.
//
// [Plan.Edit] signs what an edit touches, at the cost of the edit: the RRsets that
// changed, their neighbours in the chain of NSEC or NSEC3, names that a cut hides or
// shows, and the apex. [Plan.Whole] signs a zone that comes whole, on all cores, and
// keeps signatures that are still good. [Plan.Survey] walks a zone and says what is
// due, [Plan.Renew] makes that anew. [Verify] says what is wrong with a signed zone,
// knowing nothing of plans.
//
// What is signed is what the zone is authoritative for: neither glue nor what a cut
// or a DNAME hides, and at a cut the DS and NSEC only (RFC 4035 §2.2).
//
// A Plan is immutable and may be used by any number of goroutines, each with an
// Editor of its own. It has no clock: times come as parameters.
//
// RFCs: 4034 and 4035 (RRSIG, NSEC), 5155 and 9276 (NSEC3), 8976 (ZONEMD), 9077 (TTLs
// of NSEC and NSEC3), 9824 (compact denial).
package sign
