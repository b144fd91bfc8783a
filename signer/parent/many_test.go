package parent

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"onoma/dns"
	"onoma/zone"
)

// TestManyZones watches 4,000 zones of one parent with four servers for three hours: a few questions each, none of them in a storm,
// and a kilobyte or two of memory.
func TestManyZones(t *testing.T) {
	zones := 4_000
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	seed := uint64(1)
	random := func(n int64) int64 { // spread well, and the same each time
		seed = seed*6364136223846793005 + 1442695040888963407
		return int64(seed>>1) % n
	}
	c := newCore(Options{Most: 64, MostEach: 16, Spread: 10 * time.Minute, Timeout: 2 * time.Second}, random)
	var servers []foundServer
	for i := range 4 {
		servers = append(servers, foundServer{dns.MustName("ns.example."), netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 53)})
	}
	key := testKey(1)
	before := inUse()
	for i := range zones {
		id := zone.IDOf("", dns.MustName(fmt.Sprintf("c%d.example.", i)))
		set, err := MakeDS(id.Name, []dns.DNSKEY{key}, []uint8{2})
		if err != nil {
			t.Fatal(err)
		}
		c.set(Zone{ID: id, WasThere: true, Wanted: Wanted{DS: set, Keys: []dns.DNSKEY{key}}}, begin)
	}
	asked, most, perSecond := 0, 0, map[int64]int{}
	for now := begin; now.Before(begin.Add(3 * time.Hour)); {
		jobs, wake := c.next(now)
		most = max(most, len(jobs))
		for _, j := range jobs {
			c.done(j)
			if j.kind == finding {
				c.found(j, found{parent: example, servers: servers}, now)
				continue
			}
			asked++
			perSecond[now.Unix()]++
			c.saw(j, seen{ds: j.zone.Wanted.DS, ttl: time.Hour, signed: true, parent: example}, now)
		}
		for {
			if _, ok := c.nextChanged(now); !ok {
				break
			}
		}
		if len(jobs) == 0 {
			now = wake
		}
	}
	if each := (inUse() - before) / int64(zones); each > 3500 {
		t.Errorf("%d octets for each zone, want 3500 at most", each)
	} else {
		t.Logf("%d octets for each zone", each)
	}
	peak := 0
	for _, n := range perSecond {
		peak = max(peak, n)
	}
	t.Logf("%d questions in 3 hours, at most %d in a second, %d at once", asked, peak, most)
	if limit := 4 * 4 * zones; asked > limit || most > 64 || peak > zones/60 {
		t.Errorf("%d questions in 3 hours, at most %d in a second, %d at once; want %d, %d and 64 at most", asked, peak, most, limit, zones/60)
	}
	for id, w := range c.zones {
		if w.condition() != Secure {
			t.Fatalf("%s is %s", id, w.condition())
		}
	}
	runtime.KeepAlive(c)
}

func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
