package internet_test

import (
	"slices"
	"strings"

	"onoma/test/internet"
)

// explanation says why resolvers disagree. All that it gives has to match.
type explanation struct {
	fault string                                         // "": any
	who   string                                         // names of those who say something else than most; "": anybody
	got   string                                         // how what they say begins, see outline; "": anything
	most  string                                         // how what most say begins
	when  func(q internet.Asked, got, most verdict) bool // nil: always
	why   string
}

// explanations are of Debian 12's Unbound 1.17, BIND 9.18, Knot Resolver 5.6 and PowerDNS Recursor 4.8.
var explanations = []explanation{
	{who: "powerdns bind", got: "SERVFAIL AD", most: "SERVFAIL with",
		why: "RFC 4035 §3.2.3 ties AD to the sets of the answer and authority sections; an error has none, so both are right"},
	{who: "powerdns bind", when: func(q internet.Asked, got, most verdict) bool {
		return q.Zone.HasOptOut() && got.ad && !most.ad && got.rcode == most.rcode && got.data == most.data
	}, why: "RFC 5155 §9.2: no AD where the next closer name is in a span of opt-out; PowerDNS sets it for answers of wildcards, BIND for some DS sets that are absent"},
	{who: "powerdns", when: func(_ internet.Asked, got, most verdict) bool {
		return strings.Contains(got.data, " cname ") && got.data == most.data && got.rcode == most.rcode && got.ad && !most.ad
	}, why: "RFC 4035 §3.2.3: AD only where all sets are authentic; PowerDNS forgets an alias in an unsigned zone"},

	{who: "powerdns", when: func(q internet.Asked, got, most verdict) bool {
		return q.Zone.IsIsland() && got.ad && !most.ad && got.rcode == most.rcode && got.data == most.data
	}, why: "RFC 4035 §4.3: below a zone that is not signed nothing is secure, also where it has DS records; PowerDNS goes by them in negative answers"},
	{who: "unbound knot bind powerdns", when: func(q internet.Asked, got, most verdict) bool {
		return isSlow(q.Zone.Fault) && (got.rcode == "silence" && most.rcode == "SERVFAIL" || got.rcode == "SERVFAIL" && most.rcode == "silence")
	}, why: "no RFC says when a resolver gives up (RFC 9520 §2.2 counts time-outs as failures): clients here leave after 16 seconds, and some go on"},

	{fault: "https-silent", who: "unbound knot bind powerdns", got: "SERVFAIL",
		why: "RFC 9520 §3.1, §3.2: who has got no answer from a server leaves it alone for a while; for these that holds for other types, too"},
	{fault: "edns-notimp", who: "onoma unbound", most: "SERVFAIL",
		why: "RFC 6891 §7 asks for FORMERR, RFC 2671 §5.3 had NOTIMP too: whoever asks again without EDNS gets the answer"},
	{fault: "edns-notimp", who: "bind knot powerdns", got: "SERVFAIL",
		why: "RFC 6891 §7 asks for FORMERR, and these do not ask again without EDNS for anything else"},
	{fault: "edns-silent", who: "onoma", most: "SERVFAIL",
		why: "RFC 6891 §6.2.2 lets a requestor ask without EDNS who says nothing to it; onoma does so in zones that are not signed"},
	{fault: "edns-servfail", who: "onoma", most: "SERVFAIL",
		why: "RFC 6891 §6.1.1: who knows EDNS puts OPT into errors as well; onoma asks once more without EDNS where a SERVFAIL has none"},
	{fault: "upper-case", who: "knot", got: "SERVFAIL",
		why: "RFC 4343 §4.1: the case of the question is to be kept, and Knot Resolver insists on it; others go to TCP or do not look"},
	{fault: "dname-long", who: "powerdns", got: "SERVFAIL", most: "YXDOMAIN",
		why: "RFC 6672 §2.2: a substitution that is too long is YXDOMAIN; PowerDNS takes that rcode for a failure"},
	{fault: "dname-long", who: "unbound", got: "YXDOMAIN with", most: "YXDOMAIN AD",
		why: "RFC 6672 §5.3.4 speaks of validating YXDOMAIN; Unbound does not call such an answer secure"},
	{fault: "dname-growing", who: "unbound", got: "NOERROR", most: "SERVFAIL",
		why: "RFC 1034 §3.6.2: an endless alias is an error; Unbound answers the start of it"},
	{fault: "ns-alias", got: "SERVFAIL", who: "bind",
		why: "RFC 2181 §10.3: the name in an NS record must not be an alias; all but BIND follow it all the same"},
	{fault: "poisoning", who: "bind", got: "SERVFAIL", most: "NXDOMAIN",
		why: "RFC 2181 §5.4.1, RFC 5452 §6: what nobody asked for is dropped by most; BIND drops the whole message, as records of another name make no denial"},
	{fault: "huge", who: "bind", got: "SERVFAIL",
		why: "RFC 2181 §5 has no limit for the records of a set; BIND has one of 100 (max-records-per-type, CVE-2024-1737)"},
	{fault: "selfish", who: "unbound", got: "NOERROR", most: "SERVFAIL",
		why: "RFC 2308 §2.2: NS records without SOA are a referral, and one to the same zone leads nowhere; Unbound takes it for an absent type"},
	{fault: "aaaa-nxdomain", who: "onoma unbound knot bind powerdns", when: func(_ internet.Asked, got, most verdict) bool {
		return got.rcode == "NXDOMAIN" && most.rcode == "NOERROR" || got.rcode == "NOERROR" && most.rcode == "NXDOMAIN"
	}, why: "RFC 2308 §5: NXDOMAIN is of the name, so a cache that has seen the one to AAAA denies A as well; which question came first decides"},
	{fault: "ent-nxdomain", who: "unbound knot bind powerdns",
		why: "RFC 8020 §2, RFC 9156 §3: a cache that has seen the false NXDOMAIN denies what is below; which question came first, and how names are minimised, decides"},
	{fault: "revoked", who: "unbound", most: "SERVFAIL",
		why: "RFC 5011 §2.1: a revoked key validates nothing but its revocation; Unbound looks at that for trust anchors alone"},
	{fault: "iterations-150", who: "knot", most: "",
		why: "RFC 9276 §3.2 leaves to the validator from how many iterations on denials are insecure: for Knot Resolver it is fewer than 150"},
}

func isSlow(fault string) bool {
	return slices.ContainsFunc(internet.Faults, func(f internet.Fault) bool { return f.Name == fault && f.Slow })
}

// explain finds the explanation of a disagreement; -1: there is none.
func explain(q internet.Asked, name string, got, most verdict) int {
	for i, e := range explanations {
		if e.fault != "" && e.fault != q.Zone.Fault || e.who != "" && !strings.Contains(" "+e.who+" ", " "+name+" ") {
			continue
		}
		if !strings.HasPrefix(got.outline(), e.got) || !strings.HasPrefix(most.outline(), e.most) {
			continue
		}
		if e.when == nil || e.when(q, got, most) {
			return i
		}
	}
	return -1
}
