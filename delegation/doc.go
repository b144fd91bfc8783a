// Package delegation is the parent's half of a delegation that keeps itself: it
// looks at what the children of a zone publish, and keeps DS, NS and glue of the
// zone by it (RFC 7344, RFC 8078, RFC 7477).
//
// A Desk has the parents, each with a Policy. It looks at a child when the child
// says so by NOTIFY (RFC 9859), when the scan of the zone comes by, when something
// that was seen must be seen again, and when a person asks. A look is questions
// over TCP to every address of every name server of the delegation; what follows
// from the answers is decided by functions without I/O (decideDS, decideSync), the
// same for each way in: a NOTIFY makes a look sooner and nothing else. What is to
// change goes out as an Order: as one zone.Change for each child, which is refused
// should the delegation be another one by then, or to a registry.
//
// The rule above all others: nothing follows from what a server has not said. All
// servers answer, and say the same, or the delegation stays as it is and is looked
// at again later; and no DS set is taken under which the child, as all its servers
// serve it now, would not validate.
//
// The first DS of a child comes by authenticated signals (RFC 9615), after a delay
// (RFC 8078 §3.3), or at once for children whose name servers are the operator's
// own: as the policy says.
//
// Who is looked at when is a state machine without clock and sockets (schedule).
// Nothing is kept of a child of which nothing is pending, so that a zone of a
// million of them costs a cursor. All methods of Desk may be called by any number of
// goroutines; Run is the one that works, with a bounded number of its own.
//
// RFCs: 7344, 7477, 8078, 9615 (CDS, CDNSKEY, CSYNC), 9859 (DSYNC), 4035 and 6840
// (what a validator accepts), 9471 (glue), 1982 (serial numbers).
package delegation
