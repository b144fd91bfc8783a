package iterator

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
)

// TestPoison: what a server says of names that are not its zone's never gets
// into the cache, whatever section it stands in, and neither do NS records from
// beside an answer (Kaminsky 2008, CVE-2025-11411, CVE-2025-40778).
func TestPoison(t *testing.T) {
	records := func(lines ...string) (list []dns.Record) {
		for _, l := range lines {
			list = append(list, fakenet.ParseRecord(l, dns.Root))
		}
		return list
	}
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.twoZones("www 60 A 198.51.100.1\nsub NS ns.sub\nns.sub A 192.0.2.3", "www 60 A 198.51.100.2")
		evil := w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns\nns A 192.0.2.3\n*.x A 198.51.100.1"))
		evil.Hook = func(_, a *dns.Message, _ transport.Proto) *dns.Message {
			a.Answer = append(a.Answer, records("www.other.com. A 192.0.2.66", "other.com. NS ns.evil.com.", "com. NS ns.evil.com.")...)
			a.Authority = append(a.Authority, records("example.com. NS ns.evil.com.", "other.com. NS ns.evil.com.",
				"com. NS ns.evil.com.", ". NS ns.evil.com.", "other.com. DS 1 13 2 00")...)
			a.Additional = append(a.Additional, records("ns.evil.com. A 192.0.2.66", "www.other.com. A 192.0.2.66",
				"a.gtld-servers.net. A 192.0.2.66", "ns.example.com. A 192.0.2.66")...)
			return a
		}
		for i := range 5 {
			w.resolve(fmt.Sprintf("n%d.x.example.com.", i), dns.TypeA)
		}
		w.resolve("nix.example.com.", dns.TypeA)
		w.asked()
		expect(t, "another zone's name", w.resolve("www.other.com.", dns.TypeA), "NOERROR www.other.com./60/A=198.51.100.2")
		w.resolve("later.example.com.", dns.TypeA)
		w.resolve("x.com.", dns.TypeA)
		for _, p := range w.Sent() {
			if p.To.String() == "192.0.2.66" {
				t.Errorf("%s was sent to the attacker's server", p.Question)
			}
		}
		for _, n := range []string{"ns.evil.com.", "a.gtld-servers.net."} {
			if e, ok := w.it.Cache.RRset(dns.MustName(n), dns.TypeA, w.it.now()); ok {
				t.Errorf("%s was cached: %+v", n, e)
			}
		}
		if d, _ := w.it.Cache.Delegation(dns.MustName("example.com."), w.it.now()); len(d.Servers) != 1 || d.Servers[0].Name.String() != "ns.example.com." {
			t.Errorf("the delegation was changed by the zone itself: %+v", d)
		}
	})
}

// TestForeignGlue: a referral's glue counts only for names below the zone that
// refers, and only if it is an address that a server can have (CVE-2026-50251).
func TestForeignGlue(t *testing.T) {
	inWorld(t, Config{NeverAsk: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/15")}}, func(t *testing.T, w *world) {
		_, com := w.standard("example.com. NS ns.victim.net.\nexample.com. NS ns1.example.com.\nexample.com. NS ns2.example.com.")
		for _, l := range []string{
			"ns.victim.net. A 192.0.2.66", "ns1.example.com. A 0.0.0.0", "ns1.example.com. AAAA ::", "ns1.example.com. A 127.0.0.1", "ns1.example.com. A 0.1.2.3", "ns1.example.com. A 240.0.0.1",
			"ns1.example.com. A 255.255.255.255", "ns1.example.com. A 224.0.0.1", "ns1.example.com. AAAA ::1", "ns1.example.com. AAAA ff02::1",
			"ns1.example.com. A 198.19.0.1", "ns1.example.com. AAAA ::ffff:192.0.2.66", "ns1.example.com. AAAA fe80::1", "ns2.example.com. A 192.0.2.3", "ns2.example.com. A 192.0.2.3",
		} {
			com.Add(fakenet.ParseRecord(l, dns.Root))
		}
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS ns2\nns2 A 192.0.2.3\nwww A 198.51.100.1"))
		expect(t, "through the one good address", w.resolve("www.example.com.", dns.TypeA), "NOERROR www.example.com./3600/A=198.51.100.1")
		good := map[string]bool{"192.0.2.1": true, "192.0.2.2": true, "192.0.2.3": true}
		for _, p := range w.Sent() {
			if !good[p.To.String()] {
				t.Errorf("%v was asked for %v", p.To, p.Question)
			}
		}
	})
}

// TestGhostDomain: once the parent has taken a delegation away, the child's
// servers cannot keep it alive, neither by fresh NS records nor by new names
// for servers (Jiang 2012, CVE-2022-30698, CVE-2026-40622).
func TestGhostDomain(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		_, com := w.standard("ghost.com. 600 NS ns.ghost.com.\nns.ghost.com. 600 A 192.0.2.3")
		ghost := fakenet.ParseZone("ghost.com.", "@ 86400 NS ns\nns 86400 A 192.0.2.3\nwww 86400 A 198.51.100.1\n"+
			"sub 86400 NS ns.sub\nns.sub 86400 A 192.0.2.4")
		w.Serve("192.0.2.3", ghost)
		w.Serve("192.0.2.4", fakenet.ParseZone("sub.ghost.com.", "@ 86400 NS ns\nns 86400 A 192.0.2.4\nwww 86400 A 198.51.100.2"))
		expect(t, "TTL is that of the grant", w.resolve("www.ghost.com.", dns.TypeA), "NOERROR www.ghost.com./600/A=198.51.100.1")
		expect(t, "through nested cuts", w.resolve("www.sub.ghost.com.", dns.TypeA), "NOERROR www.sub.ghost.com./600/A=198.51.100.2")

		com.Remove("ghost.com.", dns.TypeNS)
		com.Remove("ns.ghost.com.", dns.TypeA)
		for range 70 { // keep asking, as the ghost would have it
			time.Sleep(10 * time.Second)
			w.resolve("ghost.com.", dns.TypeNS)
			w.resolve("ns.ghost.com.", dns.TypeA)
			w.resolve(fmt.Sprintf("n%d.sub.ghost.com.", time.Now().Unix()), dns.TypeA)
		}
		for _, name := range []string{"www.ghost.com.", "www.sub.ghost.com.", "new.ghost.com."} {
			if got := w.resolve(name, dns.TypeA); !strings.HasPrefix(got, "NXDOMAIN") {
				t.Errorf("%s after the lease: %s, expected NXDOMAIN", name, got)
			}
		}
	})
}

// TestNXNS: a referral to many servers without glue in a victim's zone costs the
// victim few packets (NXNSAttack 2020: up to 1620 without limits).
func TestNXNS(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.twoZones("", "")
		w.Serve("192.0.2.3").Hook = func(q, a *dns.Message, _ transport.Proto) *dns.Message {
			m := with(q, a, dns.RCodeNoError)
			cut := q.Question().Name
			for i := range 150 {
				m.Authority = append(m.Authority, fakenet.ParseRecord(fmt.Sprintf("%s NS fake%d.x%d.other.com.", cut, i, i), dns.Root))
			}
			return m
		}
		w.expectFailure("a.example.com.", "work budget used up: 16 look-ups of name server addresses")
		sent := w.Sent()
		victim := 0
		for _, p := range sent {
			if p.To.String() == "192.0.2.4" {
				victim++
			}
		}
		if victim > 21 || len(sent) > 30 {
			t.Errorf("%d packets to the victim, %d in all; expected at most 21 and 30", victim, len(sent))
		}
	})
}

// TestNestedNXNS: referrals whose servers are again in such zones, without end.
func TestNestedNXNS(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.twoZones("", "")
		w.Serve("192.0.2.3").Hook = func(q, a *dns.Message, _ transport.Proto) *dns.Message {
			m := with(q, a, dns.RCodeNoError)
			for i := range 20 {
				line := fmt.Sprintf("%s NS n%d.d%d.%s", q.Question().Name, i, w.Uint64()%1e9, "example.com.")
				m.Authority = append(m.Authority, fakenet.ParseRecord(line, dns.Root))
			}
			return m
		}
		w.expectFailure("a.example.com.", "")
		if n := len(w.Sent()); n > 60 {
			t.Errorf("%d packets for one question, expected at most 60", n)
		}
	})
}

// TestCyclicServers: two zones whose servers' names are in each other (TsuNAME 2021).
func TestCyclicServers(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.standard("one.com. NS ns.two.com.\ntwo.com. NS ns.one.com.")
		w.expectFailure("www.one.com.", "ns.two.com. has no usable address")
		first := len(w.asked())
		for range 20 {
			w.expectFailure("www.one.com.", "")
		}
		if again := len(w.asked()); first > 10 || again != 0 {
			t.Errorf("%d packets at first and %d for 20 repetitions, expected at most 10 and none", first, again)
		}
	})
}

// TestHugeRRset: it is passed on but not kept.
func TestHugeRRset(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		var lines strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&lines, "big A 10.0.%d.%d\n", i/256, i%256)
		}
		w.example(lines.String())
		a, err := w.it.Resolve(t.Context(), question("big.example.com.", dns.TypeA), Options{})
		if err != nil || len(a.Chain[0].Data) != 1000 {
			t.Fatalf("got %.100s, expected 1000 records", describe(a, err))
		}
		if _, ok := w.it.Cache.RRset(dns.MustName("big.example.com."), dns.TypeA, w.it.now()); ok {
			t.Error("1000 records were cached, expected no RRset of more than 256")
		}
	})
}

// TestBudgets: whichever runs out first is named in the answer.
func TestBudgets(t *testing.T) {
	for name, c := range map[string]struct {
		limits Limits
		want   string
	}{
		"queries": {Limits{Queries: 3}, "work budget used up: 3 upstream queries"},
		"octets":  {Limits{Bytes: 100}, "work budget used up: 100 octets from upstream"},
		"walk":    {Limits{Referrals: 2}, "work budget used up: 2 referrals"},
		"time":    {Limits{Time: 25 * time.Millisecond}, "work budget used up: 25ms of time"},
		"aliases": {Limits{Aliases: 1}, "work budget used up: 1 aliases followed"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Config{Limits: c.limits}, func(t *testing.T, w *world) {
				w.example("www CNAME a\na CNAME b\nb A 198.51.100.1")
				w.expectFailure("www.example.com.", c.want)
			})
		})
	}
}

// TestBudgetIsShared: look-ups of servers' addresses draw from the same budget.
func TestBudgetIsShared(t *testing.T) {
	inWorld(t, Config{Limits: Limits{NSLookups: 3}}, func(t *testing.T, w *world) {
		lines := ""
		for i := range 6 {
			lines += fmt.Sprintf("z%d.com. NS ns.z%d.com.\n", i, i+1)
		}
		w.standard(lines)
		w.expectFailure("www.z0.com.", "work budget used up: 3 look-ups of name server addresses")
		// That another question's budget ran out says nothing about z2's own failure.
		if _, ok := w.it.Cache.Failure(dns.MustName("ns.z2.com."), dns.TypeA); ok {
			t.Error("a look-up on the way was remembered as failed")
		}
	})
}
