// Package provider looks at the servers of a zone's other providers (RFC 8901, model 2: each signs the zone by keys of its own,
// and has everybody's keys in its DNSKEY set). An [Asker] asks one for the apex sets DNSKEY, CDS, CDNSKEY and SOA, over TCP or
// TLS only; [Known.Judge] says whether that is proven to be the provider's, and which keys in it do what.
//
// What an answer says is believed for one of three reasons: it came signed by a TSIG key that both sides have, or over TLS from
// a server whose certificate was checked; the DNSKEY set is signed by a key that is known to be the provider's; or by one that
// the parent's DS set, itself validated from a trust anchor, has, and that is nobody else's. In each case the set must be signed
// by one of its own keys that is not ours, its signatures must be good now, and not be older than those seen before: what was
// true once is not to be played back. Nothing is ever removed because of an answer that did not come.
//
// Where it may, an Asker also has a server of another provider, which does not ask for itself, take our keys by UPDATE.
//
// Work is bounded: records of a set, signatures that are tried, and the time of an exchange. An Asker may be used by any
// goroutine; judging has no state.
//
// RFCs: 2136, 4035 §5, 7344 §4.1, 8078 §4, 8901 §2.1.2, §4, §6.2 and §8, 8945.
package provider
