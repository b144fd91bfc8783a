// Package delegation proves that a parent keeps delegations by what other signers publish: Knot and BIND are the children, and
// BIND's dnssec-cds says what it would do with the same records.
package delegation
