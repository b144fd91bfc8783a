// Package mixed tests `onoma serve` as an operator has it, with NSD, Knot, BIND, PowerDNS and itself on both sides: zones that
// change through all doors at once, catalog zones, views, transfers over TLS and QUIC. Packets get lost and servers are
// restarted and killed; in the end all of them have the same records.
//
// ONOMA_MIXED says how many changes TestMixedDoors makes; `make mixed` has 1000.
package mixed
