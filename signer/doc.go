// Package signer keeps zones signed without a hand on it. A [Zone] is the stage of the pipeline that signs each change of
// one zone in the same version, by the plan of the moment. A [Keeper] owns all of them: it asks their key rings
// (signer/keys) what has to happen when, has keys made (signer/keystore), signatures made anew before they expire, DNSKEY
// and CDS records published, and the parent watched (signer/parent); each of these steps is a change by zone.DoorSigner.
//
// The key ring of a zone is in the database before anything is done by it, so a crash leaves nothing half done: what a
// version is to be like follows from the ring, and doing it twice changes nothing.
//
// Time that goes wrong must not take zones off the net: the Keeper has a steady clock (see [Steady]), gives alarms long before
// signatures expire, and withdraws a zone with a chain of trust rather than have it served with expired ones.
//
// Concurrency: one heap of times for all zones, a goroutine that looks at it, and a bounded number of others that tend zones,
// one at a time for each. No zone has a goroutine or a timer of its own. The methods of a Keeper may be called by any
// goroutine; those of a Zone as pipeline.Signer says. Locks, in this order: Zone.busy, Zone.making,
// Keeper.mu, Zone.mu.
//
// RFCs: 4035 (signing), 7344 and 8078 (CDS), 7583 (rollovers), 8901 (several providers), 9276 (NSEC3).
package signer
