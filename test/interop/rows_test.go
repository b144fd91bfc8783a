package interop

import (
	"regexp"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// all kinds of difference but no answer at all.
const anyKind = "rcode aa tc ad edns answer authority additional"

// acceptedDifferences is the whole table for the hand-made zones. The first row that matches counts.
var acceptedDifferences = slices.Concat(knotRows, bindRows, nsdRows, powerDNSRows)

// crossing are the sets in which an alias or a delegation leads from one zone of the server into another.
const crossing = "cname-cross dname-cross dname-apex many-zones signed-cross parent-child signed-parent-child three-levels"

// The rows that the root zone needs as well.
var (
	bindAnswersNSEC = row{peer: "bind", sets: "nsec-* root", kinds: "aa answer authority additional", when: all(askedFor(dns.TypeNSEC), weRefer), reason: "NSEC of a cut is answered, not referred", rfc: "RFC 1034 §4.3.2 step 3b; RFC 4035 §3.1.4.1 excepts DS only"}
	bindDropsGlue   = row{peer: "bind", sets: "deleg-large deleg-many root", kinds: "tc", when: onlyWeTruncate, reason: "in-domain glue that does not fit is left out without TC", rfc: "RFC 9471 §3.1: TC must be set"}
	nsdDropsGlue    = row{peer: "nsd", sets: "deleg-large deleg-many root", kinds: "tc", when: onlyWeTruncate, reason: "in-domain glue that does not fit is left out without TC", rfc: "RFC 9471 §3.1: TC must be set"}
	bindSendsGlue   = row{peer: "bind", sets: "*", kinds: "additional", when: all(weRefer, theirsIsPart, extraIsAddress), reason: "minimal-responses leaves out addresses that are not glue", rfc: "RFC 1034 §4.3.2 step 3b: whatever addresses are available"}
)

// rootDifferences is the table for the root zone.
var rootDifferences = []*row{&bindAnswersNSEC, &bindSendsGlue, &bindDropsGlue, &nsdDropsGlue}

var knotRows = []*row{
	grandchildDS("knot"),
	{peer: "knot", sets: "*", kinds: "answer", when: all(askedFor(dns.TypeANY), theirsIsPart), reason: "one RRset for ANY, also over TCP", rfc: "RFC 8482 §4.1 is for those who do not want to send all"},
	{peer: "knot", sets: "*", kinds: anyKind, when: all(askedFor(dns.TypeNSEC), oursHas("CNAME")), reason: "an alias is not followed for NSEC", rfc: "RFC 1034 §4.3.2 step 3a: for every QTYPE that does not match CNAME"},
	{peer: "knot", sets: crossing, kinds: anyKind, when: oursHas("CNAME"), reason: "an alias is followed inside its zone only", rfc: "RFC 1034 §4.3.2 step 3a goes back to step 1, so to any zone"},
	{peer: "knot", sets: "cname-long cname-loop dname-self", kinds: "answer authority rcode", when: theirsIsPart, reason: "an alias is followed five times only", rfc: "RFC 1034 §5.2.2: chains should be followed; a limit is each server's own"},
	{peer: "knot", sets: "nsec-*", kinds: "authority", when: all(askedFor(dns.TypeNSEC), theirsIsPart, inMode(do)), reason: "a synthesised NSEC comes without the proof that its owner does not exist", rfc: "RFC 4035 §3.1.3.3, RFC 4592 §4.7"},
	{peer: "knot", sets: "nsec-*", kinds: "authority", when: all(inMode(do), nameHas(`\\000`)), reason: "zero octets in labels sort wrongly", rfc: "RFC 4034 §6.1"},
	{peer: "knot", sets: "nsec*", kinds: "authority", when: all(inMode(do), theirsIsPart, nameHas(`(^|\.)\*\.`)), reason: "a wildcard that stands for a name with an asterisk comes without the proof that this name does not exist", rfc: "RFC 4035 §3.1.3.3, RFC 5155 §7.2.6"},
	{peer: "knot", sets: "dname-long", kinds: "rcode authority", reason: "NXDOMAIN where the synthesised name is too long", rfc: "RFC 6672 §2.2: YXDOMAIN"},
	{peer: "knot", sets: "wild-dname", kinds: "answer", reason: "DNAME at a wildcard is synthesised for names below it", rfc: "RFC 6672 §3.3"},
}

var bindRows = []*row{
	grandchildDS("bind"),
	{peer: "bind", sets: "*", kinds: anyKind, when: all(askedFor(dns.TypeNSEC), oursHas("CNAME")), reason: "an alias is not followed for NSEC", rfc: "RFC 1034 §4.3.2 step 3a: for every QTYPE that does not match CNAME"},
	{peer: "bind", sets: crossing, kinds: anyKind, when: oursHas("CNAME"), reason: "an alias is followed inside its zone only", rfc: "RFC 1034 §4.3.2 step 3a goes back to step 1, so to any zone"},
	{peer: "bind", sets: "cname-loop cname-self wild-cname-loop dname-self", kinds: "rcode answer", when: theirsFail, reason: "SERVFAIL for an endless chain", rfc: "RFC 1034 §3.6.2: the records are the answer; who follows the loop signals it (§5.2.2)"},
	{peer: "bind", sets: "*", kinds: anyKind, when: all(askedFor(dns.TypeANY), oursHas("DNAME"), oursHas("CNAME")), reason: "ANY is answered by the CNAME that DNAME makes", rfc: "RFC 6672 §3.2 step 3C: back to step 1"},
	&bindAnswersNSEC,
	{peer: "bind", sets: "*", kinds: "answer", when: all(askedFor(dns.TypeANY), theirsIsPart), reason: "no DNSKEY for ANY in a zone that is not signed", rfc: "RFC 4035 §3.1: as any other RRset"},
	&bindSendsGlue,
	&bindDropsGlue,
}

var nsdRows = []*row{
	grandchildDS("nsd"),
	&nsdDropsGlue,
	{peer: "nsd", sets: "*", kinds: "answer", when: all(askedFor(dns.TypeANY), theirsIsPart), reason: "one RRset for ANY, also over TCP", rfc: "RFC 8482 §4.1 is for those who do not want to send all"},
	{peer: "nsd", sets: "nsec3-* signed-parent-child3", kinds: "rcode answer authority", when: nameHas(hashedOwner), reason: "owners of NSEC3 count as names of the zone", rfc: "RFC 5155 §7.2.8: they do not"},
	{peer: "nsd", sets: "nsec3-*", kinds: "rcode answer authority", when: all(askedFor(dns.TypeNSEC3), oursHas("CNAME")), reason: "an alias is not followed for NSEC3", rfc: "RFC 1034 §4.3.2 step 3a: for every QTYPE that does not match CNAME"},
	{peer: "nsd", sets: "dname-self", kinds: "answer", when: theirsIsPart, reason: "an endless chain ends earlier", rfc: "RFC 1034 §5.2.2: a limit is each server's own"},
	{peer: "nsd", sets: "nsec3-*", kinds: "authority", when: all(inMode(do), oursIsPart, nameHas(`^\*\.`)), reason: "NODATA at a wildcard that was asked for by its own name is proven as if it stood for another", rfc: "RFC 5155 §7.2.3: the NSEC3 that matches QNAME proves it"},
	{peer: "nsd", sets: "nsec3-optout", kinds: "authority", when: all(inMode(do), nameHas(`(^|\.)ent\.`)), reason: "the proof starts at an encloser that opt-out left without a record", rfc: "RFC 5155 §7.2.1: at the closest provable encloser"},
	{peer: "nsd", sets: "nsec-dname", kinds: "authority", when: all(inMode(do), theirsIsPart), reason: "NXDOMAIN behind a DNAME comes without the NSEC that covers the name", rfc: "RFC 4035 §3.1.3.2"},
	{peer: "nsd", sets: "parent-child", kinds: "rcode answer authority", when: nameHas(`\.child\.parent\.`), reason: "a wildcard of the parent stands for names in the child", rfc: "RFC 1034 §4.3.2 step 2: the nearest zone answers; below the cut the parent's data is occluded"},
}

var powerDNSRows = []*row{
	grandchildDS("powerdns"),
	{peer: "powerdns", sets: "*", kinds: anyKind, when: all(askedFor(dns.TypeANY), either(oursHas("CNAME"), oursHas("DNAME"))), reason: "aliases are followed for ANY, though what is found there is not always told", rfc: "RFC 1034 §4.3.2 step 3a: ANY matches CNAME"},
	{peer: "powerdns", sets: "*", kinds: "answer", when: all(askedFor(dns.TypeANY), theirsIsPart), reason: "no NSEC and RRSIG for ANY", rfc: "RFC 4035 §3.1: as any other RRset"},
	{peer: "powerdns", sets: "wild-ent wild-middle", kinds: "answer authority", when: askedFor(dns.TypeANY), reason: "ANY at a wildcard without data is answered by a record of type 0", rfc: "RFC 4592 §4.9: NODATA"},
	{peer: "powerdns", sets: "cname-loop cname-self wild-cname-loop dname-self", kinds: "rcode answer", when: theirsFail, reason: "SERVFAIL for an endless chain", rfc: "RFC 1034 §3.6.2: the records are the answer; who follows the loop signals it (§5.2.2)"},
	{peer: "powerdns", sets: "*", kinds: "rcode answer authority additional", when: all(askedFor(dns.TypeCNAME), oursIsPart, oursHas("CNAME")), reason: "CNAME at a wildcard or below a DNAME is answered, and then looked for further", rfc: "RFC 1034 §4.3.2 step 3a: CNAME matches CNAME; RFC 2308 §2: SOA is for denials"},
	{peer: "powerdns", sets: "deleg-below dname-occluded nsec-dname-occluded nsec-occluded", kinds: anyKind, reason: "occluded names answer: the deepest name counts, not the topmost cut or DNAME", rfc: "RFC 1034 §4.3.2 step 3b, RFC 6672 §2.4"},
	{peer: "powerdns", sets: "nsec-* signed-*", kinds: anyKind, when: askedFor(dns.TypeNSEC), reason: "NSEC is denied without DO, answered at cuts and taken from the chain for names that do not exist", rfc: "RFC 4035 §3.1: as any other RRset"},
	{peer: "powerdns", sets: "nsec3-* signed-parent-child3", kinds: "rcode answer authority", when: nameHas(hashedOwner), reason: "owners of NSEC3 count as names of the zone", rfc: "RFC 5155 §7.2.8: they do not"},
	{peer: "powerdns", sets: "nsec3-* signed-parent-child3", kinds: "answer", when: askedFor(dns.TypeNSEC3PARAM, dns.TypeANY), reason: "NSEC3PARAM gets another TTL than it has", rfc: "RFC 1035 §5.1: a record has the TTL of its entry"},
	{peer: "powerdns", sets: "nsec3-optout", kinds: "authority", when: all(inMode(do), nameHas(`(^|\.)ent\.`)), reason: "the proof starts at an encloser that opt-out left without a record", rfc: "RFC 5155 §7.2.1: at the closest provable encloser"},
	{peer: "powerdns", sets: "unknown-types", kinds: "rcode aa answer authority", reason: `neither blanks in the hexadecimal form nor \# for known types are read`, rfc: "RFC 3597 §5"},
	{peer: "powerdns", sets: "rr-types svcb-https additional", kinds: "answer", when: askedFor(dns.TypeKX, dns.TypeLP, dns.TypeMINFO, dns.TypeNAPTR, dns.TypeRP, dns.TypeHTTPS, dns.TypeSVCB, dns.TypeANY), reason: "relative names in these types are not completed", rfc: "RFC 1035 §5.1"},
}

// grandchildDS is a row that every peer needs.
func grandchildDS(peer string) *row {
	return &row{peer: peer, sets: "grandchild", kinds: "aa authority", when: askedFor(dns.TypeDS), reason: "a grandparent without the parent refers to the parent for DS", rfc: "RFC 4035 §3.1.4.1: a server with the child and without the parent answers NODATA from the child"}
}

// all combines conditions.
func all(conditions ...func(*difference) bool) func(*difference) bool {
	return func(d *difference) bool {
		return !slices.ContainsFunc(conditions, func(c func(*difference) bool) bool { return !c(d) })
	}
}

// either is a condition: one of two holds.
func either(a, b func(*difference) bool) func(*difference) bool {
	return func(d *difference) bool { return a(d) || b(d) }
}

// askedFor is a condition: one of these types was asked for.
func askedFor(types ...uint16) func(*difference) bool {
	return func(d *difference) bool { return slices.Contains(types, d.q.typ) }
}

// inMode is a condition: the question was asked in this mode.
func inMode(m mode) func(*difference) bool { return func(d *difference) bool { return d.q.mode == m } }

// hashedOwner matches the label of an NSEC3 owner, or one beside it.
const hashedOwner = `(^|\.)[0-9A-V]{30}`

// nameHas is a condition: the name in question matches a pattern.
func nameHas(pattern string) func(*difference) bool {
	re := regexp.MustCompile(pattern)
	return func(d *difference) bool { return re.MatchString(d.q.name) }
}

// oursHas is a condition: our answer section has a record of a type.
func oursHas(typ string) func(*difference) bool {
	return func(d *difference) bool { return hasType(d.mine.answer, typ) }
}

// theirsIsPart: the peer sent nothing that we did not send too.
func theirsIsPart(d *difference) bool { return len(d.missing) == 0 }

// oursIsPart: we sent nothing that the peer did not send too.
func oursIsPart(d *difference) bool { return len(d.extra) == 0 }

// onlyWeTruncate: we set TC in a referral, and the peer did not.
func onlyWeTruncate(d *difference) bool { return d.mine.tc && !d.other.tc && weRefer(d) }

// theirsFail: the peer answered SERVFAIL.
func theirsFail(d *difference) bool { return d.other.rcode == "SERVFAIL" }

// weRefer: our answer is a referral.
func weRefer(d *difference) bool { return !d.mine.aa && hasType(d.mine.authority, "NS") }

// extraIsAddress: all that only we sent are addresses and their signatures.
func extraIsAddress(d *difference) bool {
	types := []string{"A", "AAAA", "RRSIG A", "RRSIG AAAA"}
	return !slices.ContainsFunc(d.extra, func(rr string) bool {
		return !slices.ContainsFunc(types, func(t string) bool { return hasType([]string{rr}, t) })
	})
}

// hasType says whether a list of records in presentation form has one of a type.
func hasType(records []string, typ string) bool {
	return slices.ContainsFunc(records, func(rr string) bool { return strings.Contains(rr, " IN "+typ+" ") })
}
