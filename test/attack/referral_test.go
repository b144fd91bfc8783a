package attack

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"onoma/dns"
)

// The ceilings of this file are those of iterator.Limits, the work budget of a client's question: 20 packets for one step in
// one zone, 5 look-ups of name servers' addresses for it and 16 in all, 200 packets and 100,000 octets in all, 7 s. A
// referral attack that finds no hole costs far less than the whole budget, and that is stated.

// TestPromiscuousNS: what a server says of others' zones, in any section, moves nobody (CVE-2025-11411, 40778, 59023).
func TestPromiscuousNS(t *testing.T) {
	w := newWorld(t)
	victim := w.zone("victim.", "* 60 A 192.0.2.7")
	evil, trap := w.zone("evil.", "* 60 A 192.0.2.66"), w.listen()
	trap.set(func(q *asked) *dns.Message {
		return q.reply(dns.RCodeNoError, rr("%s 86400 A %s", q.Question().Name, forged))
	})
	evil.server.set(func(q *asked) *dns.Message {
		a := honest(q)
		for _, zone := range []string{"victim.", "good.", "evil.", "."} {
			a.Authority = append(a.Authority, rr("%s 86400 NS ns.trap.victim.", zone))
		}
		a.Answer = append(a.Answer, rr("www.victim. 86400 A %s", forged), rr("victim. 86400 NS ns.trap.victim."), rr("victim. 86400 DNAME trap.evil."))
		for _, name := range []string{"ns.trap.victim.", "ns.victim.", "www.victim.", "ns.good.", "ns.evil."} {
			a.Additional = append(a.Additional, rr("%s 86400 A %s", name, trap.addr.Addr()))
		}
		return a
	})
	w.start()
	const names = 20
	c := w.attack(names, 5*time.Second, func() {
		for i := range names {
			w.expect(evil.at("e%d", i), dns.TypeA, "NOERROR 192.0.2.66")
		}
		for i := range names {
			w.expect(victim.at("v%d", i), dns.TypeA, "NOERROR 192.0.2.7")
		}
		w.expect(victim.at("www"), dns.TypeA, "NOERROR 192.0.2.7")
		w.expect(evil.at("late"), dns.TypeA, "NOERROR 192.0.2.66")
	})
	if n := trap.messages.Load(); n > 0 {
		t.Errorf("%d questions went to where only the attacker's records point", n)
	}
	w.row(row{attack: "promiscuous NS, CVE-2025-11411, 40778, 59023", defence: "delegations come from referrals alone, records from the zone that the server was asked as",
		ceiling: ceiling{messages: 3, octets: 2000, cpu: 12}, cost: c, // its own question and the victim's
		seen: "no question went where they point"})
}

// TestNXNS: a referral to many servers without glue, all below a victim (Afek 2020; 1620 messages without limits).
func TestNXNS(t *testing.T) {
	w := newWorld(t)
	victim, evil := w.zone("victim.", "www 60 A 192.0.2.7"), w.zone("evil.", "")
	evil.server.set(func(q *asked) *dns.Message {
		var servers []dns.Name
		for i := range 150 {
			servers = append(servers, victim.at("f%d.%s", i, q.Question().Name.Fold().FirstLabel()))
		}
		return q.refer(q.Question().Name, servers)
	})
	w.start()
	const names = 20
	c := w.attack(names, 5*time.Second, func() {
		for i := range names {
			w.expect(evil.at("x%d", i), dns.TypeA, "SERVFAIL")
		}
	})
	toVictim := float64(victim.server.messages.Load()) / names
	if toVictim > 17 {
		t.Errorf("%.1f questions went to the victim for each of the attacker's", toVictim)
	}
	w.expect(victim.at("www"), dns.TypeA, "NOERROR 192.0.2.7")
	w.row(row{attack: "NXNSAttack 2020", defence: "5 look-ups of servers' addresses for a step in a zone, 10 while there is little to do, 16 for a client's question; 13 servers considered",
		ceiling: ceiling{messages: 20, octets: 40_000, cpu: 40}, cost: c, // 16 look-ups of A and AAAA, one more for each cut between
		seen: fmt.Sprintf("%.1f to the victim", toVictim)})
}

// TestNRDelegation: referrals to servers that never answer, 1500 at once (CVE-2022-3204). They take time, not work, and
// others don't wait.
func TestNRDelegation(t *testing.T) {
	w := newWorld(t)
	evil, mute := w.zone("evil.", ""), w.zone("mute.", "")
	mute.server.set(silent)
	evil.server.set(func(q *asked) *dns.Message {
		if !q.isTCP {
			a := q.reply(dns.RCodeNoError)
			a.Flags |= dns.FlagTC
			return a
		}
		var servers []dns.Name
		for i := range 1500 {
			servers = append(servers, mute.at("f%d.%s", i, q.Question().Name.Fold().FirstLabel()))
		}
		return q.refer(q.Question().Name, servers)
	})
	w.start()
	const names = 30
	c := w.attack(names, 3*time.Second, func() {
		w.flood(names, names, func(i int) dns.Question {
			return dns.Question{Name: evil.at("x%d", i), Type: dns.TypeA, Class: dns.ClassIN}
		})
	})
	w.row(row{attack: "NRDelegation 2022, CVE-2022-3204", defence: "13 servers of a delegation considered, silent servers left alone, 7 s for a question",
		// 64 KiB of referral are read once; silent servers cost a few packets for each of 5 look-ups.
		ceiling: ceiling{messages: 45, octets: 120_000, cpu: 150}, cost: c, seen: "honest names all the while"})
}

// TestCAMP composes what multiplies: aliases, each to below 17 cuts, the first of these to 13 servers without glue in cuts of
// their own, in a signed zone whose proofs fail (ETH 2024; CVE-2026-50045: restarts of validation reset the count).
func TestCAMP(t *testing.T) {
	w := newWorld(t)
	evil, helper := w.sign("evil.", ""), w.zone("helper.", "")
	evil.server.set(func(q *asked) *dns.Message { return w.camp(q, evil, helper) })
	helper.server.set(func(q *asked) *dns.Message { return w.camp(q, evil, helper) })
	w.start()
	const names = 5
	c := w.attack(names, 5*time.Second, func() {
		w.flood(names, names, func(i int) dns.Question {
			return dns.Question{Name: evil.at("h%d", i), Type: dns.TypeA, Class: dns.ClassIN}
		})
	})
	if c.messages < 100 {
		t.Errorf("the attack is none: it causes %.0f messages", c.messages)
	}
	w.row(row{attack: "CAMP 2024, CVE-2026-50045", defence: "one budget for aliases, referrals, servers' addresses and validation, never reset",
		ceiling: ceiling{messages: 200, octets: 110_000, cpu: 400}, cost: c, seen: "-"}) // Limits.Queries, Limits.Bytes and one message
}

// camp is the server of TestCAMP: names that begin with h are aliases, with m cuts with glue, with g servers' names, with
// anything else cuts without.
func (w *world) camp(q *asked, evil, helper *domain) *dns.Message {
	name := q.Question().Name.Fold()
	label := name.FirstLabel()
	switch {
	case q.Question().Type == dns.TypeDNSKEY && name.Equal(evil.name), name.NumLabels() == 1:
		return honest(q)
	case q.Question().Type == dns.TypeDS, q.Question().Type == dns.TypeAAAA: // without a proof
		a := q.reply(dns.RCodeNoError)
		a.Authority = []dns.Record{rr("evil. 60 SOA ns.evil. host.evil. 1 3600 600 86400 60")}
		return a
	case strings.HasPrefix(label, "h"):
		target := evil.at("h%sx%s.z%d", label[1:], strings.Repeat(".m", 16), w.names.Add(1))
		return q.reply(dns.RCodeNoError, evil.spoilt(rr("%s 60 CNAME %s", name, target))...)
	case strings.HasPrefix(label, "g"):
		return q.reply(dns.RCodeNoError, rr("%s 60 A %s", name, evil.server.addr.Addr()))
	case strings.HasPrefix(label, "m"):
		ns := dns.MustName("ns." + name.String())
		return q.refer(name, []dns.Name{ns}, rr("%s 60 A %s", ns, helper.server.addr.Addr()))
	}
	var servers []dns.Name
	for i := range 13 {
		servers = append(servers, helper.at("g%d.m%d", i, w.names.Add(1)))
	}
	return q.refer(name, servers)
}

// spoilt is a set with a signature that fails.
func (d *domain) spoilt(set ...dns.Record) []dns.Record {
	list := d.signed(set...)
	sig := list[len(list)-1].Data
	sig[len(sig)-1] ^= 1
	return list
}

// TestTsuNAME: two zones whose servers are below each other, and referrals that never end: found out once, and remembered.
func TestTsuNAME(t *testing.T) {
	w := newWorld(t)
	one, two := w.zone("one.", ""), w.zone("two.", "")
	one.cut, two.cut = "@ 3600 NS ns.two.", "@ 3600 NS ns.one."
	deep := w.zone("deep.", "")
	deep.server.set(func(q *asked) *dns.Message { // a cut at each label, all at this server
		ns := q.Question().Name
		return q.refer(ns, []dns.Name{dns.MustName("ns." + ns.String())}, rr("ns.%s 60 A %s", ns, deep.server.addr.Addr()))
	})
	w.start()
	const names, again = 10, 20
	var repeated usage
	c := w.attack(names, 5*time.Second, func() {
		for i := range names {
			w.expect(one.at("n%d", i), dns.TypeA, "SERVFAIL")
		}
	})
	repeated = w.spend(again, func() {
		for range again {
			w.expect(one.at("n0"), dns.TypeA, "SERVFAIL")
		}
	})
	if repeated.messages > 0.1 {
		t.Errorf("%.1f messages for each repetition of what has just failed", repeated.messages)
	}
	loop := w.spend(1, func() { w.expect(deep.at("%sx", strings.Repeat("a.", 60)), dns.TypeA, "SERVFAIL") })
	if loop.messages > 40 { // Limits.Referrals is 30
		t.Errorf("%.0f messages for a name of 61 cuts", loop.messages)
	}
	w.row(row{attack: "TsuNAME 2021, referral loops CVE-2026-5950", defence: "a look-up that needs itself fails at once, 30 referrals, failures are remembered (RFC 9520)",
		ceiling: ceiling{messages: 6, octets: 4000, cpu: 12}, cost: c, // the two delegations, once, and what minimisation adds
		seen: fmt.Sprintf("%.1f messages for a repetition, %.0f for 61 cuts", repeated.messages, loop.messages)})
}

// TestSelfPointedGlue: many servers, all at one address that gives nothing useful: it is one server.
func TestSelfPointedGlue(t *testing.T) {
	w := newWorld(t)
	evil, target := w.zone("evil.", ""), w.listen()
	target.set(func(q *asked) *dns.Message { return q.reply(dns.RCodeServFail) })
	evil.server.set(func(q *asked) *dns.Message {
		var servers []dns.Name
		var glue []dns.Record
		for i := range 13 {
			ns := dns.MustName(fmt.Sprintf("n%d.%s", i, q.Question().Name))
			servers = append(servers, ns)
			glue = append(glue, rr("%s 60 A %s", ns, target.addr.Addr()))
		}
		return q.refer(q.Question().Name, servers, glue...)
	})
	w.start()
	const names = 20
	c := w.attack(names, 5*time.Second, func() {
		for i := range names {
			w.expect(evil.at("x%d", i), dns.TypeA, "SERVFAIL")
		}
	})
	got := float64(target.messages.Load()) / names
	if got > 3 {
		t.Errorf("one address was asked %.1f times for a question", got)
	}
	w.row(row{attack: "self-pointed glue 2026", defence: "each address once for a step, whatever its names",
		ceiling: ceiling{messages: 16, octets: 20_000, cpu: 30}, cost: c, // and AAAA for some of its names
		seen: fmt.Sprintf("%.1f to the address", got)})
}

// TestUnreachable: hundreds of questions for servers that never answer hold places, and nobody else up.
func TestUnreachable(t *testing.T) {
	w := newWorld(t)
	mute := w.zone("mute.", "")
	mute.server.set(silent)
	w.start()
	const names, parallel = 1200, 400
	start := time.Now()
	c := w.attack(names, 3*time.Second, func() {
		w.flood(names, parallel, func(i int) dns.Question {
			return dns.Question{Name: mute.at("x%d", i), Type: dns.TypeA, Class: dns.ClassIN}
		})
	})
	w.row(row{attack: "unreachable zones as a sink", defence: "7 s for a question, silent servers left alone for seconds, fewer questions at once for a zone that is silent",
		// A few tries with growing patience; the memory is that of 400 look-ups in flight at once.
		ceiling: ceiling{messages: 10, octets: 1000, cpu: 12}, cost: c, seen: fmt.Sprintf("all answered after %v", time.Since(start).Round(100*time.Millisecond))})
}

// TestZeroGlue: 0.0.0.0, multicast and broadcast are not addresses of servers (CVE-2026-50251), neither is what is this host.
func TestZeroGlue(t *testing.T) {
	w := newWorld(t)
	evil := w.zone("evil.", "")
	list := []string{"0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "240.0.0.1"}
	evil.server.set(func(q *asked) *dns.Message {
		ns := dns.MustName("ns." + q.Question().Name.String())
		var glue []dns.Record
		for _, a := range list {
			glue = append(glue, rr("%s 60 A %s", ns, a))
		}
		for _, a := range []string{"::", "ff02::1", "::ffff:0.0.0.0"} {
			glue = append(glue, rr("%s 60 AAAA %s", ns, a))
		}
		return q.refer(q.Question().Name, []dns.Name{ns}, glue...)
	})
	// What is sent to 0.0.0.0 goes to 127.0.0.1.
	here, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), w.port)))
	if err != nil {
		t.Skipf("the port that 0.0.0.0 leads to is taken: %v", err)
	}
	defer here.Close()
	w.start()
	cached := w.fresh()
	w.expect(cached, dns.TypeA, "NOERROR AD 192.0.2.1")
	const names = 20
	c := w.attack(names, 5*time.Second, func() {
		for i := range names {
			w.expect(evil.at("x%d", i), dns.TypeA, "SERVFAIL")
		}
	})
	_ = here.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if n, from, err := here.ReadFromUDP(make([]byte, 512)); err == nil {
		t.Errorf("%d octets came to this host from %v", n, from)
	}
	kept := w.spend(1, func() { w.expect(cached, dns.TypeA, "NOERROR AD 192.0.2.1") })
	if kept.messages > 0 {
		t.Errorf("what was cached is gone: %.0f messages for it", kept.messages)
	}
	w.row(row{attack: "0.0.0.0 as glue, CVE-2026-50251", defence: "special-use addresses are nobody's server",
		ceiling: ceiling{messages: 6, octets: 4000, cpu: 15}, cost: c, seen: "nothing came to this host, nothing cached was lost"}) // the referral; its server's name leads to the same again
}
