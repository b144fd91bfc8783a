// Package update lets clients change zones by DNS UPDATE (RFC 2136): it is the
// [authority.Updates] that decides who may change what, and makes the change.
//
// A request is read and judged by the goroutine that has received it, as far as
// that is possible without the zone: its form, whether all names are in the zone,
// and whether the client may change them. The rest is one [zone.Change], whose
// Edit looks at the prerequisites and makes the updates when the pipeline comes to
// it, so that of two requests the later one sees what the earlier one has done.
// The pipeline's answer, that the change is on the disk and served, is the client's.
// No goroutine waits for it. Forwarding to a primary (§6) has a few goroutines.
//
// Who may do what is a [Policy] in each zone: an ordered list of rules, as lines
// of text in policy_text.go. Signatures with public keys (SIG(0), RFC 2931) are
// checked here, those with shared secrets (TSIG) by package authority.
//
// A Handler may be used by any number of goroutines.
//
// RFCs: 2136, 2181 §5.2 and §8, 2931, 3007, 3597, 4034 (types beside CNAME), 8914.
package update
