// Package policy has the rules by which a resolver answers otherwise than the
// DNS would have it: rules go in and are compiled, verdicts come out.
//
//   - [RPZ] is a list of [Zone]: policy zones with triggers by the client's
//     address, the name, addresses in the answer, and the names and addresses of
//     the servers that gave it;
//   - [Blocks] are block lists: hosts files, names, AdBlock rules;
//   - [Local] are local zones and local data;
//   - [Table] has a value for each prefix of clients: access, views, tags;
//   - [DNS64] makes IPv6 addresses out of IPv4 ones, [Rebinding] keeps names of
//     the internet from leading into the own network.
//
// Nothing here reads a clock, a file or the network. What is compiled is
// immutable and safe for concurrent use; who has new rules compiles them beside
// the answering loops, which belongs to one goroutine, and swaps a pointer. The
// large tables have no pointers within, and a look-up that finds nothing does not
// allocate. Policy comes after validation: bogus data stays SERVFAIL.
//
// What several rules say about one name: in RPZ an asterisk works as in any zone
// (RFC 4592, and as BIND and Unbound have it), so that a rule for a.example hides
// one for *.example from b.a.example. In block lists all rules for the name and
// for the names above it count, the one of the highest rank wins.
//
// RFCs: 6052, 6147, 7050, 8880 (DNS64), 9460 (hints); draft-vixie-dnsop-dns-rpz,
// called "RPZ draft" here.
package policy
