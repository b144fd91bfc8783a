package internet

import (
	"slices"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone/sign"
)

// Fault is something that is wrong, or unusual, with a zone.
type Fault struct {
	Name string
	Text string
	Slow bool // seeing it takes resolvers seconds

	apply func(n *Internet, z *Zone)
}

const day = 24 * time.Hour

// Faults are all there are.
var Faults = slices.Concat(signedFaults, dataFaults, delegationFaults, serverFaults)

// signedFaults are of DNSSEC. The zones have one algorithm and NSEC, so that only the fault matters.
var signedFaults = []Fault{
	{Name: "expired", Text: "signatures have expired", apply: signed(func(z *Zone) { z.signedAt = -60 * day })},
	{Name: "early", Text: "signatures are not valid yet", apply: signed(func(z *Zone) { z.signedAt = 30 * day })},
	{Name: "wrong-ds", Text: "the DS record is of no key", apply: signed(func(z *Zone) { z.damageDS(func(d *dns.DS) { d.Digest[0] ^= 1 }) })},
	{Name: "unsigned-with-ds", Text: "there is a DS record and nothing is signed", apply: signed(func(z *Zone) {
		z.edit = without(dns.TypeDNSKEY, dns.TypeRRSIG, dns.TypeNSEC)
	})},
	{Name: "no-dnskey", Text: "the DNSKEY set is missing", apply: signed(func(z *Zone) { z.edit = without(dns.TypeDNSKEY) })},
	{Name: "no-rrsig", Text: "one set has no signature", apply: signed(func(z *Zone) { z.edit = eachSignature("www", nil) })},
	{Name: "corrupt", Text: "a signature is damaged", apply: signed(func(z *Zone) {
		z.edit = eachSignature("www", func(s *dns.RRSIG) { s.Signature[9] ^= 1 })
	})},
	{Name: "wrong-signer", Text: "a signature says to be by the parent", apply: signed(func(z *Zone) {
		z.edit = eachSignature("www", func(s *dns.RRSIG) { s.Signer = z.parent.Name })
	})},
	{Name: "wrong-tag", Text: "a signature names a key that is not there", apply: signed(func(z *Zone) {
		z.edit = eachSignature("www", func(s *dns.RRSIG) { s.KeyTag ^= 1 })
	})},
	{Name: "many-labels", Text: "a signature counts more labels than the owner has", apply: signed(func(z *Zone) {
		z.edit = eachSignature("www", func(s *dns.RRSIG) { s.Labels += 2 })
	})},
	{Name: "short-ttl", Text: "a set has a higher TTL than its signature says", apply: signed(func(z *Zone) {
		z.edit = eachRecord(func(r *dns.Record) {
			if r.Type != dns.TypeNS && r.Name.FirstLabel() == "www" {
				r.TTL = 86400
			}
		})
	})},
	{Name: "unknown-algorithm", Text: "the DS record is of an algorithm that nobody knows: insecure", apply: signed(func(z *Zone) {
		z.damageDS(func(d *dns.DS) { d.Algorithm = 200 })
	})},
	{Name: "unknown-digest", Text: "the DS record is of a digest that nobody knows: insecure", apply: signed(func(z *Zone) {
		z.damageDS(func(d *dns.DS) { d.DigestType = 200 })
	})},
	{Name: "revoked", Text: "the key that the DS record is of is revoked", apply: signed(func(z *Zone) { z.keyFlags = 0x181 })},
	{Name: "no-sep", Text: "the only key has no SEP flag, which means nothing", apply: signed(func(z *Zone) { z.keyFlags = 0x100 })},
	{Name: "iterations-50", Text: "NSEC3 with 50 iterations", apply: signed(func(z *Zone) { z.hash(50) })},
	{Name: "iterations-150", Text: "NSEC3 with as many iterations as validators stand", apply: signed(func(z *Zone) { z.hash(150) })},
	{Name: "iterations-500", Text: "NSEC3 with more iterations than validators stand", apply: signed(func(z *Zone) { z.hash(500) })},
	{Name: "no-nsec", Text: "nothing proves that names do not exist", apply: signed(func(z *Zone) {
		z.edit = without(dns.TypeNSEC)
		z.ask("www", dns.TypeMX)
	})},
	{Name: "no-nsec3", Text: "nothing proves that names do not exist, in a zone with NSEC3PARAM", apply: signed(func(z *Zone) {
		z.hash(0)
		z.edit = without(dns.TypeNSEC3)
	})},
	{Name: "spare-key", Text: "a second key signs nothing", apply: signed(func(z *Zone) {
		z.spare = true
		z.ask("", dns.TypeDNSKEY)
	})},
	{Name: "into-bogus", Text: "an alias leads into a bogus zone", apply: func(n *Internet, z *Zone) {
		z.sign()
		bogus := n.healthy(z, "bogus")
		bogus.sign()
		bogus.signedAt = -60 * day
		z.add("to", 300, dns.TypeCNAME, "www.bogus").ask("to", dns.TypeA)
	}},
	{Name: "into-insecure", Text: "an alias leads from a signed zone into an unsigned one", apply: func(n *Internet, z *Zone) {
		z.sign()
		n.healthy(z, "plain").algorithm = 0
		z.add("to", 300, dns.TypeCNAME, "www.plain").ask("to", dns.TypeA).ask("nx.plain", dns.TypeA).ask("plain", dns.TypeDS)
	}},
	{Name: "island", Text: "a signed zone below an unsigned one", apply: func(n *Internet, z *Zone) {
		z.algorithm = 0
		n.healthy(z, "island").sign()
		z.ask("www.island", dns.TypeA).ask("nx.island", dns.TypeA)
	}},
	{Name: "opt-out", Text: "an unsigned child in a span of opt-out", apply: func(n *Internet, z *Zone) {
		z.sign()
		z.denial = sign.Denial{Kind: sign.NSEC3, OptOut: true}
		n.healthy(z, "plain").algorithm = 0
		z.ask("www.plain", dns.TypeA).ask("plain", dns.TypeDS)
	}},
}

// dataFaults are in what a zone says.
var dataFaults = []Fault{
	{Name: "cname-loop", Text: "two aliases of each other", apply: func(_ *Internet, z *Zone) {
		z.add("a", 300, dns.TypeCNAME, "b").add("b", 300, dns.TypeCNAME, "a").ask("a", dns.TypeA)
	}},
	{Name: "cname-self", Text: "an alias of itself", apply: func(_ *Internet, z *Zone) { z.add("a", 300, dns.TypeCNAME, "a").ask("a", dns.TypeA) }},
	{Name: "cname-8", Text: "eight aliases in a row", apply: func(_ *Internet, z *Zone) { z.aliases(8).ask("c0", dns.TypeA) }},
	{Name: "cname-30", Text: "thirty aliases in a row", apply: func(_ *Internet, z *Zone) { z.aliases(30).ask("c0", dns.TypeA) }},
	{Name: "cname-nowhere", Text: "an alias of a name that does not exist", apply: func(_ *Internet, z *Zone) {
		z.add("gone", 300, dns.TypeCNAME, "nowhere").ask("gone", dns.TypeA)
	}},
	{Name: "dname", Text: "a DNAME record", apply: func(_ *Internet, z *Zone) {
		z.add("old", 300, dns.TypeDNAME, "new").add("a.new", 300, dns.TypeA, "192.0.2.7")
		z.ask("a.old", dns.TypeA).ask("nx.old", dns.TypeA).ask("old", dns.TypeA).ask("old", dns.TypeDNAME)
	}},
	{Name: "dname-growing", Text: "a DNAME record that leads below itself", apply: func(_ *Internet, z *Zone) {
		z.add("d", 300, dns.TypeDNAME, "grow.d").ask("a.d", dns.TypeA)
	}},
	{Name: "dname-long", Text: "a DNAME record that makes a name too long: YXDOMAIN", apply: func(_ *Internet, z *Zone) {
		long := strings.Repeat(strings.Repeat("l", 49)+".", 4)
		z.add("d", 300, dns.TypeDNAME, long+"x").ask(strings.Repeat("n", 60)+".d", dns.TypeA)
	}},
	{Name: "wildcard-cname", Text: "a wildcard that is an alias", apply: func(_ *Internet, z *Zone) {
		z.add("*.wc", 300, dns.TypeCNAME, "www").ask("x.wc", dns.TypeA).ask("*.wc", dns.TypeA).ask("wc", dns.TypeA)
	}},
	{Name: "wildcard-apex", Text: "a wildcard for the whole zone", apply: func(_ *Internet, z *Zone) {
		z.add("*", 300, dns.TypeTXT, `"all"`).ask("anything", dns.TypeTXT).ask("anything", dns.TypeA).ask("a.www", dns.TypeTXT)
	}},
	{Name: "ent", Text: "names that are there for others' sake", apply: func(_ *Internet, z *Zone) {
		z.ask("ent", dns.TypeA).ask("below.ent", dns.TypeA).ask("nx.ent", dns.TypeA)
	}},
	{Name: "huge", Text: "a set of 40,000 octets", apply: func(_ *Internet, z *Zone) {
		for i := range 200 {
			z.add("huge", 300, dns.TypeTXT, `"`+strings.Repeat(string(rune('a'+i%26)), 190)+string(rune('a'+i/26))+`"`)
		}
		z.ask("huge", dns.TypeTXT)
	}},
	{Name: "ttl-0", Text: "a TTL of 0", apply: func(_ *Internet, z *Zone) {
		z.add("now", 0, dns.TypeA, "192.0.2.1").add("ref", 0, dns.TypeCNAME, "now").ask("now", dns.TypeA).ask("ref", dns.TypeA)
	}},
	{Name: "ttl-most", Text: "the greatest TTL", apply: func(_ *Internet, z *Zone) {
		z.add("ever", dns.MaxTTL, dns.TypeA, "192.0.2.1").ask("ever", dns.TypeA)
	}},
	{Name: "negative-0", Text: "a negative TTL of 0", apply: func(_ *Internet, z *Zone) { z.soa = "1 3600 600 86400 0" }},
	{Name: "negative-most", Text: "the greatest negative TTL", apply: func(_ *Internet, z *Zone) { z.soa = "1 3600 600 86400 2147483647" }},
}

// sign lets a zone be signed by the most common algorithm.
func (z *Zone) sign() {
	z.algorithm, z.denial = dnssec.ECDSAP256SHA256, sign.Denial{Kind: sign.NSEC}
}

func (z *Zone) hash(iterations uint16) {
	z.denial = sign.Denial{Kind: sign.NSEC3, Iterations: iterations, Salt: []byte{0xab, 0xcd}}
	z.ask("www", dns.TypeMX)
}

// signed applies something to a zone that is signed by the most common algorithm.
func signed(f func(z *Zone)) func(*Internet, *Zone) {
	return func(_ *Internet, z *Zone) {
		z.sign()
		f(z)
	}
}

func (z *Zone) damageDS(f func(d *dns.DS)) {
	z.delegation = eachRecord(func(r *dns.Record) {
		if r.Type != dns.TypeDS {
			return
		}
		d, err := dns.ParseDS(slices.Clone(r.Data))
		if err == nil {
			f(&d)
			r.Data = d.RData()
		}
	})
}

// aliases adds as many in a row; the last one leads to www.
func (z *Zone) aliases(count int) *Zone {
	name := func(i int) string { return "c" + strings.Repeat("x", i/10) + string(rune('0'+i%10)) }
	for i := range count {
		next := name(i + 1)
		if i == count-1 {
			next = "www"
		}
		z.add(name(i), 300, dns.TypeCNAME, next)
	}
	return z
}

// healthy makes a zone below another one, at its servers.
func (n *Internet) healthy(parent *Zone, label string) *Zone {
	z := n.child(parent, label)
	z.operators, z.servers = parent.operators, parent.servers
	z.add("", 300, dns.TypeA, "192.0.2.1").add("www", 300, dns.TypeA, "192.0.2.2")
	n.deeper = append(n.deeper, z)
	return z
}

func without(types ...dns.Type) func([]dns.Record) []dns.Record {
	return func(list []dns.Record) []dns.Record {
		return slices.DeleteFunc(list, func(r dns.Record) bool {
			return slices.Contains(types, r.Type) || r.Type == dns.TypeRRSIG && slices.Contains(types, dns.SigCovers(r.Data))
		})
	}
}

func eachRecord(f func(r *dns.Record)) func([]dns.Record) []dns.Record {
	return func(list []dns.Record) []dns.Record {
		for i := range list {
			f(&list[i])
		}
		return list
	}
}

// eachSignature changes the signatures at names that begin with a label, or with nil removes them.
func eachSignature(label string, f func(s *dns.RRSIG)) func([]dns.Record) []dns.Record {
	return func(list []dns.Record) (kept []dns.Record) {
		for _, r := range list {
			if r.Type == dns.TypeRRSIG && r.Name.FirstLabel() == label {
				s, err := dns.ParseRRSIG(slices.Clone(r.Data))
				if err != nil || f == nil {
					continue
				}
				f(&s)
				r.Data = s.RData()
			}
			kept = append(kept, r)
		}
		return kept
	}
}
