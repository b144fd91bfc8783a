// Package validator follows the chain of trust from configured anchors to an
// answer (RFC 4033 to 4035, 6840): zone by zone the DS set, the keys that it
// vouches for, and what those sign. It asks through a function that its caller
// gives, so it serves a resolver, a tool and a simulation alike; it has no
// sockets, and the time is a parameter.
//
// A Validator remembers the keys of the zones that it saw, for as long as their
// TTL and signatures allow, within a bound. Any goroutine may call Look; each call
// is its own, and a mutex guards what is remembered. Signatures are checked by as
// many at once as there are processors but one.
//
// Work for one Look is bounded, whatever a zone holds: signature checks, rounds of
// NSEC3 hashing, questions and aliases (Limits). What is beyond is not secure.
//
// RFCs: 4035 §5, 5155 §8, 6605, 6672 §5.3, 6840, 8080, 8914, 9276, 9824.
package validator
