package iterator

import (
	"fmt"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
)

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

// at is a server as the book has it.
func at(s string) netip.AddrPort { return netip.AddrPortFrom(mustAddr(s), 53) }

// outage takes everything down or brings it back.
func (w *world) outage(servers []*fakenet.Server, isDown bool, err error) {
	w.Change(func() {
		for _, s := range servers {
			s.Down, s.Err = isDown, nil
			if isDown {
				s.Err = err
			}
		}
	})
}

// everybody sets up root, com and example.com with two servers, and returns all.
func (w *world) everybody() []*fakenet.Server {
	list := w.manyServers(10*time.Millisecond, 20*time.Millisecond)
	return append(list, w.Serve("192.0.2.1", fakenet.ParseZone(".", rootZone)), w.Serve("192.0.2.2", fakenet.ParseZone("com.", "@ NS a.gtld-servers.net.\n"+
		"example.com. NS ns0.example.com.\nexample.com. NS ns1.example.com.\nns0.example.com. A 192.0.2.11\nns1.example.com. A 192.0.2.12")))
}

// TestOutage: when nothing at all can be reached for ten minutes, no server is
// blamed, nothing is remembered as failing, and the first look-ups after it succeed
// at once (Unbound issues 1461, 282).
func TestOutage(t *testing.T) {
	for what, err := range map[string]error{"silence": nil, "no route": syscall.ENETUNREACH} {
		t.Run(what, func(t *testing.T) {
			var told []bool
			inBothWorlds(t, Config{Link: func(isDown bool) { told = append(told, isDown) }}, func(t *testing.T, w *world) {
				told = nil
				all := w.everybody()
				w.ask(20, "a")
				w.outage(all, true, err)
				end := time.Now().Add(10 * time.Minute)
				for i := 0; time.Now().Before(end); i++ {
					w.expectFailure(fmt.Sprintf("b%d.x.example.com.", i%50), "")
					w.expectFailure("www.other.", "")
					time.Sleep(700 * time.Millisecond)
				}
				w.expectFailure("why.x.example.com.", "our own link seems to be down")
				w.outage(all, false, nil)
				time.Sleep(1100 * time.Millisecond) // RFC 9520 §3.2: a failure is remembered for a second at least
				for i := range 50 {
					if took := w.timed(fmt.Sprintf("b%d.x.example.com.", i)); took > 50*time.Millisecond {
						t.Errorf("after the outage b%d took %v", i, took)
					}
				}
				expect(t, "what failed", w.resolve("www.other.", dns.TypeA), "NXDOMAIN | ./300/SOA")
				w.expectNoMarks()
				expect(t, "told", fmt.Sprint(told), "[true false]")
			})
		})
	}
}

// expectNoMarks wants all servers to be in good standing.
func (w *world) expectNoMarks() {
	w.t.Helper()
	s := w.it.servers
	s.mu.Lock()
	defer s.mu.Unlock()
	for a, e := range s.book {
		if e.fails > 0 || !e.deadUntil.IsZero() {
			w.t.Errorf("%v is still marked: %d failures, dead until %v", a, e.fails, e.deadUntil)
		}
	}
	if s.link.isDown || s.families[0].isBad || s.families[1].isBad {
		w.t.Errorf("the link or a family is still thought to be down: %+v %+v", s.link, s.families)
	}
}

// TestShortOutage: what was blamed before it was clear that the link is down is taken back.
func TestShortOutage(t *testing.T) {
	inBothWorlds(t, Config{}, func(t *testing.T, w *world) {
		all := w.everybody()
		w.ask(20, "a")
		w.outage(all, true, nil)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { w.expectFailure(fmt.Sprintf("b%d.x.example.com.", i), "") })
		}
		wg.Wait()
		w.outage(all, false, nil)
		w.timed("first.x.example.com.")
		w.expectNoMarks()
	})
}

// TestDeadZoneIsNotAnOutage: while the root servers answer, the servers are to blame.
func TestDeadZoneIsNotAnOutage(t *testing.T) {
	inBothWorlds(t, Config{}, func(t *testing.T, w *world) {
		all := w.everybody()
		w.ask(5, "a")
		w.outage(all[:2], true, nil)
		w.Sent()
		for i := range 30 {
			w.expectFailure(fmt.Sprintf("b%d.x.example.com.", i), "")
		}
		checks := 0
		for _, p := range w.Sent() {
			if p.Question.Type == dns.TypeSOA && p.Question.Name.IsRoot() {
				checks++
			}
		}
		if w.it.servers.linkIsDown() || checks == 0 || checks > 10 {
			t.Errorf("link down: %t after %d looks at it", w.it.servers.linkIsDown(), checks)
		}
		st := w.it.servers.standing(at("192.0.2.11"), dns.MustName("example.com."), time.Now(), 0)
		if !st.doubtful {
			t.Error("the dead server is not marked")
		}
	})
}

// bothFamilies sets up zones whose servers have an address of each family; the
// IPv6 ones are returned.
func (w *world) bothFamilies(zones int) (ipv6 []*fakenet.Server) {
	lines := ""
	for i := range zones {
		lines += fmt.Sprintf("z%d.com. NS ns.z%d.com.\nns.z%d.com. A 192.0.%d.1\nns.z%d.com. AAAA 2001:db8:%x::1\n", i, i, i, 10+i, i, i+1)
		zone := fakenet.ParseZone(fmt.Sprintf("z%d.com.", i), "@ NS ns\n* 1 A 198.51.100.1")
		w.Serve(fmt.Sprintf("192.0.%d.1", 10+i), zone)
		ipv6 = append(ipv6, w.Serve(fmt.Sprintf("2001:db8:%x::1", i+1), zone))
	}
	w.standard(lines)
	return ipv6
}

// TestDeadFamily: where IPv6 swallows everything, no client waits a second for it,
// not even the first one; and soon after it is back, it is used again.
func TestDeadFamily(t *testing.T) {
	inBothWorlds(t, Config{}, func(t *testing.T, w *world) {
		ipv6 := w.bothFamilies(60)
		w.outage(ipv6, true, nil)
		var most, all time.Duration
		for i := range 60 {
			took := w.timed(fmt.Sprintf("www.z%d.com.", i))
			most, all = max(most, took), all+took
		}
		if most > 150*time.Millisecond || all > 3*time.Second {
			t.Errorf("60 cold zones took %v, the worst %v; expected that nobody waits for IPv6", all, most)
		}
		w.it.servers.mu.Lock()
		isBad := w.it.servers.families[1].isBad
		w.it.servers.mu.Unlock()
		if !isBad {
			t.Error("IPv6 is not thought to be down")
		}
		w.outage(ipv6, false, nil)
		start := time.Now()
		for i := 0; w.it.servers.aFamilyIsBad(); i++ {
			w.timed(fmt.Sprintf("n%d.z%d.com.", i, i%60))
			time.Sleep(100 * time.Millisecond)
			if time.Since(start) > 10*time.Second {
				t.Fatal("IPv6 is still thought to be down 10 s after it came back")
			}
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("it took %v to notice that IPv6 is back", took)
		}
	})
}
