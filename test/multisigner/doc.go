// Package multisigner has a zone signed by several providers at once (RFC 8901, model 2), and moved from one to the other while
// it is signed. Servers are ours, Knot and BIND; the parent is ours. All the time Unbound asks now this one, now that one, and a
// validator of ours is given every combination of a DS set, a DNSKEY set and an answer that some cache may have: none of them
// may be bogus, and none insecure.
package multisigner
