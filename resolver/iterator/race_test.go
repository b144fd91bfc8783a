package iterator

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"onoma/dns"
	"onoma/transport"
)

// inBothWorlds runs test with exchanges that wait in the look-up's own goroutine,
// and with those that cannot.
func inBothWorlds(t *testing.T, cfg Config, test func(t *testing.T, w *world)) {
	t.Run("here", func(t *testing.T) { inWorld(t, cfg, test) })
	t.Run("elsewhere", func(t *testing.T) { inPlainWorld(t, cfg, test) })
}

// timed looks name up and returns how long that took.
func (w *world) timed(name string) time.Duration {
	w.t.Helper()
	start := time.Now()
	if got := w.resolve(name, dns.TypeA); !strings.HasPrefix(got, "NOERROR") {
		w.t.Errorf("%s: %s", name, got)
	}
	return time.Since(start)
}

// TestHedge: a server that is slower than its habit costs the client little more
// than that habit, and the book hears of it all the same.
func TestHedge(t *testing.T) {
	inBothWorlds(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(10*time.Millisecond, 40*time.Millisecond)
		w.ask(100, "a")
		w.Change(func() { s[0].RTT = 90 * time.Millisecond })
		took := w.timed("late.x.example.com.")
		if took > minHabit+40*time.Millisecond+15*time.Millisecond {
			t.Errorf("a late server cost %v, expected its habit and the other one's answer", took)
		}
		if n := len(w.Sent()); n > 2 {
			t.Errorf("%d packets, expected two at most", n)
		}
		time.Sleep(time.Second)
		w.it.servers.mu.Lock()
		srtt := w.it.servers.book[at(s[0].Addr.String())].srtt
		w.it.servers.mu.Unlock()
		if srtt < 15*time.Millisecond {
			t.Errorf("the late server's time is %v in the book, expected that the late answer was noted", srtt)
		}
	})
}

// TestHedgeIsBounded: where everything becomes slow at once, a tenth is asked twice.
func TestHedgeIsBounded(t *testing.T) {
	inBothWorlds(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(10*time.Millisecond, 12*time.Millisecond, 14*time.Millisecond)
		w.ask(200, "a")
		var slow atomic.Int32
		for _, server := range s {
			server.Hook = func(_, a *dns.Message, _ transport.Proto) *dns.Message {
				if slow.Add(1)%2 == 0 {
					time.Sleep(70 * time.Millisecond) // each is late every other time, which no habit covers
				}
				return a
			}
		}
		w.Sent()
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() { w.timed(fmt.Sprintf("b%d.x.example.com.", i)) })
		}
		wg.Wait()
		if n := len(w.Sent()); n > 1000+1000/10+mostHedges+60 { // and some repeated
			t.Errorf("%d packets for 1000 look-ups, expected at most a tenth more", n)
		}
	})
}

// TestBadReplyLosesTheRace: the second server's answer counts where the first says
// nothing that can be used, and the other way round.
func TestBadReplyLosesTheRace(t *testing.T) {
	inBothWorlds(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(10*time.Millisecond, 30*time.Millisecond)
		w.ask(60, "a")
		w.Change(func() {
			s[0].RTT = 60 * time.Millisecond
			s[1].RTT = time.Millisecond
			s[1].Hook = func(q, a *dns.Message, _ transport.Proto) *dns.Message { return with(q, a, dns.RCodeServFail) }
		})
		if took := w.timed("b.x.example.com."); took > 70*time.Millisecond {
			t.Errorf("took %v, expected the first server's answer", took)
		}
	})
}

// TestExploration: a server that becomes quick is found, one that becomes slow is
// left, and what is asked of slow ones stays small.
func TestExploration(t *testing.T) {
	inBothWorlds(t, Config{}, func(t *testing.T, w *world) {
		s := w.manyServers(20*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond)
		w.ask(200, "a")
		got := w.ask(500, "b")
		if slow := got["192.0.2.12"] + got["192.0.2.13"] + got["192.0.2.14"]; got["192.0.2.11"] < 450 || slow > 60 || slow == 0 {
			t.Errorf("packets: %v, expected nine of ten to the quick one, and a few to the others", got)
		}
		w.Change(func() { s[2].RTT = 2 * time.Millisecond })
		w.ask(3000, "c") // some fifty of them explore it, and a dozen have to, until its habit is believed to be another
		if got = w.ask(200, "d"); got["192.0.2.13"] < 150 {
			t.Errorf("packets: %v, expected that the server which became quick was found", got)
		}
		w.Change(func() { s[2].RTT = 200 * time.Millisecond })
		w.ask(100, "e")
		if got = w.ask(200, "f"); got["192.0.2.11"] < 150 {
			t.Errorf("packets: %v, expected that the server which became slow was left", got)
		}
	})
}

// TestAgeing: what is known of a server that nobody asked fades, so that it is asked again.
func TestAgeing(t *testing.T) {
	s, now, zone := newServers(), time.Unix(1e9, 0), dns.MustName("example.com.")
	a := at("192.0.2.1")
	for range 20 {
		s.answered(a, 80*time.Millisecond, now)
	}
	fresh := s.standing(a, zone, now, 0)
	old := s.standing(a, zone, now.Add(4*halfLife), 0)
	if fresh.score != 80*time.Millisecond || old.score > 11*time.Millisecond || old.rto != fresh.rto {
		t.Errorf("score %v, and %v after four half-lives, expected 80ms and an eighth or less; rto %v, %v", fresh.score, old.score, fresh.rto, old.rto)
	}
}
