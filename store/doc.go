// Package store is the database under everything that changes: which zones there are, every version of each with
// who made it, by which door and why, checkpoints of whole contents, and small states of the doors.
//
// The database is SQLite in one file (embedded, the default), or a PostgreSQL that several nodes share; the statements
// are the same. A commit is one transaction that is synced to the disk before it is acknowledged. Commits are numbered
// in one total order: a commit locks the row of the last number, reads what others have committed since the caller
// looked, lets the caller put its versions on top, and inserts them. So no two nodes give out one version twice.
//
// What the versions contain is opaque here; every delta, part and state carries a checksum that is verified on reading.
//
// A Store may be used by any number of goroutines. SQLite has one writer: Commit and the other writes wait for each
// other, readers wait for nobody. What is large (Staging, WriteCheckpoint, Prune) is written in small transactions of
// its own, so that a commit never waits long for it.
package store
