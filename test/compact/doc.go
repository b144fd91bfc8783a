// Package compact holds the tests of zones that are signed when asked (RFC 9824): signer/online behind package authority, judged by
// Unbound and BIND's delv, beside Knot's module onlinesign and PowerDNS.
package compact
