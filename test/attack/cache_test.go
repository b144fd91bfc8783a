package attack

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onoma/dns"
	"onoma/zone/sign"
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
			if !strings.HasPrefix(v, "NOERROR") && n > names/20 { // a few megabytes of answers are late on a busy machine
				t.Errorf("%d answers: %.100s", n, v)
			}
		}
	})
	kept := w.spend(1, func() { w.expect(cached, dns.TypeA, "NOERROR AD 192.0.2.1") })
	if kept.messages > 0 {
		t.Errorf("what was cached is gone: %.0f messages for it", kept.messages)
	}
	w.row(row{attack: "CacheFlush 2024, CVE-2024-1737, 2024-25590", defence: "RRsets of more than 256 records or 8 KiB are passed on and not kept; caches of fixed size with CLOCK",
		// One answer by UDP and one by TCP; the caches have 96 MiB, taken when they are made but touched as they fill, and the
		// collector lets as much lie as is alive.
		ceiling: ceiling{messages: 3, octets: 130_000, cpu: 60, memory: 256 << 20}, cost: c, seen: fmt.Sprintf("%d answers of 62 KB; what was cached is there", names)})
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

// TestWaterTorture: names at random below a victim, each of which has to be looked up where nothing proves that it is not
// there. Where the zone is signed, what was proved of others proves it (RFC 8198). A victim that is slow is not drowned, and
// does not drown others with it.
func TestWaterTorture(t *testing.T) {
	w := newWorld(t)
	victim, slow := w.zone("victim.", "www 60 A 192.0.2.7"), w.zone("slow.", "")
	signed, hashed := w.sign("signed.", "www 60 A 192.0.2.7"), w.sign("hashed.", "www 60 A 192.0.2.7")
	hashed.denial = sign.Denial{Kind: sign.NSEC3}
	var waiting, most atomic.Int64
	slow.server.set(func(q *asked) *dns.Message {
		if n := waiting.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(300 * time.Millisecond)
		waiting.Add(-1)
		return honest(q)
	})
	w.start()
	const names = 1000
	torture := func(d *domain, parallel int) func() {
		return func() {
			for v, n := range w.flood(names, parallel, func(i int) dns.Question {
				return dns.Question{Name: d.at("r%d", i), Type: dns.TypeA, Class: dns.ClassIN}
			}) {
				if v != "NXDOMAIN" && v != "NXDOMAIN AD" && v != "SERVFAIL" {
					t.Errorf("%s: %d answers: %s", d.name, n, v)
				}
			}
		}
	}
	c := w.attack(names, 5*time.Second, torture(victim, 32))
	w.expect(victim.at("www"), dns.TypeA, "NOERROR 192.0.2.7")
	proved := w.attack(names, 5*time.Second, torture(signed, 32))
	if proved.messages > 0.1 {
		t.Errorf("%.2f messages for a name in a signed zone", proved.messages)
	}
	opaque := w.attack(names, 5*time.Second, torture(hashed, 32))
	w.attack(names, 5*time.Second, torture(slow, 500))
	if most.Load() > 1100 { // crowds: 1024 questions to the servers of one zone, and repetitions
		t.Errorf("%d questions waited for the slow server at once", most.Load())
	}
	w.row(row{attack: "water torture 2014", defence: "one message for a name; what signed zones prove of others (RFC 8198); 1024 questions for a zone at once, fewer when it is silent",
		ceiling: ceiling{messages: 1.2, octets: 400, cpu: 6}, cost: c,
		seen: fmt.Sprintf("%.2f messages for a name in a zone with NSEC, %.2f with NSEC3; %d waited for a slow server", max(0, proved.messages), max(0, opaque.messages), most.Load())})
}
