// Package importer makes a configuration of onoma out of those of BIND, NSD, Knot
// DNS and PowerDNS's bind backend, with a note for each thing that is carried
// over differently, or not at all.
//
// Each of the four languages has a parser of its own, as small as the language
// lets it be; what a parser finds becomes a draft, which is written as commented
// YAML. What the draft says is what the other server was told to do, or less: an
// access list that cannot be expressed lets in fewer, never more.
//
// An import belongs to one goroutine. It reads the files that the configuration
// includes, through Options, and nothing else: no zone file, no key that is not
// in the configuration.
package importer
