package iterator

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
	"onoma/transport"
)

// manyServers sets up example.com with servers at 192.0.2.11 and on, with those
// round-trip times.
func (w *world) manyServers(rtts ...time.Duration) []*fakenet.Server {
	lines := ""
	for i := range rtts {
		lines += fmt.Sprintf("example.com. NS ns%d.example.com.\nns%d.example.com. A 192.0.2.%d\n", i, i, 11+i)
	}
	w.standard(lines)
	zone := fakenet.ParseZone("example.com.", "@ NS ns0\n*.x 1 A 198.51.100.1")
	var list []*fakenet.Server
	for i, rtt := range rtts {
		s := w.Serve(fmt.Sprintf("192.0.2.%d", 11+i), zone)
		s.RTT = rtt
		list = append(list, s)
	}
	return list
}

// ask looks up n fresh names and returns how many packets each server got.
func (w *world) ask(n int, label string) map[string]int {
	w.t.Helper()
	w.Sent()
	for i := range n {
		name := fmt.Sprintf("%s%d.x.example.com.", label, i)
		if got := w.resolve(name, dns.TypeA); !strings.HasPrefix(got, "NOERROR") {
			w.t.Errorf("%s: %s", name, got)
		}
	}
	count := map[string]int{}
	for _, p := range w.Sent() {
		count[p.To.String()]++
	}
	return count
}

func TestQuickServerIsPreferred(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.manyServers(150*time.Millisecond, 10*time.Millisecond, 80*time.Millisecond)
		w.ask(60, "a")
		got := w.ask(200, "b")
		if got["192.0.2.12"] < 170 || got["192.0.2.11"] == 0 || got["192.0.2.13"] == 0 {
			t.Errorf("packets: %v, expected most to the quick one and a few to the others", got)
		}
	})
}

// TestDeadServers: they cost little while they are dead, and are used again
// soon after they are back.
func TestDeadServers(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(10*time.Millisecond, 80*time.Millisecond)
		w.ask(50, "a")
		w.Change(func() { s[0].Down = true })
		start := time.Now()
		got := w.ask(100, "b")
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("100 look-ups took %v beside a dead server, expected at most 15 s", took)
		}
		if got["192.0.2.12"] < 100 || got["192.0.2.11"] > 30 {
			t.Errorf("packets: %v, expected the dead server to be tried a few times", got)
		}
		w.Change(func() { s[0].Down = false })
		time.Sleep(deadMax)
		w.ask(100, "c")
		if got = w.ask(100, "d"); got["192.0.2.11"] < 80 {
			t.Errorf("packets: %v, expected the quick server to be preferred again", got)
		}
	})
}

// TestZoneIsDown: where all servers of a zone are dead, the first failures take
// some seconds, the others nothing; once they are back, that is noticed soon.
func TestZoneIsDown(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(10*time.Millisecond, 20*time.Millisecond)
		w.ask(10, "a")
		w.Change(func() { s[0].Down, s[1].Down = true, true })
		var all time.Duration
		for i := range 100 {
			start := time.Now()
			w.expectFailure(fmt.Sprintf("b%d.x.example.com.", i), "no server of example.com. gave an answer")
			took := time.Since(start)
			if took > 4500*time.Millisecond {
				t.Errorf("failure %d took %v", i, took)
			}
			all += took
			time.Sleep(100 * time.Millisecond)
		}
		if all > 25*time.Second {
			t.Errorf("100 failures took %v, expected most of them to take no time", all)
		}
		w.Change(func() { s[0].Down, s[1].Down = false, false })
		time.Sleep(lastResort)
		w.ask(1, "c")
		if w.it.servers.linkIsDown() {
			t.Error("the link is thought to be down, and the root servers answer")
		}
	})
}

func TestLostPacketIsRepeated(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(10 * time.Millisecond)
		lost := 0
		s[0].Hook = func(_, a *dns.Message, _ transport.Proto) *dns.Message {
			if lost++; lost%3 != 0 {
				return nil
			}
			return a
		}
		w.ask(10, "a") // each name is two packets lost and one that gets through
	})
}

func TestUnreachableFamily(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		lines := ""
		for i := range 8 {
			lines += fmt.Sprintf("example.com. NS ns%d.example.com.\nns%d.example.com. AAAA 2001:db8::%d\n", i, i, i+1)
		}
		w.standard(lines + "ns7.example.com. A 192.0.2.11")
		w.Serve("192.0.2.11", fakenet.ParseZone("example.com.", "@ NS ns0\n*.x 1 A 198.51.100.1"))
		for i := range 8 {
			w.Serve(fmt.Sprintf("2001:db8::%d", i+1)).Err = syscall.ENETUNREACH
		}
		start := time.Now()
		w.ask(20, "a")
		if took := time.Since(start); took > time.Second {
			t.Errorf("20 look-ups took %v with IPv6 unreachable, expected no waiting", took)
		}
		got := w.ask(50, "b")
		if others := len(got) - 1; got["192.0.2.11"] != 50 || others > 2 {
			t.Errorf("packets: %v, expected IPv6 to be left alone but for a probe", got)
		}
	})
}

// TestFailureIsRemembered: RFC 9520, with the time doubling, though not beyond
// half a minute where nobody answered at all.
func TestFailureIsRemembered(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(10 * time.Millisecond)
		w.ask(1, "a")
		w.Change(func() { s[0].Down = true })
		w.expectFailure("b.x.example.com.", "192.0.2.11 timed out")
		w.Sent()
		a, err := w.it.Resolve(t.Context(), question("b.x.example.com.", dns.TypeA), Options{})
		if got := describe(a, err); !strings.HasPrefix(got, "SERVFAIL 13 Cached Error; no server of example.com.") {
			t.Errorf("got %s, expected EDE 13 and the reason", got)
		}
		expectList(t, "nothing sent", w.asked())
		for _, wait := range []time.Duration{4, 9, 19, 29, 29} {
			time.Sleep(wait * time.Second)
			w.expectFailure("b.x.example.com.", "Cached Error")
			time.Sleep(2 * time.Second)
			expectList(t, "still nothing sent", w.asked())
			w.expectFailure("b.x.example.com.", "192.0.2.11 timed out")
			w.Sent()
		}
		w.Change(func() { s[0].Down = false })
		time.Sleep(5 * time.Minute)
		expect(t, "after the outage", w.resolve("b.x.example.com.", dns.TypeA), "NOERROR b.x.example.com./1/A=198.51.100.1")
	})
}

// TestLookupsAreShared: what many look-ups need at the same time is asked once.
func TestLookupsAreShared(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.manyServers(10 * time.Millisecond)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				name := fmt.Sprintf("n%d.x.example.com.", i%10)
				if got := w.resolve(name, dns.TypeA); got != "NOERROR "+name+"/1/A=198.51.100.1" {
					t.Error(got)
				}
			})
		}
		wg.Wait()
		// Root, com, example.com, x.example.com, and one for each of ten names.
		if n := len(w.Sent()); n != 14 {
			t.Errorf("%d packets for 100 look-ups of 10 names, expected 14", n)
		}
	})
}

// TestSharingDoesNotDeadlock: look-ups that need each other's name servers.
func TestSharingDoesNotDeadlock(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		lines := ""
		for i := range 6 {
			lines += fmt.Sprintf("z%d.com. NS ns.z%d.com.\nz%d.com. NS ns.z%d.com.\n", i, (i+1)%6, i, (i+2)%6)
		}
		w.standard(lines)
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() { w.expectFailure(fmt.Sprintf("www%d.z%d.com.", i/6, i%6), "") })
		}
		wg.Wait()
		if took := time.Since(start); took >= 7*time.Second {
			t.Errorf("took %v: look-ups waited for each other", took)
		}
	})
}

// TestCallerGivesUp: its context ends the look-up, and others go on without it.
func TestCallerGivesUp(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.manyServers(100 * time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := w.it.Resolve(ctx, question("a.x.example.com.", dns.TypeA), Options{}); err != context.Canceled {
				t.Errorf("got %v, expected that the caller cancelled", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			expect(t, "another caller", w.resolve("a.x.example.com.", dns.TypeA), "NOERROR a.x.example.com./1/A=198.51.100.1")
		})
		synctest.Wait()
		cancel()
		wg.Wait()
	})
}
