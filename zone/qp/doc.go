// Package qp is a copy-on-write trie whose keys are domain names, ordered
// canonically (RFC 4034 §6.1).
//
// It is a qp-trie: a branch names the position of the first symbol in which the
// names below it differ, holds a bitmap of the symbols that occur there, and
// has its twigs, one per symbol, side by side. A name becomes symbols label by
// label from the root down ([Key]); octets that host names are made of are one
// symbol each and the others two, so that a bitmap fits one word.
//
// Cells (branches and leaves, 12 octets each) and octet strings live in chunks
// without Go pointers ([Space]), addressed by 32-bit references. A leaf refers
// to an octet string of its user, which begins with the name's length and the
// name relative to the trie's top; the trie reads no further.
//
// Concurrency: a Space and the tries in it are immutable and may be read by any
// number of goroutines. A [Writer] adds to a copy of a Space's table of chunks:
// what readers of the Space can reach it never touches. One goroutine owns it,
// and at most one Writer at a time may extend the same Space's last chunks.
package qp
