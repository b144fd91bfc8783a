// Package cache is the resolver's memory: [Messages] holds whole answers in
// wire form, ready to copy to a client; [Records] holds what the iterator
// learnt, RRsets, negative answers, delegations and failures.
//
// Both stand on one store of pointer-free memory, which the collector never
// scans: each shard is a ring of 64-bit words that entries are appended to, and
// a table of 8-slot buckets that says where in the ring a key is. Positions in
// the ring only ever grow. A writer, under the shard's lock, first moves the
// tail past what it is about to overwrite and then writes; a reader copies an
// entry without any lock and then looks whether the tail has passed it, in
// which case the copy is dropped as a miss. All words are read and written
// atomically, so this is sound in Go's memory model, and a hit allocates
// nothing and waits for nobody.
//
// Entries of Records have a status: what validation found of them, noted where they
// stand. What proves something of other names lies apart, in order (see denials),
// and is never found as data.
//
// Eviction is CLOCK: an entry that was hit since it was last appended is
// appended again when the tail reaches it, any other one is gone. Memory is
// fixed when the cache is made; no answer however large or numerous exceeds it.
//
// RFCs: 2181 §5.2 and §5.4.1 (one TTL per RRset, credibility), 2308 (negative
// answers), 8198 (what is proved of other names), 9520 (failures). Time is a parameter: seconds of Unix time.
package cache
