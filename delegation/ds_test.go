package delegation

import (
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
)

var dsTypes = []dns.Type{dns.TypeCDS, dns.TypeCDNSKEY, dns.TypeDNSKEY}

// decided is what follows for a child whose parent has DS of the keys in was, and which
// servers serve as they are.
func decided(t *testing.T, was []*dnssec.Key, servers ...*child) dsDecision {
	return decide(t, func(l *look) {
		for _, k := range was {
			l.was.DS = append(l.was.DS, dsRecord(servers[0], k))
		}
	}, servers...)
}

func decide(_ *testing.T, change func(*look), servers ...*child) dsDecision {
	p := Policy{DS: true, Delete: true}.withDefaults()
	l := &look{was: Delegation{Child: servers[0].name}, policy: &p, now: now}
	for i, c := range servers {
		l.servers = append(l.servers, c.seenAt("ns.example.", []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}[i], dsTypes...))
	}
	change(l)
	return decideDS(l)
}

func dsRecord(c *child, k *dnssec.Key) dns.Record {
	return dns.Record{Name: c.name, Type: dns.TypeDS, Class: dns.ClassIN, TTL: 60, Data: c.ds(k, dnssec.DigestSHA256).RData()}
}

// rolled is a child in the middle of a KSK rollover: both keys sign the keys, and it asks
// for the new one's DS.
func rolled(t *testing.T) (c *child, old, next *dnssec.Key) {
	c = newChild(t, "child.tld.")
	old, next = c.ksk[0], newKey(t, dnssec.ECDSAP256SHA256, 257)
	c.ksk = append(c.ksk, next)
	c.publish(next)
	return c, old, next
}

func TestRolloverIsTaken(t *testing.T) {
	c, old, next := rolled(t)
	d := decided(t, []*dnssec.Key{old}, c, c.clone())
	if d.verdict != Changed || !sameDS(d.ds, []dns.DS{c.ds(next, dnssec.DigestSHA256)}) {
		t.Fatalf("%s: %s", d.verdict, d.why)
	}
	if d.first || d.taken.Inception != uint32(now.Add(-time.Hour).Unix()) {
		t.Errorf("%+v", d)
	}
}

func TestFirstDS(t *testing.T) {
	c := newChild(t, "child.tld.")
	if d := decided(t, nil, c); d.verdict != Changed || !d.first {
		t.Errorf("%s: %s", d.verdict, d.why)
	}
}

// rules is a child in the middle of a rollover, to be made different.
type rules struct {
	c, other  *child
	old, next *dnssec.Key
	was       []*dnssec.Key
	policy    *Policy
	accepted  acceptance
}

// rule is what makes it different, and what follows.
type rule struct {
	name   string
	change func(w *rules)
	want   Verdict
	why    string
}

func setCDS(c *child, list ...dns.RData)     { c.sets[c.at(dns.TypeCDS)] = list }
func setCDNSKEY(c *child, list ...dns.RData) { c.sets[c.at(dns.TypeCDNSKEY)] = list }

func (c rule) run(t *testing.T) {
	p := Policy{DS: true, Delete: true}.withDefaults()
	w := &rules{policy: &p}
	w.c, w.old, w.next = rolled(t)
	w.was = []*dnssec.Key{w.old}
	c.change(w)
	servers := []*child{w.c}
	if w.other != nil {
		servers = append(servers, w.other)
	}
	d := decide(t, func(l *look) {
		l.policy, l.accepted = w.policy, w.accepted
		for _, k := range w.was {
			l.was.DS = append(l.was.DS, dsRecord(w.c, k))
		}
	}, servers...)
	if d.verdict != c.want || !strings.Contains(d.why, c.why) {
		t.Errorf("%s, since %q; expected %s, since %q", d.verdict, d.why, c.want, c.why)
	}
	if d.retry != (d.verdict == Waits) {
		t.Errorf("%s, and to be tried again: %v", d.verdict, d.retry)
	}
}

// TestRules: what is not taken, or not yet, and what people are told.
func TestRules(t *testing.T) {
	for _, c := range []rule{
		{"nothing is published", func(w *rules) { setCDS(w.c); setCDNSKEY(w.c) }, Unchanged, "neither CDS nor CDNSKEY"},
		{"it has what it wants", func(w *rules) { w.was = []*dnssec.Key{w.next} }, Unchanged, "as the child wants it"},
		{"servers differ", func(w *rules) { w.other = w.c.clone(); w.other.publish(w.old) }, Waits, "CDS differs between ns.example. (192.0.2.1) and ns.example. (192.0.2.2)"},
		{"one has no CDS", func(w *rules) { w.other = w.c.clone(); setCDS(w.other); setCDNSKEY(w.other) }, Waits, "CDS differs"},
		{"one is lame", func(w *rules) { w.other = w.c.clone(); w.other.noAA = true }, Waits, "not authoritative"},
		{"one refuses", func(w *rules) {
			w.other = w.c.clone()
			w.other.overridden[w.c.at(dns.TypeCDS)] = &dns.Message{Flags: dns.FlagQR | dns.FlagAA, RCode: dns.RCodeRefused}
		}, Waits, "CDS is answered REFUSED"},
		{"an alias", func(w *rules) {
			w.c.overridden[w.c.at(dns.TypeCDS)] = &dns.Message{Flags: dns.FlagQR | dns.FlagAA, Answer: []dns.Record{dns.MustRecord("child.tld. 1 IN CNAME evil.tld.")}}
		}, Waits, "alias"},
		{"signed by a key without DS", func(w *rules) { w.c.ksk = w.c.ksk[1:]; w.c.publish(w.next) }, Refused, "no key of the DNSKEY set has a DS"},
		{"the key that has DS does not sign", func(w *rules) {
			w.c.ksk = w.c.ksk[1:]
			w.c.sets[w.c.at(dns.TypeDNSKEY)] = append(w.c.sets[w.c.at(dns.TypeDNSKEY)], w.old.RData())
		}, Refused, "DNSKEY is not signed by a key that counts"},
		{"CDS signed by the zone's key only", func(w *rules) {
			w.c.overridden[w.c.at(dns.TypeCDS)] = signedBy(w.c, dns.TypeCDS, w.c.zsk)
		}, Refused, "CDS is not signed by a key that counts"},
		{"CDNSKEY signed by nobody", func(w *rules) {
			w.c.overridden[w.c.at(dns.TypeCDNSKEY)] = signedBy(w.c, dns.TypeCDNSKEY, nil)
		}, Refused, "CDNSKEY is not signed by a key that counts"},
		{"signatures have expired", func(w *rules) { w.c.life = -time.Minute }, Refused, "expired"},
		{"signatures are of tomorrow", func(w *rules) { w.c.incept = -time.Hour }, Refused, "not valid yet"},
		{"signatures are about to expire", func(w *rules) { w.c.life = 10 * time.Minute }, Refused, "expires in 10m"},
		{"the wanted key does not sign", func(w *rules) {
			w.c.ksk = w.c.ksk[:1]
			w.c.sets[w.c.at(dns.TypeDNSKEY)] = append(w.c.sets[w.c.at(dns.TypeDNSKEY)], w.next.RData())
		}, Refused, "would not validate"},
		{"the wanted key is not there", func(w *rules) { w.c.ksk = w.c.ksk[:1]; w.c.publish(w.next) }, Refused, "would not validate: no key of the DNSKEY set has a DS"},
		{"a second algorithm does not sign", func(w *rules) {
			other := newKey(t, dnssec.ED25519, 257)
			w.c.publish(w.next, other)
			w.c.sets[w.c.at(dns.TypeDNSKEY)] = append(w.c.sets[w.c.at(dns.TypeDNSKEY)], other.RData())
		}, Refused, "no key of algorithm ED25519 signs"},
		{"one server lacks the key", func(w *rules) {
			w.other = w.c.clone()
			w.other.ksk = w.other.ksk[:1]
			w.other.publish()
			w.other.sets[w.c.at(dns.TypeCDS)], w.other.sets[w.c.at(dns.TypeCDNSKEY)] = w.c.sets[w.c.at(dns.TypeCDS)], w.c.sets[w.c.at(dns.TypeCDNSKEY)]
		}, Refused, "192.0.2.2"},
		{"played back", func(w *rules) {
			w.accepted = acceptance{uint32(now.Add(-time.Minute).Unix()), uint32(now.Add(time.Hour).Unix())}
		}, Refused, "older than the one that was taken last"},
	} {
		t.Run(c.name, c.run)
	}
}

// TestRulesOfTheSets: what CDS and CDNSKEY may have in them.
func TestRulesOfTheSets(t *testing.T) {
	for _, c := range []rule{
		{"digests of two types, each for another key", func(w *rules) {
			setCDS(w.c, w.c.ds(w.next, dnssec.DigestSHA256).RData(), wrongDigest(w.c.ds(w.old, dnssec.DigestSHA384)).RData())
			setCDNSKEY(w.c)
		}, Refused, "would not validate"},
		{"CDS and CDNSKEY differ", func(w *rules) { setCDNSKEY(w.c, w.old.RData()) }, Refused, "say different things"},
		{"a CDNSKEY without CDS", func(w *rules) { setCDNSKEY(w.c, w.old.RData(), w.next.RData()) }, Refused, "no CDS is of the CDNSKEY"},
		{"a key that signs nothing", func(w *rules) { setCDS(w.c); setCDNSKEY(w.c, notZoneKey(w.next)) }, Refused, "may sign nothing"},
		{"SHA-1 alone", func(w *rules) { setCDS(w.c, w.c.ds(w.next, dnssec.DigestSHA1).RData()); setCDNSKEY(w.c) }, Refused, "no digest of a type that is taken"},
		{"an unknown digest alone", func(w *rules) {
			ds := w.c.ds(w.next, dnssec.DigestSHA256)
			ds.DigestType = 77
			setCDS(w.c, ds.RData())
			setCDNSKEY(w.c)
		}, Refused, "no digest of a type that is taken"},
		{"too much to look through", func(w *rules) {
			w.c.overridden[w.c.at(dns.TypeCDS)] = many(w.c, dns.TypeCDS, w.c.ds(w.next, dnssec.DigestSHA256).RData(), maxSet+1)
		}, Waits, "more records than a look takes in"},
		{"more DS than anybody needs", func(w *rules) {
			w.c.overridden[w.c.at(dns.TypeCDS)] = many(w.c, dns.TypeCDS, w.c.ds(w.next, dnssec.DigestSHA256).RData(), maxDS+1)
			setCDNSKEY(w.c)
		}, Refused, "more records than a look takes in"},
	} {
		t.Run(c.name, c.run)
	}
}

// TestRulesOfDelete: RFC 8078 §4.
func TestRulesOfDelete(t *testing.T) {
	for _, c := range []rule{
		{"delete", func(w *rules) {
			setCDS(w.c, dnssec.DeleteCDS())
			setCDNSKEY(w.c, dnssec.DeleteCDNSKEY())
		}, Changed, "asks by CDS or CDNSKEY that its DS goes"},
		{"delete by CDS alone", func(w *rules) { setCDS(w.c, dnssec.DeleteCDS()); setCDNSKEY(w.c) }, Changed, "that its DS goes"},
		{"delete that the policy does not allow", func(w *rules) {
			setCDS(w.c, dnssec.DeleteCDS())
			setCDNSKEY(w.c)
			w.policy.Delete = false
		}, Refused, "policy does not allow"},
		{"delete of nothing", func(w *rules) { setCDS(w.c, dnssec.DeleteCDS()); setCDNSKEY(w.c); w.was = nil }, Unchanged, "has none"},
		{"delete that is not signed", func(w *rules) {
			setCDS(w.c, dnssec.DeleteCDS())
			setCDNSKEY(w.c)
			w.c.overridden[w.c.at(dns.TypeCDS)] = signedBy(w.c, dns.TypeCDS, nil)
		}, Refused, "CDS is not signed"},
		{"delete beside others", func(w *rules) {
			setCDS(w.c, dnssec.DeleteCDS(), w.c.ds(w.next, dnssec.DigestSHA256).RData())
			setCDNSKEY(w.c)
		}, Refused, "stands beside others"},
		{"delete by CDS, and keys by CDNSKEY", func(w *rules) { setCDS(w.c, dnssec.DeleteCDS()) }, Refused, "stands beside others"},
		{"nearly delete", func(w *rules) { setCDS(w.c, dns.RData{0, 1, 0, 0, 0}); setCDNSKEY(w.c) }, Refused, "algorithm 0"},
	} {
		t.Run(c.name, c.run)
	}
}

// signedBy is what the server says of a type when other keys sign it.
func signedBy(c *child, typ dns.Type, keys []*dnssec.Key) *dns.Message {
	m := &dns.Message{Flags: dns.FlagQR | dns.FlagAA}
	for _, data := range c.sets[c.at(typ)] {
		m.Answer = append(m.Answer, dns.Record{Name: c.name, Type: typ, Class: dns.ClassIN, TTL: 300, Data: data})
	}
	m.Answer = append(m.Answer, c.sign(c.name, typ, c.sets[c.at(typ)], keys)...)
	return m
}

// many is n records like data.
func many(c *child, typ dns.Type, data dns.RData, n int) *dns.Message {
	m := &dns.Message{Flags: dns.FlagQR | dns.FlagAA}
	for i := range n {
		d := slices.Clone(data)
		d[len(d)-1], d[len(d)-2] = byte(i), 7
		m.Answer = append(m.Answer, dns.Record{Name: c.name, Type: typ, Class: dns.ClassIN, TTL: 300, Data: d})
	}
	return m
}

func wrongDigest(ds dns.DS) dns.DS {
	ds.Digest = slices.Clone(ds.Digest)
	ds.Digest[0] ^= 1
	return ds
}

func notZoneKey(k *dnssec.Key) dns.RData {
	key := k.DNSKEY()
	key.Flags = 0
	return key.RData()
}

// TestDigests: CDS of a type that is taken, SHA-1 and unknown ones aside; and from CDNSKEY
// where there is none.
func TestDigests(t *testing.T) {
	c, old, next := rolled(t)
	unknown := c.ds(next, dnssec.DigestSHA384)
	unknown.DigestType = 99
	sha1, sha256, sha384 := c.ds(next, dnssec.DigestSHA1), c.ds(next, dnssec.DigestSHA256), c.ds(next, dnssec.DigestSHA384)
	for _, x := range []struct {
		name string
		cds  []dns.DS
		keys bool
		want []dns.DS
	}{
		{"all types", []dns.DS{sha1, sha256, sha384, unknown}, true, []dns.DS{sha256, sha384}},
		{"without CDNSKEY", []dns.DS{sha1, sha384, unknown}, false, []dns.DS{sha384}},
		{"SHA-1 beside CDNSKEY", []dns.DS{sha1}, true, []dns.DS{sha256}},
		{"unknown beside CDNSKEY", []dns.DS{unknown}, true, []dns.DS{sha256}},
		{"CDNSKEY alone", nil, true, []dns.DS{sha256}},
	} {
		var cds []dns.RData
		for _, ds := range x.cds {
			cds = append(cds, ds.RData())
		}
		c.sets[c.at(dns.TypeCDS)], c.sets[c.at(dns.TypeCDNSKEY)] = cds, nil
		if x.keys {
			c.sets[c.at(dns.TypeCDNSKEY)] = []dns.RData{next.RData()}
		}
		if d := decided(t, []*dnssec.Key{old}, c); d.verdict != Changed || !sameDS(d.ds, x.want) {
			t.Errorf("%s: %s %v: %s", x.name, d.verdict, d.ds, d.why)
		}
	}
}

// TestTwoProviders: RFC 8901's second model: each provider signs with its own keys, and all
// have all keys' DS.
func TestTwoProviders(t *testing.T) {
	a, b := newChild(t, "child.tld."), newChild(t, "child.tld.")
	all := []*dnssec.Key{a.ksk[0], b.ksk[0]}
	for _, c := range []*child{a, b} {
		c.publish(all...)
		c.sets[c.at(dns.TypeDNSKEY)] = []dns.RData{c.ksk[0].RData(), a.zsk[0].RData(), b.zsk[0].RData()}
	}
	// The first provider's key alone has DS: the second's servers do not validate by it.
	if d := decided(t, []*dnssec.Key{a.ksk[0]}, a, b); d.verdict != Refused || !strings.Contains(d.why, "192.0.2.2") {
		t.Errorf("%s: %s", d.verdict, d.why)
	}
	if d := decided(t, nil, a, b); d.verdict != Changed || len(d.ds) != 2 {
		t.Errorf("%s: %s", d.verdict, d.why)
	}
}

// TestKeyTrap: a child that makes us verify many signatures by many keys gets nothing, and
// costs little (CVE-2023-50387).
func TestKeyTrap(t *testing.T) {
	c, old, _ := rolled(t)
	r := c.seenAt("ns.example.", "192.0.2.1", dsTypes...).apex[dns.TypeDNSKEY]
	r.sigs = nil
	good := signedBy(c, dns.TypeDNSKEY, []*dnssec.Key{old})
	sig, err := dns.ParseRRSIG(good.Answer[len(good.Answer)-1].Data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxSigs {
		s := sig
		s.Signature = slices.Clone(sig.Signature)
		s.Signature[0] ^= byte(i + 1)
		r.sigs = append(r.sigs, s)
	}
	keys := make([]dns.DNSKEY, 40)
	for i := range keys {
		keys[i] = old.DNSKEY()
	}
	v := newVerifier(c.name, now)
	if _, err := v.signed(&r, keys); err == nil || !strings.Contains(err.Error(), "more signature checks") {
		t.Errorf("%v", err)
	}
}
