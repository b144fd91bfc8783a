package delegation

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"onoma/dns"
	"onoma/zone"
)

var (
	parentID = zone.IDOf("", dns.MustName("tld."))
	somebody = netip.MustParseAddr("198.51.100.7")
)

func childKey(i int) key { return key{parentID, dns.MustName(fmt.Sprintf("c%d.tld.", i))} }

// TestOneNetworkIsNotAll: who asks for many children leaves room for others.
func TestOneNetworkIsNotAll(t *testing.T) {
	s := newSchedule(100)
	taken := 0
	for i := range 1000 {
		if s.notify(childKey(i), kindDS, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), now) {
			taken++
		}
	}
	if taken != 10 {
		t.Errorf("%d of one network are taken, expected a tenth of 100", taken)
	}
	if !s.notify(childKey(5000), kindDS, netip.MustParseAddr("203.0.113.1"), now) {
		t.Error("another network finds no room")
	}
	if c := s.counts; c.Notified != 1001 || c.NotifyRefused != 990 {
		t.Errorf("%+v", c)
	}
}

// TestScanLeavesRoom: a scan fills half of the room at most, and waits then.
func TestScanLeavesRoom(t *testing.T) {
	s := newSchedule(100)
	taken := 0
	for i := range 1000 {
		if s.scan(childKey(i), kindDS, now) {
			taken++
		}
	}
	if taken != 50 || !s.notify(childKey(5000), kindDS, somebody, now) {
		t.Errorf("%d taken", taken)
	}
	if got := s.next(now, true); got.child != childKey(5000).child {
		t.Errorf("%s goes before who says that there is news", got.child)
	}
	if got := s.next(now, false); got != nil {
		t.Errorf("%s of the scan takes the place of news", got.child)
	}
}

// TestNewsDuringALook: what comes while a child is looked at has it looked at again, once,
// and not before MinInterval.
func TestNewsDuringALook(t *testing.T) {
	p := Policy{}.withDefaults()
	s := newSchedule(100)
	s.notify(childKey(1), kindDS, somebody, now)
	task := s.next(now, true)
	for range 5 {
		s.notify(childKey(1), kindCSYNC, somebody, now)
	}
	if next := s.done(task, ended{}, &p, now); !next.Equal(now.Add(p.MinInterval)) {
		t.Errorf("next at %v", next)
	}
	if got := s.next(now.Add(p.MinInterval-1), true); got != nil {
		t.Errorf("too early: %+v", got)
	}
	again := s.next(now.Add(p.MinInterval), true)
	if again == nil || again.kinds != kindCSYNC {
		t.Fatalf("%+v", again)
	}
	s.done(again, ended{}, &p, now.Add(p.MinInterval))
	if got := s.next(now.Add(time.Hour), true); got != nil || len(s.tasks) > 0 || len(s.sources) > 0 {
		t.Errorf("left: %+v, %d tasks, %d sources", got, len(s.tasks), len(s.sources))
	}
}

// TestSlowChildrenGoBehind: a child that has kept us waiting, and says again and again that
// it has news, takes no place from others that do.
func TestSlowChildrenGoBehind(t *testing.T) {
	p := Policy{}.withDefaults()
	s := newSchedule(100)
	s.notify(childKey(1), kindDS, somebody, now)
	s.done(s.next(now, true), ended{verdict: Waits, again: kindDS}, &p, now)
	at := now.Add(p.MinInterval)
	s.notify(childKey(1), kindDS, somebody, at)
	s.notify(childKey(2), kindDS, somebody, at)
	if got := s.next(at, true); got == nil || got.child != childKey(2).child {
		t.Errorf("first: %+v", got)
	}
	if got := s.next(at, false); got != nil {
		t.Errorf("%s takes a place of those that have news", got.child)
	}
	if got := s.next(at, true); got == nil || got.child != childKey(1).child {
		t.Errorf("then: %+v", got)
	}
}

// TestRetriesEnd: a child whose servers never answer is left to the scan.
func TestRetriesEnd(t *testing.T) {
	p := Policy{}.withDefaults()
	s := newSchedule(100)
	s.notify(childKey(1), kindDS, somebody, now)
	at, looks := now, 0
	for {
		task := s.next(at, true)
		if task == nil {
			break
		}
		looks++
		s.done(task, ended{verdict: Waits, again: kindDS}, &p, at)
		if due, ok := s.wake(); ok {
			at = due
		}
	}
	if looks != 1+len(DefaultRetry) || len(s.tasks) > 0 {
		t.Errorf("%d looks, %d tasks left", looks, len(s.tasks))
	}
}

// TestScheduleModel: whatever happens, nobody is looked at twice at once or before
// MinInterval, the room is kept, and in the end nothing is left.
func TestScheduleModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	p := Policy{MinInterval: 5 * time.Second}.withDefaults()
	s := newSchedule(40)
	at := now
	var under []*task
	last := make(map[key]time.Time)
	for range 20_000 {
		at = at.Add(time.Duration(r.IntN(1000)) * time.Millisecond)
		switch r.IntN(4) {
		case 0:
			s.notify(childKey(r.IntN(60)), kinds(1+r.IntN(3)), netip.AddrFrom4([4]byte{198, 51, byte(r.IntN(20)), 1}), at)
		case 1:
			s.scan(childKey(r.IntN(60)), kindDS, at)
		case 2:
			task := s.next(at, r.IntN(2) == 0)
			if task == nil {
				continue
			}
			if slices.Contains(under, task) || at.Sub(last[task.key]) < p.MinInterval && task.because != becauseRetry {
				t.Fatalf("%s is looked at again after %v", task.child, at.Sub(last[task.key]))
			}
			under = append(under, task)
		case 3:
			if len(under) == 0 {
				continue
			}
			i := r.IntN(len(under))
			e := ended{}
			switch r.IntN(4) {
			case 0:
				e.again = kindDS
			case 1:
				e.since, e.until = at, at.Add(time.Hour)
			}
			s.done(under[i], e, &p, at)
			last[under[i].key] = at
			under = slices.Delete(under, i, i+1)
		}
		if len(s.tasks) > s.limit || len(s.timers) > len(s.tasks) {
			t.Fatalf("%d tasks, %d timers", len(s.tasks), len(s.timers))
		}
	}
	for _, task := range under {
		s.done(task, ended{}, &p, at)
	}
	for range 1000 {
		at = at.Add(time.Hour)
		for task := s.next(at, true); task != nil; task = s.next(at, true) {
			s.done(task, ended{}, &p, at)
		}
	}
	if len(s.tasks)+len(s.timers)+len(s.sources)+len(s.ready[0])+len(s.ready[1]) > 0 {
		t.Errorf("left: %d tasks, %d timers, %d sources", len(s.tasks), len(s.timers), len(s.sources))
	}
}

// TestForget: what is pending of one parent goes, of others stays.
func TestForget(t *testing.T) {
	s := newSchedule(100)
	other := key{zone.IDOf("", dns.MustName("other.")), dns.MustName("x.other.")}
	s.notify(childKey(1), kindDS, somebody, now)
	s.notify(other, kindDS, somebody, now)
	s.restore(childKey(2), now, print{}, now.Add(time.Hour))
	s.forget(parentID)
	if task := s.next(now.Add(2*time.Hour), true); task == nil || task.key != other {
		t.Errorf("%+v", task)
	}
	if len(s.tasks) != 1 {
		t.Errorf("%d tasks", len(s.tasks))
	}
}

// scanned is a zone of 300 delegations, a third of them secure, with glue between.
func scanned(t *testing.T) *zone.Version {
	var b strings.Builder
	b.WriteString("$TTL 3600\n@ SOA a. b. 1 2 3 4 5\n@ NS ns.example.\n")
	for i := range 300 {
		fmt.Fprintf(&b, "c%d NS ns.c%d\nns.c%d A 192.0.2.1\n", i, i, i)
		if i%3 == 0 {
			fmt.Fprintf(&b, "c%d DS 1 13 2 %s\n", i, strings.Repeat("00", 32))
		}
	}
	return parseZone(t, "tld.", b.String())
}

// TestScanComesByAll: in the time that the policy says, evenly, each child once.
func TestScanComesByAll(t *testing.T) {
	v := scanned(t)
	for _, x := range []struct {
		policy Policy
		want   int
	}{
		{Policy{DS: true, Scan: time.Hour}, 100},
		{Policy{DS: true, Scan: time.Hour, Bootstrap: Bootstrap{Authenticated: true}}, 300},
		{Policy{CSYNC: true, Scan: time.Hour}, 100},
		{Policy{DS: true, Scan: time.Hour, Deny: names("C0.tld.", "c3.tld.")}, 98},
		{Policy{DS: true, Scan: time.Hour, Only: names("c0.tld.", "c1.tld.")}, 1},
		{Policy{Scan: time.Hour}, 0},
	} {
		s := scan{last: now}
		count := make(map[dns.Name]int)
		most := 0
		for at := now; at.Before(now.Add(time.Hour)); {
			at = at.Add(time.Second)
			step := 0
			s.step(v, &x.policy, at, func(child dns.Name, what kinds) bool {
				count[child]++
				step++
				return true
			})
			most = max(most, step)
		}
		if len(count) != x.want || most > 2 {
			t.Errorf("%+v: %d children, at most %d in a second", x.policy, len(count), most)
		}
		for child, n := range count {
			if n != 1 {
				t.Errorf("%s %d times", child, n)
			}
		}
	}
}

// TestScanWaitsForRoom: what was not taken is next, and a long pause is no flood.
func TestScanWaitsForRoom(t *testing.T) {
	v := scanned(t)
	p := Policy{DS: true, Scan: time.Minute}
	s := scan{last: now}
	var first, refused dns.Name
	s.step(v, &p, now.Add(30*time.Second), func(c dns.Name, _ kinds) bool { refused = c; return false })
	s.step(v, &p, now.Add(31*time.Second), func(c dns.Name, _ kinds) bool { first = c; return false })
	if refused.IsZero() || first != refused {
		t.Errorf("refused %s, then came %s", refused, first)
	}
	n := 0
	s = scan{last: now}
	s.step(v, &p, now.Add(1000*time.Hour), func(dns.Name, kinds) bool { n++; return true })
	if n > 100 {
		t.Errorf("%d children after a long pause", n)
	}
}
