package iterator

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/dns"
	"onoma/resolver/internal/fakenet"
)

// TestCrowd: questions for random names of a zone that does not answer leave room
// for all others (CVE-2022-3204, water torture).
func TestCrowd(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.twoZones("", "* 1 A 198.51.100.2")
		w.Serve("192.0.2.3").Down = true
		w.timed("www.other.com.")
		crowded, most := 0, 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		for round := range 4 {
			for i := range 1500 {
				wg.Go(func() {
					start := time.Now()
					a, err := w.it.Resolve(t.Context(), question(fmt.Sprintf("r%d-%d.example.com.", round, i), dns.TypeA), Options{})
					mu.Lock()
					defer mu.Unlock()
					if strings.Contains(describe(a, err), "SERVFAIL 22 too many questions wait for the servers of example.com.") {
						crowded++
						if took := time.Since(start); took > 20*time.Millisecond {
							t.Errorf("turned away after %v", took)
						}
					}
				})
			}
			time.Sleep(50 * time.Millisecond)
			w.timed(fmt.Sprintf("n%d.other.com.", round))
			time.Sleep(500 * time.Millisecond)
			c := w.it.crowds.all[dns.MustName("example.com.").Wire()]
			w.it.crowds.mu.Lock()
			most = max(most, c.waiting)
			w.it.crowds.mu.Unlock()
		}
		wg.Wait()
		if crowded < 1000 || most > mostRoom {
			t.Errorf("%d of 6000 were turned away, %d waited at a time; expected a thousand at least, and at most %d", crowded, most, mostRoom)
		}
		if _, ok := w.it.Cache.Failure(dns.MustName("r3-1499.example.com."), dns.TypeA); ok {
			t.Error("it was remembered that there was no room")
		}
	})
}

// TestCalm: while there is little to do, nobody is turned away however badly a zone
// answers (Unbound issue 362); a zone that answers has room for a thousand.
func TestCalm(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.twoZones("* 1 A 198.51.100.1", "")
		w.it.crowds.all[dns.MustName("example.com.").Wire()] = &crowd{room: leastRoom, used: time.Now()}
		var wg sync.WaitGroup
		for i := range calmBelow - 1 {
			wg.Go(func() { w.timed(fmt.Sprintf("a%d.example.com.", i)) })
		}
		wg.Wait()
		if room := w.it.crowds.all[dns.MustName("example.com.").Wire()].room; room != mostRoom {
			t.Errorf("room for %d after as many good answers, expected %d again", room, mostRoom)
		}
		for i := range mostRoom {
			wg.Go(func() { w.timed(fmt.Sprintf("b%d.example.com.", i)) })
		}
		wg.Wait()
	})
}

// TestSameServerEverywhere: an address that keeps silent is asked a few times for
// one client's question, though many zones name it.
func TestSameServerEverywhere(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		lines := ""
		for i := range 8 {
			lines += fmt.Sprintf("z%d.com. NS ns.z%d.com.\nns.z%d.com. A 192.0.2.66\nexample.com. NS ns.z%d.com.\n", i, i, i, i)
			for j := range 5 {
				lines += fmt.Sprintf("z%d.com. NS ns%d.z%d.com.\n", i, j, (i+j+1)%8)
			}
		}
		w.standard(lines)
		w.expectFailure("www.example.com.", "")
		silent := 0
		for _, p := range w.Sent() {
			if p.To == mustAddr("192.0.2.66") {
				silent++
			}
		}
		if silent > maxMute {
			t.Errorf("%d packets to the silent address, expected at most %d", silent, maxMute)
		}
	})
}

// TestManyServersWithoutAddress: a zone of which only one of many servers' names
// exists is found nevertheless, while there is time for it.
func TestManyServersWithoutAddress(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		lines := "other.com. NS ns.other.com.\nns.other.com. A 192.0.2.4\nexample.com. NS good.other.com.\n"
		for i := range 7 {
			lines += fmt.Sprintf("example.com. NS gone%d.other.com.\n", i)
		}
		w.standard(lines)
		w.Serve("192.0.2.4", fakenet.ParseZone("other.com.", "@ NS ns\nns A 192.0.2.4\ngood A 192.0.2.3"))
		w.Serve("192.0.2.3", fakenet.ParseZone("example.com.", "@ NS good.other.com.\nwww A 198.51.100.1"))
		for range 10 {
			expect(t, "found", w.resolve("www.example.com.", dns.TypeA), "NOERROR www.example.com./3600/A=198.51.100.1")
			w.it.Cache.FlushAll()
		}
	})
}
