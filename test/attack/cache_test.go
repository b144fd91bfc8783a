package attack

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onoma/dns"
)

// TestCacheFlush: names with as much data as fits, to drive out everybody else's (2024; CVE-2024-1737, 2024-25590).
func TestCacheFlush(t *testing.T) {
	w := newWorld(t)
	evil := w.zone("evil.", "")
	huge := records(evil.name, bigTXT("@", 240)) // 62 KB
	evil.server.set(func(q *asked) *dns.Message {
		if q.Question().Type != dns.TypeTXT {
			return honest(q)
		}
		a := q.reply(dns.RCodeNoError)
		for _, r := range huge {
			r.Name = q.Question().Name
			a.Answer = append(a.Answer, r)
		}
		return a
	})
	w.start()
	cached := w.fresh()
	w.expect(cached, dns.TypeA, "NOERROR AD 192.0.2.1")
	const names = 200
	c := w.attack(names, 5*time.Second, func() {
		for v, n := range w.flood(names, 4, func(i int) dns.Question {
			return dns.Question{Name: evil.at("x%d", i), Type: dns.TypeTXT, Class: dns.ClassIN}
		}) {
			if !strings.HasPrefix(v, "NOERROR") {
				t.Errorf("%d answers: %.100s", n, v)
			}
		}
	})
	kept := w.spend(1, func() { w.expect(cached, dns.TypeA, "NOERROR AD 192.0.2.1") })
	if kept.messages > 0 {
		t.Errorf("what was cached is gone: %.0f messages for it", kept.messages)
	}
	w.row(row{attack: "CacheFlush 2024, CVE-2024-1737, 2024-25590", defence: "RRsets of more than 256 records or 8 KiB are passed on and not kept; caches of fixed size with CLOCK",
		// One answer by UDP and one by TCP; the caches have 96 MiB, taken when they are made but touched as they fill.
		ceiling: ceiling{messages: 3, octets: 130_000, cpu: 60, memory: 160 << 20}, cost: c, seen: fmt.Sprintf("%d answers of 62 KB; what was cached is there", names)})
}

// TestGhost: what the parent has taken away ends with the lease that it gave, whatever the child says (Jiang 2012,
// CVE-2022-30698, CVE-2026-40622, 42955).
func TestGhost(t *testing.T) {
	w := newWorld(t)
	ghost := w.zone("ghost.", "www 86400 A 192.0.2.66\nsub 86400 NS ns.sub\nns.sub 86400 A 127.0.0.1")
	sub := w.zone("sub.ghost.", "www 86400 A 192.0.2.66")
	ghost.text = fmt.Sprintf("* 86400 A 192.0.2.66\nsub 86400 NS ns.sub\nns.sub 86400 A %s", sub.server.addr.Addr())
	sub.text = "* 86400 A 192.0.2.66"
	w.domains = w.domains[:len(w.domains)-1] // the root does not delegate it
	const lease = 2 * time.Second
	ghost.cut = fmt.Sprintf("@ 2 NS ns\nns 2 A %s", ghost.server.addr.Addr())
	ghost.server.set(func(q *asked) *dns.Message { // the zone says that it lives for a day
		a := honest(q)
		a.Authority = append(a.Authority, rr("ghost. 86400 NS ns.ghost."))
		a.Additional = append(a.Additional, rr("ns.ghost. 86400 A %s", ghost.server.addr.Addr()))
		return a
	})
	sub.publish(t)
	w.start()
	w.expect(ghost.at("www"), dns.TypeA, "NOERROR 192.0.2.66")
	w.expect(sub.at("www"), dns.TypeA, "NOERROR 192.0.2.66")
	w.domains = w.domains[:len(w.domains)-1]
	w.delegate()
	gone := time.Now()
	const names = 40
	c := w.attack(names, 5*time.Second, func() { // whoever wants it to live asks on
		for i := range names {
			for _, name := range []dns.Name{ghost.at("x%d", i), sub.at("y%d", i)} {
				if _, err := w.ask(name, dns.TypeA); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if _, err := w.ask(ghost.name, dns.TypeNS); err != nil {
				t.Error(err)
			}
			time.Sleep(3 * lease / 2 / names)
		}
	})
	if left := lease + 1500*time.Millisecond - time.Since(gone); left > 0 { // whole seconds, and a busy machine
		time.Sleep(left)
	}
	for _, name := range []dns.Name{ghost.at("www"), sub.at("www"), ghost.at("new"), sub.at("new")} {
		w.expect(name, dns.TypeA, "NXDOMAIN AD")
	}
	w.row(row{attack: "ghost domains 2012, Phoenix 2022, CVE-2026-40622", defence: "a delegation is a lease, and nothing below it outlives it",
		ceiling: ceiling{messages: 6, octets: 2000, cpu: 30}, cost: c, seen: "gone with the lease, names in deeper cuts too"}) // three questions, and the cut again every 2 s
}

// TestWaterTorture: names at random below a victim, each of which has to be looked up where nothing proves that it is not there.
func TestWaterTorture(t *testing.T) {
	w := newWorld(t)
	victim := w.zone("victim.", "www 60 A 192.0.2.7")
	w.start()
	const names = 1500
	c := w.attack(names, 5*time.Second, func() {
		for v, n := range w.flood(names, 32, func(i int) dns.Question {
			return dns.Question{Name: victim.at("r%d", i), Type: dns.TypeA, Class: dns.ClassIN}
		}) {
			if v != "NXDOMAIN" && v != "SERVFAIL" {
				t.Errorf("%d answers: %s", n, v)
			}
		}
	})
	w.expect(victim.at("www"), dns.TypeA, "NOERROR 192.0.2.7")
	w.row(row{attack: "water torture 2014", defence: "one message for a name, failures and denials remembered",
		ceiling: ceiling{messages: 1.2, octets: 400, cpu: 6, memory: 64 << 20}, cost: c, seen: fmt.Sprintf("%d names", names)})
}
