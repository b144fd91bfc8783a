// Package pipeline is the one way by which zones change: whoever wants a change, by
// whichever door, hands a [zone.Change] to a [Pipeline], which makes the next
// version, has the publish gate look at it, commits it to the database, and only
// then lets it be served and tells the author and all who listen.
//
// A group of changes shares one transaction and one sync: what has come while the
// last group was being synced is the next one, and nobody waits for a group to fill
// up. Each change is a version with a number, a serial number and an author of its
// own; what is served goes from the last version of one group to that of the next.
// A change that is refused is refused alone.
//
// The database is the truth. What is in memory follows from it: at the start from
// the newest of snapshot file and checkpoint, and the deltas after that; and what
// other nodes commit to a shared database is put on top of it as it is found.
//
// Concurrency: one goroutine, that of Run, makes versions and publishes them. A
// change that takes long (a whole zone, thousands of records, a slow rule of the
// gate) is made by a goroutine of its own beforehand, and holds its zone: other
// changes of that zone wait for it, those of other zones do not. There is no
// goroutine and no timer per zone. Locks, in this order: turn (who may change what
// zones are), mu (the table of zones and what is said of them), queue.mu.
//
// The next group is not made while the last one is being synced. Who waits for
// receipts is in the group that is being synced, so there would be little to make;
// and each commit may find versions of other nodes before it, on which a group made
// ahead could not stand.
//
// RFCs: 1982 (serial numbers), 1995 (what histories are for).
package pipeline
