// Package zone keeps one zone in memory: its names and records in order, as
// immutable versions that share what they have in common.
//
// A [Builder] makes the first [Version] from records in any order, and reports
// what is wrong with them as [Finding] values, as named-checkzone would. An
// [Editor] makes the next version at the cost of the change. A [Zone] is an
// origin and an atomic pointer to the version that is served. A [Loader] reads
// master files, large ones by several goroutines.
//
// Names are the keys of a copy-on-write qp-trie whose order is the canonical
// one (RFC 4034 §6.1), so that exact match, closest encloser, predecessor and
// ordered walk are each one descent. Trie cells and node data live in chunks
// without Go pointers, addressed by 32-bit references: the collector has a few
// slices to look at for a million names. Equal NS sets are stored once.
//
// Concurrency: a Version never changes and may be read by any number of
// goroutines for as long as anyone holds it. A Builder or an Editor belongs to
// one goroutine. No reader waits for a writer.
//
// RFCs: 1034 and 1035 (zones), 2181 (RRsets), 4034 and 4035 (NSEC), 4592
// (wildcards), 5155 (NSEC3), 6672 (DNAME), 9471 (glue).
package zone
