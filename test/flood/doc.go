// Package flood attacks a running `onoma authority` from another network namespace and measures what good clients still get.
//
// The server has one CPU; the attacker and the good clients share another. The attacker writes frames with forged sources
// to a veth pair, as fast as it can or at a multiple of what the server was seen to answer; good clients ask from addresses
// of their own at a steady rate, without retries, and count. `go test` runs each flood for a few seconds, `make flood`
// for longer and writes the table of docs/floods.md. Linux and root; skipped by name elsewhere.
package flood
