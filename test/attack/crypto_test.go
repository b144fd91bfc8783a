package attack

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/zone/sign"
)

// The ceilings of processor time here are multiples of an honest question, in which one signature is checked. The budget of a
// question is 100 checks of signatures and 20,000 rounds of SHA-1 (iterator.Limits), whatever a zone holds.

// TestKeyTrap: keys with one tag and signatures by that tag, so that each is to be tried with each (CVE-2023-50387).
func TestKeyTrap(t *testing.T) {
	w := newWorld(t)
	var traps []*domain
	for i := range 5 { // zones of their own: what is wrong with the keys of one is remembered
		traps = append(traps, w.trap(fmt.Sprintf("evil%d.", i)))
	}
	w.start()
	c := w.attack(len(traps), 5*time.Second, func() {
		for _, trap := range traps {
			w.expect(trap.at("www"), dns.TypeA, "SERVFAIL")
		}
	})
	w.row(row{attack: "KeyTrap 2023, CVE-2023-50387", defence: "100 checks of signatures for a question, few for a set; a zone with such keys is known to be bogus for a minute",
		ceiling: ceiling{messages: 16, octets: 110_000, cpu: 60}, cost: c, seen: "3721 pairs of keys and signatures in each set"})
}

// trap is a zone whose keys have one tag, all of whose sets have signatures by that tag, of which none is good.
func (w *world) trap(name string) *domain {
	w.t.Helper()
	evil := w.sign(name, "")
	var err error
	if evil.key, err = dnssec.GenerateKey(nil, dnssec.ED25519, 0, dns.DNSKEYZone|dns.DNSKEYSEP); err != nil {
		w.t.Fatal(err)
	}
	keys := colliding(evil.key, 60)
	evil.server.set(func(q *asked) *dns.Message {
		set := []dns.Record{rr("%s 60 A 192.0.2.66", q.Question().Name)}
		if q.Question().Type == dns.TypeDNSKEY {
			set = []dns.Record{evil.keyRecord(evil.key.RData())}
			for _, k := range keys {
				set = append(set, evil.keyRecord(k))
			}
		}
		return q.reply(dns.RCodeNoError, append(set, junkSignatures(evil, set, 60)...)...)
	})
	return evil
}

// colliding makes keys, which nobody has the private halves of, with the tag of k, an Ed25519 key: every second string of
// 32 octets is a point.
func colliding(k *dnssec.Key, n int) (list []dns.RData) {
	tag := k.Tag()
	for len(list) < n {
		made := k.DNSKEY()
		made.PublicKey = make([]byte, 32)
		if _, err := rand.Read(made.PublicKey); err != nil {
			panic(err)
		}
		// The tag is a sum of 16-bit words (RFC 4034, appendix B): any one of them makes it what it shall be.
		for word := range 1 << 16 {
			binary.BigEndian.PutUint16(made.PublicKey[16:], uint16(word))
			if made.KeyTag() == tag {
				list = append(list, made.RData())
				break
			}
		}
	}
	return list
}

// junkSignatures are signatures that could be any key's and are nobody's.
func junkSignatures(d *domain, set []dns.Record, n int) (list []dns.Record) {
	good := d.signature(set, nil)
	for range n {
		r := good
		r.Data = slices.Clone(good.Data)
		if _, err := rand.Read(r.Data[len(r.Data)-60:]); err != nil {
			panic(err)
		}
		list = append(list, r)
	}
	return list
}

// TestManySignatures: as many signatures by the one genuine key as fit, all wrong but the last.
func TestManySignatures(t *testing.T) {
	w := newWorld(t)
	evil := w.sign("evil.", "")
	evil.server.set(func(q *asked) *dns.Message {
		if q.Question().Type != dns.TypeA {
			return honest(q)
		}
		set := []dns.Record{rr("%s 60 A 192.0.2.66", q.Question().Name)}
		return q.reply(dns.RCodeNoError, append(append(set, junkSignatures(evil, set, 300)...), evil.signature(set, nil))...)
	})
	w.start()
	const names = 10
	c := w.attack(names, 5*time.Second, func() {
		for i := range names {
			w.expect(evil.at("k%d", i), dns.TypeA, "SERVFAIL")
		}
	})
	w.row(row{attack: "KeyTrap: many signatures", defence: "100 checks for a question, and few for a set",
		ceiling: ceiling{messages: 14, octets: 220_000, cpu: 50}, cost: c, seen: "301 signatures over a set"}) // 38 KB of answer, up to 6 times
}

// TestNSEC3: proofs that need many rounds of hashing for many names (CVE-2023-50868).
func TestNSEC3(t *testing.T) {
	w := newWorld(t)
	evil, worse := w.sign("evil.", "a 60 A 192.0.2.66"), w.sign("worse.", "a 60 A 192.0.2.66")
	evil.denial = sign.Denial{Kind: sign.NSEC3, Iterations: 150, Salt: make([]byte, 200)}
	worse.denial = sign.Denial{Kind: sign.NSEC3, Iterations: 2500, Salt: make([]byte, 200)}
	w.start()
	const names = 20
	ask := func(d *domain) func() {
		return func() {
			for i := range names {
				a, err := w.ask(d.at("%sn%d", strings.Repeat("x.", 100), i), dns.TypeA)
				if v := verdict(a, err); v != "NXDOMAIN" && v != "NXDOMAIN AD" && v != "SERVFAIL" {
					t.Errorf("a name that does not exist: %s", explained(a, err))
				}
			}
		}
	}
	c := w.attack(names, 5*time.Second, ask(evil))
	d := w.spend(names, ask(worse))
	most := max(c.cpu, d.cpu)
	c.cpu = most
	w.row(row{attack: "NSEC3 2023, CVE-2023-50868", defence: "20,000 rounds of SHA-1 for a question; zones with more than 150 iterations count as unsigned (RFC 9276)",
		// 20,000 rounds of two blocks each are 8 ms at worst.
		ceiling: ceiling{messages: 12, octets: 20_000, cpu: 80}, cost: c, seen: "names of 102 labels, 150 and 2500 iterations, 200 octets of salt"})
}

// TestPaddedDenial: a denial with hundreds of records that prove nothing, all well signed (CVE-2026-11605, 42923).
func TestPaddedDenial(t *testing.T) {
	w := newWorld(t)
	evil := w.sign("evil.", "a 60 A 192.0.2.66")
	evil.denial = sign.Denial{Kind: sign.NSEC3, Iterations: 100}
	var padding []dns.Record
	for i := range 100 {
		hash := dnssec.NSEC3Hash(nil, []byte(evil.at("p%d", i).Wire()), 100, nil)
		next := slices.Clone(hash)
		next[19]++
		owner := dns.MustName(string(dns.AppendBase32Hex(nil, hash)) + ".evil.")
		n := dns.NSEC3{NSEC3PARAM: dns.NSEC3PARAM{Hash: 1, Iterations: 100}, NextHashed: next}
		padding = append(padding, evil.signed(dns.Record{Name: owner, Type: dns.TypeNSEC3, Class: dns.ClassIN, TTL: 60, Data: n.RData()})...)
	}
	evil.server.set(func(q *asked) *dns.Message {
		a := honest(q)
		if len(a.Answer) == 0 {
			a.Authority = append(slices.Clone(padding), a.Authority...)
		}
		return a
	})
	w.start()
	const names = 20
	c := w.attack(names, 5*time.Second, func() {
		for i := range names {
			if v := verdict(w.ask(evil.at("x.y.z.n%d", i), dns.TypeA)); v != "NXDOMAIN AD" && v != "SERVFAIL" {
				t.Errorf("a name that does not exist: %s", v)
			}
		}
	})
	w.row(row{attack: "padded denials, CVE-2026-11605, 42923", defence: "proofs are paid from the same budget as answers: 100 checks, 20,000 rounds",
		ceiling: ceiling{messages: 20, octets: 300_000, cpu: 100}, cost: c, seen: "100 records beside each denial"})
}

// TestFalseProofs: signatures that verify, over what they may not be over: four vendors had the same faults in 2026
// (CVE-2026-44690, 11721, 13321, 10723, 52688).
func TestFalseProofs(t *testing.T) {
	w := newWorld(t)
	evil := w.sign("evil.", "www 60 A 192.0.2.66\nzz 60 A 192.0.2.66")
	set := func(name dns.Name) []dns.Record { return []dns.Record{rr("%s 60 A %s", name, forged)} }
	soa := func(a *dns.Message) {
		a.Authority = append(a.Authority, evil.signed(rr("evil. 60 SOA ns.evil. host.evil. 1 3600 600 86400 60"))...)
	}
	nsec := func(owner, next string) []dns.Record {
		return evil.signed(rr("%s 60 NSEC %s A RRSIG NSEC", owner, next))
	}
	evil.server.set(func(q *asked) *dns.Message {
		name := q.Question().Name
		a := q.reply(dns.RCodeNoError)
		switch name.Fold().FirstLabel() {
		case "labels": // fewer labels than the signer's name has: as if for *.
			a.Answer = append(set(name), evil.signature(set(name), func(s *dns.RRSIG) { s.Labels = 0 }))
		case "more": // more labels than the owner has
			a.Answer = append(set(name), evil.signature(set(name), func(s *dns.RRSIG) { s.Labels = 9 }))
		case "signer": // signed in the name of the root
			a.Answer = append(set(name), evil.signature(set(name), func(s *dns.RRSIG) { s.Signer = dns.Root }))
		case "next": // denied up to a name of another zone
			a.RCode = dns.RCodeNXDomain
			soa(a)
			a.Authority = append(append(a.Authority, nsec("evil.", "zzz.victim.")...), nsec("a.evil.", "good.")...)
		case "owner": // an NSEC3 whose owner is not directly below the zone
			a.RCode = dns.RCodeNXDomain
			soa(a)
			n := dns.NSEC3{NSEC3PARAM: dns.NSEC3PARAM{Hash: 1}, NextHashed: slices.Repeat([]byte{0xFF}, 20)}
			r := dns.Record{Name: evil.at("00000000000000000000000000000000.sub"), Type: dns.TypeNSEC3, Class: dns.ClassIN, TTL: 60, Data: n.RData()}
			a.Authority = append(a.Authority, evil.signed(r)...)
		default:
			return honest(q)
		}
		return a
	})
	w.start()
	list := []string{"labels", "more", "signer", "next", "owner"}
	c := w.attack(len(list), 5*time.Second, func() {
		for _, name := range list {
			w.expect(evil.at("%s", name), dns.TypeA, "SERVFAIL")
		}
	})
	w.expect(evil.at("zz"), dns.TypeA, "NOERROR AD 192.0.2.66") // denied by what was refused
	w.row(row{attack: "RRSIG labels, NSEC out of zone, NSEC3 owner: CVE-2026-44690, 11721, 13321, 10723, 52688", defence: "refused before anything is made of them",
		ceiling: ceiling{messages: 20, octets: 12_000, cpu: 60}, cost: c, seen: "5 faults, all SERVFAIL; names that they would deny exist"}) // asked again of others, 5 times at most
}

// TestWildcardReplay: the signature of a wildcard is good for every name below, but says that none is there that is nearer.
func TestWildcardReplay(t *testing.T) {
	w := newWorld(t)
	evil := w.sign("evil.", "* 60 A 192.0.2.66\nwww 60 A 192.0.2.7")
	replay := evil.signed(rr("*.evil. 60 A 192.0.2.66"))
	evil.server.set(func(q *asked) *dns.Message {
		a := honest(q)
		if q.Question().Type == dns.TypeA && strings.HasPrefix(q.Question().Name.Fold().FirstLabel(), "www") {
			a.Answer = slices.Clone(replay) // with the proof of another name's absence, or none
			for i := range a.Answer {
				a.Answer[i].Name = q.Question().Name
			}
		}
		return a
	})
	w.start()
	c := w.attack(2, 5*time.Second, func() {
		w.expect(evil.at("other"), dns.TypeA, "NOERROR AD 192.0.2.66")
		w.expect(evil.at("www"), dns.TypeA, "SERVFAIL")
	})
	w.row(row{attack: "wildcard replay, CVE-2026-46582, 52686", defence: "an expansion needs the proof for its own name",
		ceiling: ceiling{messages: 12, octets: 8000, cpu: 40}, cost: c, seen: "SERVFAIL for the name that exists"})
}

// TestOverFetch: a name below many signed cuts costs a referral and the keys of each, once, however often the zones are met.
func TestOverFetch(t *testing.T) {
	w := newWorld(t)
	const cuts = 12
	evil := w.sign("evil.", "")
	var chain []*domain
	parent := evil
	for i := range cuts {
		d := &domain{name: parent.at("c%d", i), server: w.listen(), key: newKey(t), denial: sign.Denial{Kind: sign.NSEC}}
		parent.text += fmt.Sprintf("c%d 3600 NS ns.c%d\nns.c%d 3600 A %s\n", i, i, i, d.server.addr.Addr())
		parent.text += fmt.Sprintf("c%d 3600 DS %s\n", i, dsOf(t, d.name, d.key).Data.Text(dns.TypeDS))
		chain = append(chain, d)
		parent = d
	}
	deepest := chain[cuts-1]
	deepest.text = "www 60 A 192.0.2.66\nmore 60 A 192.0.2.66"
	for _, d := range chain {
		d.publish(t)
	}
	w.start()
	c := w.attack(1, 5*time.Second, func() { w.expect(deepest.at("www"), dns.TypeA, "NOERROR AD 192.0.2.66") })
	again := w.attack(1, 5*time.Second, func() { w.expect(deepest.at("more"), dns.TypeA, "NOERROR AD 192.0.2.66") })
	if again.messages > 1.5 {
		t.Errorf("%.1f messages for another name in the same zone", again.messages)
	}
	w.row(row{attack: "DNSSEC over-fetch 2026", defence: "DS comes with the referral, keys once for each zone, all of it paid from the question's budget",
		ceiling: ceiling{messages: 2*cuts + 8, octets: 1200 * cuts, cpu: 8 * cuts}, cost: c,
		seen: fmt.Sprintf("a name below %d signed cuts; %.0f message for the next one there", cuts, again.messages)})
}

// TestDowngrade: an algorithm that nobody knows beside one that all know does not make a zone unsigned (RFC 6840 §5.2).
func TestDowngrade(t *testing.T) {
	w := newWorld(t)
	evil, alone := w.sign("evil.", "www 60 A 192.0.2.7"), w.sign("alone.", "www 60 A 192.0.2.7")
	evil.ds = []dns.Record{unknownDS(evil.name), dsOf(t, evil.name, evil.key)}
	alone.ds = []dns.Record{unknownDS(alone.name)}
	evil.server.set(func(q *asked) *dns.Message {
		a := honest(q)
		if q.Question().Type != dns.TypeA || q.Question().Name.Equal(evil.name) {
			return a
		}
		set := []dns.Record{rr("%s 60 A %s", q.Question().Name, forged)}
		return q.reply(dns.RCodeNoError, append(set, evil.signature(set, func(s *dns.RRSIG) { s.Algorithm = algorithmUnknown }))...)
	})
	w.start()
	c := w.attack(2, 5*time.Second, func() {
		w.expect(evil.at("www"), dns.TypeA, "SERVFAIL")
		w.expect(alone.at("www"), dns.TypeA, "NOERROR 192.0.2.7") // where none is known, it is unsigned (RFC 4035 §5.2)
	})
	w.row(row{attack: "downgrade by an unknown algorithm", defence: "any algorithm of the DS set that is known has to validate (RFC 6840 §5.2)",
		ceiling: ceiling{messages: 14, octets: 8000, cpu: 40}, cost: c, seen: "SERVFAIL"})
}
